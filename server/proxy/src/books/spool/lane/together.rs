//! Records that calls write in the same moment, by one `write`.
//!
//! A write costs a core some microseconds, however little is written. So whoever asks first waits until all that is ready on its core has had its turn;
//! others ask meanwhile, and then it writes what all have asked for. A lone call waits for nobody.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use domain::id::CallId;
use ledger::SettledCall;
use tokio::sync::oneshot;

use super::{
    Begun, Lane,
    log::{Body, Together},
};
use crate::books::spool::{AppendError, NotSettled, Position};

/// A record that is about to be written, and who is told of it.
#[derive(Debug)]
pub(super) enum Asked {
    Intent { call: CallId, version: u8, body: Vec<u8>, teller: oneshot::Sender<Result<Begun, AppendError>> },
    Settlement { begun: Begun, version: u8, body: Vec<u8>, call: Arc<SettledCall>, teller: oneshot::Sender<Result<Position, NotSettled>> },
}

/// What is told of a record once it is written, or is not; `None` where the lane ended without a word. Dropped, it is written all the same.
#[must_use = "the record may be refused"]
#[derive(Debug)]
pub(crate) struct Ticket<T> {
    lane: Arc<Lane>,
    told: oneshot::Receiver<T>,
    turn: Turn,
}

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// This one, when others have had their turn.
    First,
    /// This one, now.
    Now,
    /// Another one, or it is done.
    Others,
}

impl Lane {
    /// [`Self::begin`], together with what else is written in this moment.
    pub(crate) fn begin_soon(self: &Arc<Self>, call: CallId, version: u8, body: Vec<u8>) -> Ticket<Result<Begun, AppendError>> {
        let (teller, told) = oneshot::channel();
        self.ask(Asked::Intent { call, version, body, teller }, told)
    }

    /// [`Self::settle`], together with what else is written in this moment.
    pub(crate) fn settle_soon(
        self: &Arc<Self>,
        begun: Begun,
        version: u8,
        body: Vec<u8>,
        call: &Arc<SettledCall>,
    ) -> Ticket<Result<Position, NotSettled>> {
        let (teller, told) = oneshot::channel();
        self.ask(Asked::Settlement { begun, version, body, call: Arc::clone(call), teller }, told)
    }

    fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T>(self: &Arc<Self>, record: Asked, told: oneshot::Receiver<T>) -> Ticket<T> {
        let mut asked = self.asked();
        let turn = if asked.is_empty() { Turn::First } else { Turn::Others };
        asked.push(record);
        Ticket { lane: Arc::clone(self), told, turn }
    }

    /// Writes what was asked for until now. Whoever asks meanwhile waits until all are told: what is not among what is asked for is written then.
    fn write_asked(&self) {
        let mut waiting = self.asked();
        let asked = mem::take(&mut *waiting);
        match if asked.len() > 1 { self.write_together(&asked) } else { None } {
            Some(positions) => asked.into_iter().zip(positions).for_each(|(record, position)| record.tell_written(self.number, position)),
            None => asked.into_iter().for_each(|record| record.write(self)),
        }
    }

    /// Where each was written; `None` if nothing was.
    fn write_together(&self, asked: &[Asked]) -> Option<Vec<Position>> {
        let mut inner = self.lock();
        let records: Vec<_> = asked.iter().map(Asked::as_record).collect();
        if inner.is_closed || asked.iter().any(|record| record.is_of_another(self.number)) {
            return None;
        }
        let positions = inner.log.write_together(&records)?;
        for (record, position) in asked.iter().zip(&positions) {
            match record {
                Asked::Intent { .. } => {
                    inner.note_whether_full(self.number, false);
                    inner.outstanding.begun(*position);
                }
                Asked::Settlement { begun, body, call, .. } => inner.note_settled(begun, *position, body.len(), call),
            }
        }
        drop(inner);
        if asked.iter().any(|record| matches!(record, Asked::Settlement { .. })) {
            self.settled.notify_one();
        }
        Some(positions)
    }
}

impl Asked {
    fn as_record(&self) -> Together<'_> {
        match self {
            Self::Intent { call, version, body, .. } => Together::intent(*call, Body { version: *version, bytes: body }),
            Self::Settlement { begun, version, body, .. } => {
                Together::settlement(begun.call, Body { version: *version, bytes: body }, begun.promised)
            }
        }
    }

    fn is_of_another(&self, lane: u16) -> bool {
        matches!(self, Self::Settlement { begun, .. } if begun.lane != lane)
    }

    /// Tells that it was written there. Whoever does not wait any more needs no word.
    fn tell_written(self, lane: u16, position: Position) {
        match self {
            Self::Intent { call, body, teller, .. } => {
                let promised = Together::intent(call, Body { version: 0, bytes: &body }).promised;
                let _ = teller.send(Ok(Begun::new(lane, call, position, promised)));
            }
            Self::Settlement { teller, .. } => drop(teller.send(Ok(position))),
        }
    }

    /// Writes it by itself, and tells what came of it.
    fn write(self, lane: &Lane) {
        match self {
            Self::Intent { call, version, body, teller } => drop(teller.send(lane.begin(call, version, &body))),
            Self::Settlement { begun, version, body, call, teller } => drop(teller.send(lane.settle(begun, version, &body, &call))),
        }
    }
}

impl<T> Ticket<T> {
    /// Has it written now, and says what came of it.
    pub(crate) fn now(mut self) -> Option<T> {
        self.turn = Turn::Others;
        self.lane.write_asked();
        self.told.try_recv().ok()
    }
}

impl<T> Future for Ticket<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        match self.turn {
            Turn::First => {
                self.turn = Turn::Now;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Turn::Now => {
                self.turn = Turn::Others;
                self.lane.write_asked();
            }
            Turn::Others => {}
        }
        Pin::new(&mut self.told).poll(context).map(Result::ok)
    }
}

impl<T> Drop for Ticket<T> {
    /// Others wait for it.
    fn drop(&mut self) {
        if self.turn != Turn::Others {
            self.lane.write_asked();
        }
    }
}
