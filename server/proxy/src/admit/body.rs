//! A request's body: received within what there is room for, sent on, and known to be sent.

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

/// What has arrived of a body.
///
/// A connection reads into blocks of kilobytes, and a piece keeps its whole block, however small it is: a body in single bytes would take thousands of times
/// what there was room for. So only a body that comes in one piece stays where it is, and needs no copy, as most do.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    first: Bytes,
    more: Vec<u8>,
}

impl Gathered {
    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.more.is_empty() && self.first.is_empty() {
            self.first = piece;
            return;
        }
        self.more.extend_from_slice(&std::mem::take(&mut self.first));
        self.more.extend_from_slice(&piece);
    }

    pub(crate) fn whole(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.into() }
    }
}

/// Bytes on their way to an upstream, with the room that they take until the last of them is written.
struct Placed {
    bytes: Bytes,
    _room: Option<Place>,
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
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
}
