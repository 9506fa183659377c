//! What a proxy knows of one account: its slices, who waits for room in them, and what is being asked.
//!
//! Nothing here waits. Each step ends with [`State::advance`], which lets go whom it can and says what is to be done outside of the lock.

mod asking;

use std::{mem, time::Duration};

use domain::{
    credit::{Charge, Split},
    id::EpochId,
    lease::{Change, Slices},
};
use tokio::{sync::oneshot, time::Instant};

use self::asking::{Asked, Recall};
use super::{
    clock::Moment,
    life::{Epoch, Life},
    outbox::Lane,
    recent::Recent,
    waiting::{Ticket, Told, Waiting, Wanted},
};

/// A call that was admitted so long ago says nothing of calls to come.
const IDLE_AFTER: Duration = Duration::from_secs(3);
/// So often an account may be found locked before it is waited for.
const LOCKED_MAX: u32 = 5;
/// How long an account is remembered of which there is nothing.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What is to be done once the lock is given up.
#[derive(Debug, Default)]
pub(super) struct Todo {
    /// The pending change is to be sent, so.
    pub(super) send: Option<Lane>,
    /// Others are to give back what they have idle.
    pub(super) recall: bool,
    /// The next ask comes after so long.
    pub(super) pause: Option<Duration>,
}

/// What a call finds that wants something.
#[derive(Debug)]
pub(super) enum Found {
    Room(Split, EpochId),
    /// There is none, and the ledger is away.
    Nobody,
    /// There is none: the ledger is asked.
    Wait(Ticket, oneshot::Receiver<Told>),
}

#[derive(Debug)]
pub(super) struct State {
    /// Whose the slices are.
    epoch: EpochId,
    slices: Slices,
    recent: Recent,
    waiting: Waiting,
    /// The pending change, if it is an ask.
    asked: Option<Asked>,
    recall: Option<Recall>,
    /// The next ask waits for others to give back what they have idle.
    is_paused: bool,
    /// How often in a row a call was given what it asked for, and did not have it.
    in_vain: u32,
    /// The sender has the account: it is in one batch at most.
    is_sending: bool,
    /// How often in a row the pending change could not be made.
    failures: u32,
    /// It is locked by somebody else, or fails together with others: it is sent alone.
    is_difficult: bool,
    /// How often in a row it was found locked.
    locked: u32,
    /// What is idle is to go back as soon as no change is pending.
    is_wanted_back: bool,
    /// Somebody else waits for that.
    is_waited_for: bool,
    /// Others wanted what is idle while somebody here asked for more: it goes back if that was not enough.
    is_recalled: bool,
    admitted: Instant,
    touched: Instant,
    /// When it was last looked whether the slices run low.
    looked_ahead: Instant,
    todo: Todo,
}

impl State {
    pub(super) fn new(epoch: EpochId, now: Instant) -> Self {
        Self {
            epoch,
            slices: Slices::default(),
            recent: Recent::new(now),
            waiting: Waiting::default(),
            asked: None,
            recall: None,
            is_paused: false,
            in_vain: 0,
            is_sending: false,
            failures: 0,
            is_difficult: false,
            locked: 0,
            is_wanted_back: false,
            is_waited_for: false,
            is_recalled: false,
            admitted: now,
            touched: now,
            looked_ahead: now,
            todo: Todo::default(),
        }
    }

    /// Forgets what was leased to another epoch. Who waits goes on waiting.
    pub(super) fn belong_to(&mut self, epoch: &Epoch) {
        if self.epoch != epoch.id {
            (self.epoch, self.slices, self.asked) = (epoch.id, Slices::default(), None);
            (self.failures, self.is_difficult, self.is_wanted_back, self.is_waited_for, self.is_recalled) = (0, false, false, false, false);
            (self.in_vain, self.locked) = (0, 0);
        }
    }

    pub(super) const fn epoch(&self) -> EpochId {
        self.epoch
    }

    pub(super) const fn slices(&self) -> &Slices {
        &self.slices
    }

