//! One lane of the spool: one of several logs, so that calls seldom wait for each other.
//!
//! Its lock is held while records are written to the system's memory, and now and then while a segment is made; never across an await.

#[cfg(test)]
mod faults;
mod fresh;
mod group_commit;
mod log;
mod maker;
mod outstanding;
mod promises;
mod reading;
mod state;
mod together;
mod upkeep;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::id::CallId;
use ledger::SettledCall;
use tokio::sync::Notify;

use self::{fresh::Fresh, group_commit::GroupCommit, log::Body, together::Asked};
pub(crate) use self::{fresh::FreshCall, state::LaneState, together::Ticket};
pub(super) use self::{
    group_commit::commit_until_stopped,
    log::{Finished, Log},
    maker::{Maker, Writable},
    outstanding::Outstanding,
};
use super::{AppendError, Durability, NotSettled, Position, Reader, damaged, segment::frame};

/// A lane. It may be used from anywhere, and is fastest where only one core uses it.
#[derive(Debug)]
pub(crate) struct Lane {
    number: u16,
    inner: Mutex<Inner>,
    /// What is about to be written, together.
    asked: Mutex<Vec<Asked>>,
    /// What the checkpoint's file says. Whoever writes it holds this.
    checkpointed: Mutex<Option<Position>>,
    /// Rung at each settlement, for whoever reads.
    settled: Notify,
    group: Option<GroupCommit>,
    /// New calls are begun here; in others only those that have begun there are settled.
    takes_calls: bool,
}

#[derive(Debug)]
struct Inner {
    log: Log,
    outstanding: Outstanding,
    fresh: Fresh,
    is_closed: bool,
    /// The last call was refused for want of room.
    is_full: bool,
    set_aside: damaged::Counts,
}

/// A call that was begun and is to be settled. Dropped without, it is found unsettled when the spool is opened again.
#[derive(Debug)]
#[must_use = "a call that is never settled keeps the spool from being emptied"]
pub(crate) struct Begun {
    lane: u16,
    pub(super) call: CallId,
    intent: Position,
    promised: u64,
}

