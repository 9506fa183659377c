//! The client's end of a call: the body that it reads, and the other side that learns when it has left.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Pieces that may wait for a slow reader; then the upstream waits too.
const PIECES_MAX: usize = 16;

/// The answer breaks off here. The connection is closed without the mark of a complete answer, so that the client can tell.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(crate) struct BrokenOff;

/// What travels between the two.
#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    /// This was all. A feeder that goes away without saying so, for whatever reason, breaks the answer off.
    Complete,
}

/// The body of an answer, fed by the task that owns the upstream.
#[derive(Debug)]
pub(crate) struct RelayedBody {
    pieces: mpsc::Receiver<Piece>,
    ended: bool,
}

/// Where that task puts the pieces.
#[derive(Debug)]
pub(crate) struct Client {
    pieces: Option<mpsc::Sender<Piece>>,
    idle_timeout: Duration,
    stop: CancellationToken,
}

/// A body and its feeder. A reader that takes nothing for `idle_timeout` counts as gone; after `stop` nobody waits for one.
pub(crate) fn relayed_body(idle_timeout: Duration, stop: CancellationToken) -> (Client, RelayedBody) {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    (Client { pieces: Some(sender), idle_timeout, stop }, RelayedBody { pieces, ended: false })
}

impl Client {
    /// Whether anyone still reads.
    pub(crate) fn is_here(&self) -> bool {
        self.pieces.is_some()
    }

    /// Waits until the client leaves; for ever, if it has left already.
    pub(crate) async fn leaves(&self) {
        match &self.pieces {
            Some(pieces) => pieces.closed().await,
            None => std::future::pending().await,
        }
    }

    /// Nobody reads any more.
    pub(crate) fn forget(&mut self) {
        self.pieces = None;
    }

    /// Passes bytes on, as fast as the client takes them.
    pub(crate) async fn send(&mut self, pieces: impl IntoIterator<Item = Bytes>) {
        for piece in pieces {
            self.put(Piece::Bytes(piece)).await;
        }
    }

    /// Passes the last bytes on and ends the answer as a complete one.
    pub(crate) async fn complete(mut self, pieces: impl IntoIterator<Item = Bytes>) {
        self.send(pieces).await;
        self.put(Piece::Complete).await;
    }

    async fn put(&mut self, piece: Piece) {
        let Some(channel) = &self.pieces else { return };
        let taken = tokio::select! {
            biased;
            taken = channel.send_timeout(piece, self.idle_timeout) => taken.is_ok(),
            () = self.stop.cancelled() => false,
        };
        if !taken {
            self.pieces = None;
        }
    }
}

impl http_body::Body for RelayedBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.pieces.poll_recv(context).map(|piece| match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            ended => {
                self.ended = true;
                ended.is_none().then_some(Err(BrokenOff))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
