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

use crate::{
    admit::room::Place,
    wire::splice::{Edit, Pieces, splice},
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
struct Placed<R> {
    bytes: Bytes,
    _room: R,
}

impl<R> AsRef<[u8]> for Placed<R> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that keep a place for as long as there are any of them: whoever reads slowly must not fill the memory with what no room is left for.
pub(crate) fn in_place(bytes: Bytes, room: Place) -> Bytes {
    Bytes::from_owner(Placed { bytes, _room: room })
}

/// The same, of all pieces of a body: the place is kept until none is left.
fn all_in_place(pieces: Pieces, room: Place) -> Pieces {
    if pieces.iter().count() == 1 {
        let mut room = Some(room);
        return pieces.map(|bytes| Bytes::from_owner(Placed { bytes, _room: room.take() }));
    }
    let room = Arc::new(room);
    pieces.map(|bytes| Bytes::from_owner(Placed { bytes, _room: Arc::clone(&room) }))
}

/// A request's body, with a mark that is set once a connection takes it: from then on the upstream may have seen the request.
#[derive(Debug)]
pub(crate) struct RequestBody {
    /// Those that were not taken yet.
    pieces: Pieces,
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
        RequestBody::new(splice(&self.bytes, edits), self.room)
    }

    /// What is sent on while it is kept itself, with room of its own, as if all of it were copied.
    pub(crate) fn copied(&self, edits: Vec<Edit>, room: Place) -> (RequestBody, Taken) {
        RequestBody::new(splice(&self.bytes, edits), Some(room))
    }
}

impl RequestBody {
    fn new(pieces: Pieces, room: Option<Place>) -> (Self, Taken) {
        let pieces = match room {
            Some(room) => all_in_place(pieces, room),
            None => pieces,
        };
        let taken = Taken::default();
        (Self { pieces, taken: taken.clone() }, taken)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.taken.0.store(true, Ordering::Release);
        Poll::Ready(self.pieces.take().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.iter().next().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::DateTime;
    use domain::id::AccountId;
    use http_body_util::BodyExt;

    use super::*;
    use crate::{admit::room::Room, settings::Settings};

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

    /// As hyper asks for them: a length that is right at any time, and no question after the last piece.
    #[tokio::test]
    async fn an_edited_body_is_sent_in_pieces_that_keep_its_place_to_the_last() {
        let room = Room::new(&Settings::default());
        let whole = room.free();
        let bytes = Bytes::from(vec![b'x'; 100_000]);
        let place = room.take(AccountId::new(DateTime::UNIX_EPOCH, [1; 10]), &bytes).await;
        let edits = vec![Edit::insert(0, "first"), Edit::insert(100_000, "last")];
        let (mut body, taken) = Received { bytes, room: place }.edited(edits);
        assert!(!taken.is_set());
        let (mut left, mut pieces) = (100_009, Vec::new());
        while !body.is_end_stream() {
            assert_eq!(body.size_hint().exact(), Some(left));
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            left -= piece.len() as u64;
            pieces.push(piece);
        }
        assert!(taken.is_set() && left == 0 && pieces.len() == 3);
        drop(body);
        pieces.truncate(1);
        assert!(room.free() < whole, "one of them is still on its way");
        drop(pieces);
        assert_eq!(room.free(), whole);
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
