//! Calls that wait for room.

use std::{mem, sync::Arc};

use chrono::{DateTime, Utc};
use domain::{
    credit::{Caller, Demand, Exhausted, Refuser, Split, Unit, Window, release},
    id::EpochId,
    lease::Slices,
};
use tokio::{sync::oneshot, time::Instant};

use super::{NoHold, recent::sum};

/// What a call wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The most that it can take.
    pub(crate) demand: Demand,
    /// Whose it is.
    pub(crate) caller: Caller,
    /// Of which model.
    pub(crate) model: String,
    /// When it began.
    pub(crate) at: DateTime<Utc>,
}

impl Wanted {
    /// Whether what has no room for `other` has none for this one either: it is as another call of the same, in the same windows, and not smaller.
    fn is_no_less_than(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.demand, &other.demand);
        let is_as_large = Unit::ALL.iter().all(|unit| mine.of(*unit) >= theirs.of(*unit));
        // The minute is the shortest of all windows: what is of one minute is of one day, too.
        let window = |wanted: &Self| Window::Minute.range(wanted.at).from;
        is_as_large && self.caller == other.caller && self.model == other.model && window(self) == window(other)
    }

    /// Holds all of it in the slices, if there is room.
    pub(super) fn admit(&self, slices: &mut Slices, now: DateTime<Utc>) -> Option<Split> {
        slices.admit(self.demand, &self.caller, &self.model, self.at, now)
    }

    /// Another's refusal, as this one's own.
    fn refused_like(&self, other: &Exhausted) -> Exhausted {
        let needed = self.demand.of(other.pool.unit());
        let fits_ever = match other.pool {
            Refuser::Limit { capacity, .. } => needed <= capacity,
            Refuser::Credit { .. } => true,
        };
        Exhausted { needed, resets_at: other.resets_at.filter(|_| fits_ever), ..other.clone() }
    }
}

/// What a call that has waited hears: what it holds, and of which epoch.
pub(super) type Told = Result<(Split, EpochId), NoHold>;

/// Which of an account's waiting calls; they count up.
pub(super) type Ticket = u64;

/// A call that waits.
#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    since: Instant,
    wanted: Arc<Wanted>,
    tell: oneshot::Sender<Told>,
}

/// Those of one account, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    waiters: Vec<Waiter>,
    next: Ticket,
}

impl Waiting {
    pub(super) const fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(super) fn push(&mut self, wanted: &Wanted, since: Instant) -> (Ticket, oneshot::Receiver<Told>) {
        let (tell, told) = oneshot::channel();
        let ticket = self.next;
        self.next += 1;
        self.waiters.push(Waiter { ticket, since, wanted: Arc::new(wanted.clone()), tell });
        (ticket, told)
    }

    /// The ticket that the next to come gets: all that wait have lower ones.
    pub(super) const fn next(&self) -> Ticket {
        self.next
    }

    /// Takes one out that does not wait any more.
    pub(super) fn remove(&mut self, ticket: Ticket) {
        if let Ok(place) = self.place(ticket) {
            self.waiters.remove(place);
        }
    }

    /// Who waits longest, and what for.
    pub(super) fn first(&self) -> Option<(Ticket, &Wanted)> {
        self.waiters.first().map(|waiter| (waiter.ticket, &*waiter.wanted))
    }

    /// Since when one waits, if it does.
    pub(super) fn since(&self, ticket: Ticket) -> Option<Instant> {
        self.place(ticket).ok().map(|place| self.waiters[place].since)
    }

    /// What all want but the first.
    pub(super) fn behind_first(&self) -> Demand {
        self.waiters.iter().skip(1).fold(Demand::NOTHING, |all, waiter| sum(all, waiter.wanted.demand))
    }

    /// Lets each go that has room in the slices. Of calls that are alike only the first is tried that has none. Says whether any has gone.
    pub(super) fn admit(&mut self, epoch: EpochId, slices: &mut Slices, now: DateTime<Utc>) -> bool {
        let many = self.waiters.len();
        let mut short: Option<Arc<Wanted>> = None;
        let try_one = |waiter: Waiter| {
            if short.as_ref().is_some_and(|short| waiter.wanted.is_no_less_than(short)) {
                return Some(waiter);
            }
            let Some(split) = waiter.wanted.admit(slices, now) else {
                short = Some(Arc::clone(&waiter.wanted));
                return Some(waiter);
            };
            if let Err(Ok((unheard, _))) = waiter.tell.send(Ok((split, epoch))) {
                // It has left at this very moment.
                slices.settle(&release(&unheard));
            }
            None
        };
        self.waiters = mem::take(&mut self.waiters).into_iter().filter_map(try_one).collect();
        self.waiters.len() < many
    }

