//! Small changes to a request body that leave every other byte as it was.

use std::{collections::VecDeque, mem, ops::Range};

use bytes::Bytes;

/// Put this text in the place of that range; an empty range inserts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    /// What is replaced.
    pub(crate) place: Range<usize>,
    /// By what.
    pub(crate) text: String,
}

impl Edit {
    /// Replaces a range.
    #[must_use]
    pub(crate) fn replace(place: Range<usize>, text: impl Into<String>) -> Self {
        Self { place, text: text.into() }
    }

    /// Inserts before a position.
    #[must_use]
    pub(crate) fn insert(at: usize, text: impl Into<String>) -> Self {
        Self::replace(at..at, text)
    }
}

/// A body in pieces, in their order. Most have one, for which nothing else is allocated.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    first: Option<Bytes>,
    more: VecDeque<Bytes>,
}

impl Pieces {
    /// The next one.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        self.first.take().or_else(|| self.more.pop_front())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.first.iter().chain(&self.more)
    }

    /// Each by what is made of it.
    pub(crate) fn map(self, make: impl FnMut(Bytes) -> Bytes) -> Self {
        self.first.into_iter().chain(self.more).map(make).collect()
    }

    #[cfg(test)]
    pub(crate) fn concat(&self) -> Vec<u8> {
        self.iter().flatten().copied().collect()
    }
}

impl FromIterator<Bytes> for Pieces {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        let mut pieces = pieces.into_iter();
        Self { first: pieces.next(), more: pieces.collect() }
    }
}

/// A longer stretch that stays as it was is sent from where it is; to copy a short one costs less than another piece.
const COPIED_MAX: usize = 32 * 1024;

/// The body with these edits, which do not overlap, in whatever order they are given. Edits at one place are applied in their order. What comes of it is in
/// pieces, in their order: one, where no stretch is long.
#[must_use]
pub(crate) fn splice(body: &Bytes, edits: Vec<Edit>) -> Pieces {
    splice_copying(COPIED_MAX, body, edits)
}

fn splice_copying(copied_max: usize, body: &Bytes, mut edits: Vec<Edit>) -> Pieces {
    if edits.is_empty() {
        return Pieces::from_iter([body.clone()]);
    }
    edits.sort_by_key(|edit| (edit.place.start, edit.place.end));
    let edited: usize = edits.iter().map(|edit| edit.text.len()).sum();
    let mut spliced =
        Spliced { copied_max, body, pieces: Pieces::default(), last: Vec::with_capacity(body.len().min(copied_max) + edited) };
    let mut done = 0;
    for edit in edits {
        spliced.stretch(done..edit.place.start);
        spliced.last.extend_from_slice(edit.text.as_bytes());
        done = edit.place.end;
    }
    spliced.stretch(done..body.len());
    spliced.end()
}

/// What was spliced so far.
struct Spliced<'b> {
    copied_max: usize,
    body: &'b Bytes,
    pieces: Pieces,
    /// The piece behind them, which is not finished.
    last: Vec<u8>,
}

impl Spliced<'_> {
    fn stretch(&mut self, place: Range<usize>) {
        if place.len() <= self.copied_max {
            return self.last.extend_from_slice(&self.body[place]);
        }
        self.finish();
        self.push(self.body.slice(place));
    }

    fn finish(&mut self) {
        if !self.last.is_empty() {
            let last = mem::take(&mut self.last);
            self.push(last.into());
        }
    }

    fn push(&mut self, piece: Bytes) {
        match &self.pieces.first {
            Some(_) => self.pieces.more.push_back(piece),
            None => self.pieces.first = Some(piece),
        }
    }

    fn end(mut self) -> Pieces {
        self.finish();
        self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_edited_bytes_change() {
        let body = Bytes::from_static(b"{ \"a\":1.0,\"b\" : 2}");
        let edits = vec![Edit::replace(16..17, "3"), Edit::insert(1, "\"c\":4,"), Edit::replace(2..5, "\"z\"")];
        assert_eq!(splice(&body, edits).concat(), b"{\"c\":4, \"z\":1.0,\"b\" : 3}");
        assert_eq!(splice(&body, Vec::new()).take().map(|whole| whole.as_ptr()), Some(body.as_ptr()));
    }

    #[test]
    fn what_is_long_is_not_copied() {
        let body = Bytes::from([vec![b'a'; COPIED_MAX], vec![b'b'; COPIED_MAX + 1], vec![b'c'; 10]].concat());
        let long = COPIED_MAX..body.len() - 10;
        let edits = vec![Edit::insert(long.start, "first"), Edit::insert(long.end, "second")];
        let pieces = splice(&body, edits);
        assert_eq!(pieces.concat(), [&body[..long.start], b"first", &body[long.clone()], b"second", &body[long.end..]].concat());
        let places: Vec<_> = pieces.iter().map(|piece| piece.as_ptr()).collect();
        assert_eq!((places.len(), places[1]), (3, body[long].as_ptr()));
    }

    mod fuzz {
        use super::*;

        /// One edit after the other, the last place first, so that no other place moves.
        #[test]
        fn any_edits_are_made_as_if_one_by_one() {
            bolero::check!().with_type::<(Vec<u8>, Vec<(u8, u8, String)>, u8)>().with_iterations(2_000).for_each(
                |(body, wanted, copied)| {
                    let mut edits: Vec<Edit> = Vec::new();
                    let mut from = 0;
                    for (skip, length, text) in wanted {
                        let start = body.len().min(from + usize::from(skip % 8));
                        from = body.len().min(start + usize::from(length % 8));
                        edits.push(Edit::replace(start..from, text.as_str()));
                    }
                    let mut expected = body.clone();
                    for edit in edits.iter().rev() {
                        expected.splice(edit.place.clone(), edit.text.bytes());
                    }
                    let pieces = splice_copying(usize::from(copied % 8), &Bytes::copy_from_slice(body), edits);
                    assert_eq!(pieces.concat(), expected);
                },
            );
        }
    }
}
