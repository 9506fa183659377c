//! A request's body: received within what there is room for, sent on, and known to be sent. What is held back of an answer takes such room, too.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::{
    admit::room::Place,
    wire::splice::{Edit, splice},
};

/// A body that has arrived whole.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    /// What it takes of the room for bodies.
    pub(crate) room: Option<Place>,
}

/// What a large body is gathered in: to make room for so much more keeps no other call of the core waiting.
const STRETCH_BYTES: usize = 256 * 1024;

/// What has arrived of a body.
///
/// A connection reads into blocks of kilobytes, and a piece keeps its whole block, however small it is: a body in single bytes would take thousands of times
/// what there was room for. So only a body that comes in one piece stays where it is, and needs no copy, as most do.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    first: Bytes,
    /// In their order, each full but the last.
    more: Vec<Vec<u8>>,
}

/// A body that has arrived, with what it takes of the room for bodies.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) gathered: Gathered,
    pub(crate) room: Option<Place>,
}

impl Gathered {
    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.more.is_empty() && self.first.is_empty() {
            self.first = piece;
            return;
        }
        let first = std::mem::take(&mut self.first);
        self.append(&first);
        self.append(&piece);
    }

    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(last) = self.more.last_mut().filter(|last| last.len() < STRETCH_BYTES) else {
                self.more.push(Vec::new());
                continue;
            };
            let (fits, rest) = bytes.split_at(bytes.len().min(STRETCH_BYTES - last.len()));
            if last.capacity() < last.len() + fits.len() {
                let capacity = (2 * last.len()).clamp(last.len() + fits.len(), STRETCH_BYTES);
                last.reserve_exact(capacity - last.len());
            }
            last.extend_from_slice(fits);
            bytes = rest;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.more.iter().map(Vec::len).sum::<usize>()
    }

    /// In one piece: of a large body that is a copy, to be made where it keeps nobody waiting. Each stretch goes once it is copied, since there was room for
    /// the body once.
    pub(crate) fn whole(mut self) -> Bytes {
        match self.more.len() {
            0 => self.first,
            1 => self.more.swap_remove(0).into(),
            _ => {
                let mut whole = Vec::with_capacity(self.len());
                for stretch in self.more {
                    whole.extend_from_slice(&stretch);
                }
                whole.into()
            }
        }
    }
}

/// Bytes on their way, with the room that they take until the last of them is written.
struct Placed {
    bytes: Bytes,
    _room: Option<Place>,
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that keep a place for as long as there are any of them: whoever reads slowly must not fill the memory with what no room is left for.
pub(crate) fn in_place(bytes: Bytes, room: Place) -> Bytes {
    Bytes::from_owner(Placed { bytes, _room: Some(room) })
}

/// A request's body, with a mark that is set once a connection takes it: from then on the upstream may have seen the request.
#[derive(Debug)]
pub(crate) struct RequestBody {
    whole: Full<Bytes>,
    taken: Taken,
}

/// Whether a [`RequestBody`] was taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken(Arc<AtomicBool>);

impl Taken {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Received {
    /// What is sent on in its place.
    pub(crate) fn edited(self, edits: Vec<Edit>) -> (RequestBody, Taken) {
        RequestBody::new(Placed { bytes: splice(&self.bytes, edits), _room: self.room })
    }

    /// What is sent on while it is kept itself, with room of its own.
    pub(crate) fn copied(&self, edits: Vec<Edit>, room: Place) -> (RequestBody, Taken) {
        RequestBody::new(Placed { bytes: splice(&self.bytes, edits), _room: Some(room) })
    }
}

impl RequestBody {
    fn new(placed: Placed) -> (Self, Taken) {
        let taken = Taken::default();
        (Self { whole: Full::new(Bytes::from_owner(placed)), taken: taken.clone() }, taken)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.taken.0.store(true, Ordering::Release);
        Pin::new(&mut self.whole).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.whole.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.whole.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of which a little was read.
    struct Block(Arc<AtomicBool>);

    impl AsRef<[u8]> for Block {
        fn as_ref(&self) -> &[u8] {
            b"ab"
        }
    }

    impl Drop for Block {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }

    #[test]
    fn no_block_is_kept_for_the_little_that_was_read_of_it() {
        let mut gathered = Gathered::default();
        let gone: Vec<_> = (0..5).map(|_| Arc::default()).collect();
        gone.iter().for_each(|gone| gathered.push(Bytes::from_owner(Block(Arc::clone(gone)))));
        assert!(gone.iter().all(|gone| gone.load(Ordering::Acquire)));
        assert_eq!(gathered.whole(), "ababababab");
    }

    #[test]
    fn what_came_in_one_piece_is_not_copied() {
        let (piece, mut gathered) = (Bytes::from(vec![b'x'; 100]), Gathered::default());
        gathered.push(piece.clone());
        assert_eq!(gathered.whole().as_ptr(), piece.as_ptr());
        assert!(Gathered::default().whole().is_empty());
    }

    #[test]
    fn a_large_body_is_put_together_as_it_came() {
        let body: Vec<u8> = (0..STRETCH_BYTES * 2 + 77).map(|place| u8::try_from(place % 251).unwrap_or_default()).collect();
        for size in [1_000, STRETCH_BYTES - 1, STRETCH_BYTES, STRETCH_BYTES + 1, body.len()] {
            let mut gathered = Gathered::default();
            body.chunks(size).for_each(|piece| gathered.push(Bytes::copy_from_slice(piece)));
            assert_eq!(gathered.len(), body.len());
            assert!(gathered.more.iter().all(|stretch| stretch.capacity() <= STRETCH_BYTES), "no stretch is larger");
            assert!(gathered.whole() == body, "in pieces of {size}");
        }
    }
}
