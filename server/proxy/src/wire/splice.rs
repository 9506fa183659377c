//! Small changes to a request body that leave every other byte as it was.

use std::ops::Range;

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

/// The body with these edits, which do not overlap, in whatever order they are given. Edits at one place are applied in their order.
#[must_use]
pub(crate) fn splice(body: &Bytes, mut edits: Vec<Edit>) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    edits.sort_by_key(|edit| (edit.place.start, edit.place.end));
    let mut spliced = Vec::with_capacity(body.len() + edits.iter().map(|edit| edit.text.len()).sum::<usize>());
    let mut copied = 0;
    for edit in edits {
        spliced.extend_from_slice(&body[copied..edit.place.start]);
        spliced.extend_from_slice(edit.text.as_bytes());
        copied = edit.place.end;
    }
    spliced.extend_from_slice(&body[copied..]);
    spliced.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_edited_bytes_change() {
        let body = Bytes::from_static(b"{ \"a\":1.0,\"b\" : 2}");
        let edits = vec![Edit::replace(16..17, "3"), Edit::insert(1, "\"c\":4,"), Edit::replace(2..5, "\"z\"")];
        assert_eq!(splice(&body, edits), b"{\"c\":4, \"z\":1.0,\"b\" : 3}"[..]);
        assert_eq!(splice(&body, Vec::new()), body);
    }

    mod fuzz {
        use super::*;

        /// One edit after the other, the last place first, so that no other place moves.
        #[test]
        fn any_edits_are_made_as_if_one_by_one() {
            bolero::check!().with_type::<(Vec<u8>, Vec<(u8, u8, String)>)>().with_iterations(2_000).for_each(|(body, wanted)| {
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
                assert_eq!(splice(&Bytes::copy_from_slice(body), edits), expected);
            });
        }
    }
}
