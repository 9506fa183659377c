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

use super::{
    Call,
    client::{Client, Head},
    patience::Patience,
    stop::Listening,
};
use crate::{
    Shared,
    admit::room::Place,
    call::outcome::{Answer, End},
    reply::Refusal,
    upstream::body::UpstreamBody,
    wire::{
        cost::Form,
        tap::{Ended, Tap},
    },
};

/// What an upstream may take to close an answer after its end marker.
const END_GRACE: Duration = Duration::from_secs(1);

/// What is known when an answer has been read.
pub(super) struct Read {
    pub(super) answer: Answer,
    /// If the client has not seen it.
    pub(super) head: Option<Head>,
    pub(super) held_back: Vec<Bytes>,
    /// In what form the cost can be put into that, where it is to be.
    pub(super) form: Option<Form>,
    /// What that takes of the room for bodies.
    pub(super) room: Option<Place>,
    pub(super) first_byte: Option<Duration>,
    /// What is said in the answer's place, where none can be made of it and nothing was shown.
    pub(super) refusal: Option<Refusal>,
}

/// An answer that is being read.
pub(super) struct Relay<'a> {
    call: &'a Call,
    shared: &'a Shared,
    status: StatusCode,
    upstream: UpstreamBody,
    tap: Tap,
    /// Until the client sees it.
    head: Option<Head>,
    audience: Audience,
    patience: Patience,
    stop: &'a mut Listening,
    first_byte: Option<Duration>,
    /// Something of the answer was put there for the client.
    is_shown: bool,
    /// It took too long.
    is_late: bool,
    /// For a document that is held back whole.
    room: Option<Place>,
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
    /// Reads within `call_timeout`, as long as the provider is not still for longer than it may, and `drain_timeout` more once the client is gone.
    pub(super) fn new(
        call: &'a Call,
        shared: &'a Shared,
        upstream: UpstreamBody,
        tap: Tap,
        (status, head): (StatusCode, Option<Head>),
        stop: &'a mut Listening,
    ) -> Self {
        let settings = &shared.settings;
        let patience = Patience::new(settings.call_timeout, call.route.target.time_outs.idle.unwrap_or(settings.idle_timeout));
        let audience = Audience::Reads;
        Self {
            call,
            shared,
            status,
            upstream,
            tap,
            head,
            audience,
            patience,
            stop,
            first_byte: None,
            is_shown: false,
            is_late: false,
            room: None,
        }
    }

    /// Reads the upstream's body, and lets the client have what is not held back. Says why no more is read.
    pub(super) async fn run(&mut self, client: &Client) -> End {
        let mut out = Vec::new();
        loop {
            match poll_fn(|context| self.poll_next(client, context)).await {
                Next::Piece(piece) => {
                    let end = self.take(piece, &mut out);
                    self.show(client, &mut out);
                    if let Some(end) = end {
                        return end;
                    }
                }
                Next::Leaves => {
                    client.forget();
                    if !self.is_read_on() {
                        return End::Cancelled;
                    }
                }
                Next::End(end) => return end,
            }
        }
    }

    /// What is known of an answer when it has [run](Self::run) to this end.
    pub(super) fn read(self, end: End) -> Read {
        let client_left = matches!(self.audience, Audience::Left(_));
        let refusal = self.refusal(end);
        let Ended { held, form, reading, is_whole } = self.tap.finish();
        let answer = Answer { status: Some(self.status), end, client_left, is_whole, is_shown: self.is_shown, reading };
        Read { answer, head: self.head, held_back: held, form, room: self.room, first_byte: self.first_byte, refusal }
    }

    /// Lets the client have what may go.
    fn show(&mut self, client: &Client, out: &mut Vec<Bytes>) {
        if out.is_empty() {
            return;
        }
        if let Some(head) = self.head.take() {
            client.answer(Ok(head));
        }
        self.is_shown = true;
        client.put(out.drain(..));
    }

    /// What is said of an answer that ends so, where nothing of it was shown.
    fn refusal(&self, end: End) -> Option<Refusal> {
        match end {
            End::Stopped => Some(Refusal::stopping(true)),
            End::Broken if self.is_late => Some(Refusal::gateway_timeout()),
            End::Broken if self.tap.is_foreign() => {
                Some(Refusal::bad_gateway("The model's upstream answered with something that is no answer."))
            }
            End::Broken => Some(Refusal::bad_gateway("The model's upstream broke off in the middle of its answer.")),
            End::Complete | End::Cancelled => None,
        }
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
                if self.tap.is_at_end() {
                    // That the client was slow is not the upstream's doing.
                    self.patience.start_anew(END_GRACE);
                }
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
    fn out_of_time(&mut self) -> End {
        self.is_late = true;
        match self.audience {
            _ if self.tap.is_at_end() => End::Complete,
            Audience::Left(_) => End::Cancelled,
            Audience::Reads | Audience::IsAwaited => End::Broken,
        }
    }

    /// Takes a piece in. Says why no more is to be read: enough was, for a client that has left, or it is no answer.
    fn take(&mut self, piece: Bytes, out: &mut Vec<Bytes>) -> Option<End> {
        self.first_byte.get_or_insert_with(|| self.call.started.elapsed());
        if let Audience::Left(bytes) = &mut self.audience {
            *bytes += piece.len();
        }
        let was_at_end = self.tap.is_at_end();
        let length = piece.len();
        self.tap.push(piece, out);
        self.make_room(length);
        if self.tap.is_at_end() && !was_at_end {
            self.patience.shorten(END_GRACE);
        }
        if self.tap.is_foreign() {
            return Some(End::Broken);
        }
        matches!(self.audience, Audience::Left(bytes) if bytes > self.shared.settings.drain_bytes_max).then_some(End::Cancelled)
    }

    /// A document that is held back for its cost takes room as requests do. Where there is none, it goes on without.
    fn make_room(&mut self, length: usize) {
        if !self.tap.holds_document() {
            // It was too long, or there was no room for all of it, and it has gone on.
            self.room = None;
            return;
        }
        match (self.shared.room.try_take(self.call.key.account_id, length), &mut self.room) {
            (Some(more), Some(room)) => room.merge(more),
            (Some(more), none) => *none = Some(more),
            (None, _) => self.tap.let_go(),
        }
    }

    /// The client has left. Says whether the answer is read to its end all the same; what sound and pictures cost, only the upstream can say.
    fn is_read_on(&mut self) -> bool {
        self.audience = Audience::Left(0);
        let reading = self.tap.reading();
        let drains = self.call.drains(reading.finished || reading.has_media);
        if drains && !self.tap.is_at_end() {
            self.patience.start_anew(self.shared.settings.drain_timeout);
        }
        drains
    }
}