    /// A call wants something. `is_away` says that the ledger is, as far as is known.
    pub(super) fn want(&mut self, wanted: &Wanted, life: &Life, is_away: bool, now: Moment) -> Found {
        self.recent.add(wanted.demand, now.monotonic);
        self.touched = now.monotonic;
        let is_on = life.is_on(now);
        if let Some(split) = is_on.then(|| wanted.admit(&mut self.slices, now.ledger)).flatten() {
            self.admitted = now.monotonic;
            self.ask_ahead(wanted, life, is_away, now);
            return Found::Room(split, self.epoch);
        }
        if is_away {
            return Found::Nobody;
        }
        let (ticket, told) = self.waiting.push(wanted, now.monotonic);
        Found::Wait(ticket, told)
    }

    /// A call does not wait any more.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.waiting.remove(ticket);
    }

    /// A call has ended that was admitted in an epoch.
    pub(super) fn settle(&mut self, charge: &Charge, epoch: EpochId) {
        if epoch == self.epoch {
            self.slices.settle(charge);
        }
    }

    /// What the sender that has the account is to send, if anything.
    pub(super) fn begin_sending(&mut self, epoch: &Epoch) -> Option<Change> {
        let change = self.slices.pending().filter(|_| self.epoch == epoch.id && !epoch.is_over()).cloned();
        self.is_sending = change.is_some();
        change
    }

    /// The sender has the account no more.
    pub(super) const fn end_sending(&mut self) {
        self.is_sending = false;
    }

    /// The pending change was not made, or nobody knows. Nobody waits for what is refused; what is a `fault` may be this account's.
    pub(super) fn not_made(&mut self, is_refused: bool, is_fault: bool) {
        self.is_difficult |= is_fault;
        if is_refused {
            self.failures = self.failures.saturating_add(1);
            self.fail();
        }
    }

    /// How often in a row it was not.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Somebody else has the account locked. Mostly that is over in a moment; after some times it is waited for. Returns how often it was found so.
    pub(super) const fn found_locked(&mut self) -> u32 {
        self.locked = self.locked.saturating_add(1);
        self.is_difficult |= self.locked >= LOCKED_MAX;
        self.locked
    }

    /// How its change is sent.
    const fn lane(&self) -> Lane {
        match (self.is_difficult, self.waiting.is_empty() && !self.is_waited_for) {
            (true, _) => Lane::Alone,
            (false, true) => Lane::Leisurely,
            (false, false) => Lane::Together,
        }
    }

    /// The ledger is away: nobody waits for it. What is pending stays so.
    pub(super) fn fail(&mut self) {
        self.waiting.fail();
    }

    /// Something of the account has changed.
    pub(super) fn doubt(&mut self) {
        self.slices.doubt();
    }

    /// Others want what is idle. Who asks needs that itself, but for what was not enough: of several who have each a little, one then has enough.
    pub(super) const fn recalled(&mut self) {
        self.is_waited_for = true;
        if self.waiting.is_empty() || self.is_paused {
            self.is_wanted_back = true;
        } else {
            self.is_recalled = true;
        }
    }

    /// Gives back what no call was admitted to for a while.
    pub(super) fn give_back_idle(&mut self, now: Moment) {
        let is_idle = now.monotonic.saturating_duration_since(self.admitted) >= IDLE_AFTER;
        self.is_wanted_back |= is_idle && self.slices.pending().is_none();
    }

    /// Whether there is nothing to be remembered of the account.
    pub(super) fn is_forgettable(&self, now: Moment) -> bool {
        let is_at_rest = self.slices.pending().is_none() && self.slices.pools().next().is_none() && self.waiting.is_empty();
        is_at_rest && !self.is_sending && now.monotonic.saturating_duration_since(self.touched) >= REMEMBERED
    }

    /// Lets go whom it can, and has asked for the others what is not asked yet.
    pub(super) fn advance(&mut self, life: &Life, now: Moment) -> Todo {
        if life.is_on(now) {
            self.serve(now);
            self.change(life, now);
        }
        if !self.is_sending && !life.epoch.is_over() && self.slices.pending().is_some() {
            (self.is_sending, self.todo.send) = (true, Some(self.lane()));
        }
        mem::take(&mut self.todo)
    }

    fn serve(&mut self, now: Moment) {
        if !self.waiting.is_empty() && self.waiting.admit(self.epoch, &mut self.slices, now.ledger) {
            self.admitted = now.monotonic;
        }
    }
}