    /// Refuses one, and all that wait since before a ticket and want no less.
    pub(super) fn refuse(&mut self, asker: Ticket, before: Ticket, exhausted: &Exhausted) {
        let Ok(place) = self.place(asker) else { return };
        let asked = Arc::clone(&self.waiters[place].wanted);
        let is_refused = |waiter: &mut Waiter| waiter.ticket < before && waiter.wanted.is_no_less_than(&asked);
        for waiter in self.waiters.extract_if(.., is_refused) {
            let own = waiter.wanted.refused_like(exhausted);
            let _ = waiter.tell.send(Err(NoHold::Exhausted(Box::new(own)))); // whoever has left needs no refusal
        }
    }

    /// Tells all that the ledger is away.
    pub(super) fn fail(&mut self) {
        for waiter in self.waiters.drain(..) {
            let _ = waiter.tell.send(Err(NoHold::Unavailable)); // whoever has left needs no refusal
        }
    }

    fn place(&self, ticket: Ticket) -> Result<usize, usize> {
        self.waiters.binary_search_by_key(&ticket, |waiter| waiter.ticket)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::TimeDelta;
    use domain::{
        billing::GrantKind,
        credit::{Grant, Hold, Pool, Quantity, Scope},
        id::{GrantId, KeyId, LimitId, ProjectId},
        lease::{self, Answer, Ask},
        money::Amount,
    };
    use uuid::Uuid;

    use super::*;

    fn wanted(nanos: i64, requests: u32) -> Wanted {
        let caller = Caller { key: KeyId::from_uuid(Uuid::nil()), project: ProjectId::from_uuid(Uuid::nil()), member: None, run: None };
        let demand = Demand { money: Amount::from_nanos(nanos), requests, ..Demand::NOTHING };
        Wanted { demand, caller, model: "m".to_owned(), at: DateTime::from_timestamp(1_800_000_000, 0).unwrap() }
    }

    #[test]
    fn only_a_call_that_is_like_another_and_not_smaller_is_refused_with_it() {
        let other = wanted(10, 1);
        assert!(wanted(10, 1).is_no_less_than(&other) && wanted(11, 1).is_no_less_than(&other));
        assert!(!wanted(9, 2).is_no_less_than(&other) && !wanted(11, 0).is_no_less_than(&other));
        let mut of_run = wanted(10, 1);
        of_run.caller.run = Some("r".parse().unwrap());
        let of_model = Wanted { model: "n".to_owned(), ..wanted(10, 1) };
        let of_next_minute = Wanted { at: other.at + TimeDelta::minutes(1), ..wanted(10, 1) };
        for different in [of_run, of_model, of_next_minute] {
            assert!(!different.is_no_less_than(&other), "{different:?}");
        }
    }

    #[test]
    fn what_is_for_one_who_has_left_stays_free() {
        let (pool, now) = (Pool::new(Unit::Money, Quantity::from_count(10)), DateTime::UNIX_EPOCH);
        let grant = Grant {
            id: GrantId::from_uuid(Uuid::nil()),
            kind: GrantKind::Wallet,
            pool,
            models: None,
            floor: Quantity::ZERO,
            starts_at: now,
            expires_at: None,
            priority: 0,
        };
        let given = vec![Hold { pool: grant.pool_ref(), unit: Unit::Money, quantity: Quantity::from_count(10) }];
        let Wanted { demand, caller, model, at } = wanted(10, 1);
        let ask = Ask::new(demand, caller, model, at);
        let mut slices = Slices::default();
        slices.ask(1, ask, now);
        let told = lease::Told { grants: vec![grant], limits: vec![], has_limits_of_runs: false };
        slices.absorb(Answer { number: 1, given, refused: None }, told);
        let mut waiting = Waiting::default();
        drop(waiting.push(&wanted(10, 1), Instant::now()).1);
        let (_, mut told) = waiting.push(&wanted(10, 1), Instant::now());
        waiting.admit(EpochId::from_uuid(Uuid::nil()), &mut slices, now);
        assert!(told.try_recv().unwrap().is_ok() && waiting.is_empty());
        assert_eq!(slices.sums(Unit::Money), (0, 10));
    }

    #[test]
    fn a_call_that_fits_into_no_window_is_not_told_to_wait_for_the_next() {
        let pool = Refuser::Limit {
            id: LimitId::from_uuid(Uuid::nil()),
            scope: Scope::Account,
            window: Window::Minute,
            unit: Unit::Money,
            capacity: Quantity::from_count(20),
        };
        let nothing = Quantity::ZERO;
        let resets_at = Some(DateTime::UNIX_EPOCH);
        let other = Exhausted { pool, needed: Quantity::from_count(10), available: nothing, held: nothing, resets_at };
        assert_eq!(wanted(20, 1).refused_like(&other), Exhausted { needed: Quantity::from_count(20), ..other.clone() });
        assert_eq!(wanted(21, 1).refused_like(&other).resets_at, None);
    }
}