impl Lane {
    pub(super) fn new(
        log: Log,
        outstanding: Outstanding,
        checkpointed: Option<Position>,
        set_aside: damaged::Counts,
        fresh_max: usize,
        takes_calls: bool,
    ) -> Self {
        let group = (log.maker.durability == Durability::Disk).then(|| GroupCommit::new(log.end()));
        let fresh = Fresh::new(log.end(), fresh_max);
        Self {
            number: log.maker.lane,
            inner: Mutex::new(Inner { log, outstanding, fresh, is_closed: false, is_full: false, set_aside }),
            asked: Mutex::default(),
            checkpointed: Mutex::new(checkpointed),
            settled: Notify::new(),
            group,
            takes_calls,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its number, as in its folder's name.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Writes the intent of a call, before it is forwarded. `version` is that of the body's encoding.
    ///
    /// Room is kept for its settlement: for a body of 2 KiB more than this one.
    ///
    /// # Errors
    /// [`AppendError::Full`] when there is not all of that room and [`AppendError::TooLarge`] for a body that never has it: then nothing was written.
    /// [`AppendError::Io`] when the lane is broken or closed. A disk that fails may have the intent all the same, and it is found unsettled later.
    pub(crate) fn begin(&self, call: CallId, version: u8, body: &[u8]) -> Result<Begun, AppendError> {
        let mut inner = self.lock();
        inner.expect_open()?;
        let begun = inner.log.begin(call, Body { version, bytes: body });
        match &begun {
            Ok(_) => inner.note_whether_full(self.number, false),
            Err(AppendError::Full) => inner.note_whether_full(self.number, true),
            Err(_) => {}
        }
        let (intent, promised) = begun?;
        inner.outstanding.begun(intent);
        Ok(Begun { lane: self.number, call, intent, promised })
    }

    /// Writes what a call came to, before its client sees the end. Within what was promised it has room, also on a full disk. `call` is what the body
    /// says: whoever reads soon gets that.
    ///
    /// # Errors
    /// The call is still begun then: [`AppendError::TooLarge`] when a smaller body would have room, [`AppendError::Io`] when the disk does not take
    /// it or the lane is closed, [`AppendError::Full`] only after that has happened before, or to a call that an earlier process had begun.
    pub(crate) fn settle(&self, begun: Begun, version: u8, body: &[u8], call: &Arc<SettledCall>) -> Result<Position, NotSettled> {
        match self.try_to_settle(&begun, Body { version, bytes: body }, call) {
            Ok(position) => {
                self.settled.notify_one();
                Ok(position)
            }
            Err(error) => Err(NotSettled { begun, error }),
        }
    }

    fn try_to_settle(&self, begun: &Begun, body: Body<'_>, call: &Arc<SettledCall>) -> Result<Position, AppendError> {
        if begun.lane != self.number {
            return Err(AppendError::Io(io::Error::other(format!("the call was begun in lane {}", begun.lane))));
        }
        let mut inner = self.lock();
        inner.expect_open()?;
        let position = inner.log.settle(begun.call, body, begun.promised)?;
        inner.note_settled(begun, position, body.bytes.len(), call);
        Ok(position)
    }

    /// Waits until a record survives a machine that loses power, where the spool was opened with [`Durability::Disk`].
    ///
    /// # Errors
    /// When nobody knows whether it does, since the disk has failed.
    pub(crate) async fn durable(&self, position: Position) -> io::Result<()> {
        match &self.group {
            Some(group) => group.wait_for(position).await,
            None => Ok(()),
        }
    }

    /// Reads its settlements from the first on that may not be posted. Another reader reads again what is not posted; that is for one whose batch was lost.
    pub(crate) fn reader(self: &Arc<Self>) -> Reader {
        let start = self.lock().outstanding.unposted_from();
        Reader::new(Arc::clone(self), start)
    }

    /// Takes note that a call is in the books whose settlement could not be written here.
    pub(crate) fn settled_elsewhere(&self, begun: Begun) {
        let mut inner = self.lock();
        inner.log.forget_promise(begun.promised);
        inner.outstanding.settled_elsewhere(begun.intent);
    }

    /// Whether it takes calls: it is neither full nor broken.
    pub(crate) fn takes_calls(&self) -> Result<(), &'static str> {
        let inner = self.lock();
        match (&inner.log.broken, inner.is_full) {
            (Some(_), _) => Err("the spool cannot be written: look after its disk, then restart this proxy"),
            (None, true) => Err("the spool is full: it needs room on its disk, or calls to be posted"),
            (None, false) => Ok(()),
        }
    }

    /// Takes no more calls: it is of no use to begin what will not be posted.
    pub(crate) fn give_up(&self, why: &str) {
        self.lock().log.broken.get_or_insert_with(|| why.to_owned());
    }

    /// Behind all that was written.
    pub(crate) fn end(&self) -> Position {
        self.lock().log.end()
    }

    /// Everything before this is settled and posted.
    pub(crate) fn posted_to(&self) -> Position {
        self.lock().outstanding.checkpoint()
    }

    /// Takes note that a settlement is in the books. They may come in any order.
    pub(crate) fn posted(&self, settlement: Position) {
        self.lock().outstanding.posted(settlement);
    }
}

impl Begun {
    pub(super) fn new(lane: u16, call: CallId, intent: Position, promised: u64) -> Self {
        Self { lane, call, intent, promised }
    }

    /// Where its intent is, to wait until that is [durable](Lane::durable).
    pub(crate) fn intent(&self) -> Position {
        self.intent
    }
}

impl Inner {
    fn expect_open(&self) -> Result<(), AppendError> {
        if self.is_closed { Err(AppendError::Io(io::Error::other("the spool is closed"))) } else { Ok(()) }
    }

    /// A settlement with so long a body was written there.
    fn note_settled(&mut self, begun: &Begun, position: Position, bytes: usize, call: &Arc<SettledCall>) {
        let end = Position { offset: position.offset.saturating_add(frame::size_of(bytes)), ..position };
        self.fresh.push(self.outstanding.last_unread(), FreshCall::new(position, end, bytes, call));
        self.outstanding.settled(position, begun.call, Some(begun.intent));
    }

    /// Says so once, and once when it is over.
    fn note_whether_full(&mut self, lane: u16, is_full: bool) {
        match (self.is_full, is_full) {
            (false, true) => tracing::error!(lane, "the spool is full: calls are refused"),
            (true, false) => tracing::warn!(lane, "the spool has room again"),
            _ => {}
        }
        self.is_full = is_full;
    }
}
