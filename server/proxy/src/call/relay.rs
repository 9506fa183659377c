//! The answer on its way back: read to its end, or to where it is given up.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use http_body::Body;
use tokio::time::Instant;

use super::{Call, client::Client, patience::Patience, stop::Listening};
use crate::{
    call::outcome::{Answer, End},
    settings::Settings,
    upstream::pool::UpstreamBody,
    wire::tap::Tap,
};

/// What an upstream may take to close an answer after its end marker.
const END_GRACE: Duration = Duration::from_secs(1);

/// What is known when an answer has been read.
pub(super) struct Read {
    pub(super) answer: Answer,
    pub(super) held_back: Vec<Bytes>,
    pub(super) first_byte: Option<Duration>,
}

/// An answer that is being read.
pub(super) struct Relay<'a> {
    call: &'a Call,
    settings: &'a Settings,
    upstream: UpstreamBody,
    tap: Tap,
    audience: Audience,
    patience: Patience,
    stop: &'a mut Listening,
    first_byte: Option<Duration>,
}

/// For whom it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// The client takes what comes.
    Reads,
    /// It has not taken what was there last.
    IsAwaited,
    /// The client has left. So many bytes were read since.
    Left(usize),
}

/// What happens next.
enum Next {
    Piece(Bytes),
    /// The client leaves.
    Leaves,
    End(End),
}

impl<'a> Relay<'a> {
    /// Reads within `call_timeout`, and `drain_timeout` more once the client is gone.
    pub(super) fn new(call: &'a Call, settings: &'a Settings, upstream: UpstreamBody, tap: Tap, stop: &'a mut Listening) -> Self {
        let patience = Patience::new(settings.call_timeout, settings.idle_timeout);
        Self { call, settings, upstream, tap, audience: Audience::Reads, patience, stop, first_byte: None }
    }

    /// Reads the upstream's body, and lets the client have what is not held back.
    pub(super) async fn run(mut self, status: StatusCode, client: &Client) -> Read {
        let mut out = Vec::new();
        let end = loop {
            match poll_fn(|context| self.poll_next(client, context)).await {
                Next::Piece(piece) => {
                    let is_enough = self.take(piece, &mut out);
                    client.put(out.drain(..));
                    if is_enough {
                        break End::Cancelled;
                    }
                }
                Next::Leaves => {
                    client.forget();
                    if !self.is_read_on() {
                        break End::Cancelled;
                    }
                }
                Next::End(end) => break end,
            }
        };
        let client_left = matches!(self.audience, Audience::Left(_));
        let (held_back, reading) = self.tap.finish();
        Read { answer: Answer { status: Some(status), end, client_left, reading }, held_back, first_byte: self.first_byte }
    }

    fn poll_next(&mut self, client: &Client, context: &mut Context<'_>) -> Poll<Next> {
        if self.stop.poll_said(context) {
            return Poll::Ready(Next::End(End::Stopped));
        }
        let now = Instant::now();
        if !matches!(self.audience, Audience::Left(_)) {
            if !client.is_here() {
                return Poll::Ready(Next::Leaves);
            }
            if !client.has_taken_all() {
                self.audience = Audience::IsAwaited;
                return Poll::Pending;
            }
            if self.audience == Audience::IsAwaited {
                // A reader so slow that the whole would take longer than it may counts as gone.
                if self.patience.is_at_end(now) && !self.tap.is_at_end() {
                    return Poll::Ready(Next::Leaves);
                }
                self.audience = Audience::Reads;
                self.patience.hear(now);
            }
        }
        // Before the next piece: an upstream that always has one must not keep the call alive.
        if self.patience.is_at_end(now) {
            return Poll::Ready(Next::End(self.out_of_time()));
        }
        self.poll_piece(now, context)
    }

    fn poll_piece(&mut self, now: Instant, context: &mut Context<'_>) -> Poll<Next> {
        loop {
            let next = match Pin::new(&mut self.upstream).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => Next::Piece(piece),
                    Err(_) => continue,
                },
                Poll::Ready(None) => Next::End(End::Complete),
                Poll::Ready(Some(Err(_))) => Next::End(if self.tap.is_at_end() { End::Complete } else { End::Broken }),
                Poll::Pending => {
                    ready!(self.patience.poll_end(context));
                    Next::End(self.out_of_time())
                }
            };
            self.patience.hear(now);
            return Poll::Ready(next);
        }
    }

    /// Nobody waits any longer. Whoever has left and is not waited for has not been let down by the upstream.
    const fn out_of_time(&self) -> End {
        match self.audience {
            _ if self.tap.is_at_end() => End::Complete,
            Audience::Left(_) => End::Cancelled,
            Audience::Reads | Audience::IsAwaited => End::Broken,
        }
    }

    /// Takes a piece in. Says whether no more is to be read for a client that has left.
    fn take(&mut self, piece: Bytes, out: &mut Vec<Bytes>) -> bool {
        self.first_byte.get_or_insert_with(|| self.call.started.elapsed());
        if let Audience::Left(bytes) = &mut self.audience {
            *bytes += piece.len();
        }
        let was_at_end = self.tap.is_at_end();
        self.tap.push(piece, out);
        if self.tap.is_at_end() && !was_at_end {
            self.patience.shorten(END_GRACE);
        }
        matches!(self.audience, Audience::Left(bytes) if bytes > self.settings.drain_bytes_max)
    }

    /// The client has left. Says whether the answer is read to its end all the same; what sound and pictures cost, only the upstream can say.
    fn is_read_on(&mut self) -> bool {
        self.audience = Audience::Left(0);
        let reading = self.tap.reading();
        let drains = self.call.drains(reading.finished || reading.has_media);
        if drains && !self.tap.is_at_end() {
            self.patience.start_anew(self.settings.drain_timeout);
        }
        drains
    }
}
