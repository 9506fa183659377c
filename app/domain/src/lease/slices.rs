//! What one epoch of a proxy has leased of one account, as the proxy keeps it in memory.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{Answer, Ask, Change, ask::AHEAD_SHARE};
use crate::{
    attribution::Label,
    credit::{Caller, Charge, Demand, Exhausted, Grant, Hardness, Hold, Limit, Pool, PoolRef, Quantity, Split, Unit, pay, unit_of},
};

/// With more runs than these in memory, all are forgotten, and asked for again as their calls come.
const RUNS_MAX: usize = 256;
/// Slices run low when they have less than one part in so many of what is wanted ahead.
const LOW_SHARE: i64 = 4;

/// An account's pools as the ledger tells them with each answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// All grants, with what is in them.
    pub grants: Vec<Grant>,
    /// All hard limits but those of runs, and those of the runs that were asked for.
    pub limits: Vec<Limit>,
    /// Whether any run has a limit.
    pub has_limits_of_runs: bool,
}

/// The slices of one account. Nothing here waits: a call has room in them, or the ledger must be asked.
#[derive(Debug, Clone, Default)]
pub struct Slices {
    /// The account's grants as they were last told. What such a pool has is the slice of it, and what the ledger had beside that.
    grants: Vec<Grant>,
    /// The hard limits that were last told.
    limits: Vec<Limit>,
    has_limits_of_runs: bool,
    /// The runs whose limits were told.
    runs: BTreeSet<Label>,
    /// What is leased: capacity is all that was given and did not go back, used is what ended calls took, leased is what running ones hold.
    own: BTreeMap<PoolRef, Pool>,
    /// The last change whose answer has come.
    heard: i64,
    /// A change whose answer has not come.
    pending: Option<Change>,
    /// Whether what was told still counts.
    is_told: bool,
    /// The change whose answer may have been made before what was told became doubtful.
    doubtful: Option<i64>,
}

impl Slices {
    /// Admits a call if all that it can take is free in the slices, and if the ledger would have it paid so too: by what pays first, as far as is known.
    ///
    /// `at` is when the call began, `now` the ledger's time.
    pub fn admit(&mut self, demand: Demand, caller: &Caller, model: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> Option<Split> {
        let is_known = self.is_told && (!self.has_limits_of_runs || caller.run.as_ref().is_none_or(|run| self.runs.contains(run)));
        if !is_known {
            return None;
        }
        let payment = pay(demand, model, &self.grants, now).ok()?;
        let bounded = demand.paid_in(unit_of(&payment));
        let counting = self.limits.iter().filter(|limit| limit.scope.applies_to(caller));
        let limits = counting.map(|limit| Hold { pool: limit.pool_ref(at), unit: limit.pool.unit, quantity: bounded.of(limit.pool.unit) });
        let split = Split { payment, limits: limits.filter(|hold| !hold.quantity.is_zero()).collect() };
        let fits = |hold: &Hold| hold.quantity <= self.free(hold.pool);
        if !split.payment.iter().chain(&split.limits).all(fits) {
            return None;
        }
        for hold in split.payment.iter().chain(&split.limits) {
            self.change(hold.pool, |pool| pool.held(hold.quantity));
        }
        Some(split)
    }

    /// Whether more should be asked for before a call needs it: calls like this one will soon have used what is free, and the pools have so much that it
    /// is nobody's last. `ahead` is what they may take in the time to come.
    #[must_use]
    pub fn run_low(&self, ahead: Demand, caller: &Caller, model: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        if !self.is_told || self.pending.is_some() {
            return false;
        }
        let Ok(payment) = pay(ahead, model, &self.grants, now) else { return false };
        let bounded = ahead.paid_in(unit_of(&payment));
        let paid = payment.iter().map(|hold| {
            let grant = self.grants.iter().find(|grant| grant.pool_ref() == hold.pool);
            (hold.pool, hold.quantity, grant.map_or(Quantity::ZERO, |grant| grant.pool.room()))
        });
        let counting = self.limits.iter().filter(|limit| limit.scope.applies_to(caller));
        let counted = counting.map(|limit| (limit.pool_ref(at), bounded.of(limit.pool.unit), limit.pool.room()));
        let (mut is_low, mut is_ample) = (false, true);
        for (pool, wanted, left) in paid.chain(counted) {
            is_low |= self.free(pool).get() < wanted.get() / LOW_SHARE;
            is_ample &= left.get() / AHEAD_SHARE >= wanted.get();
        }
        is_low && is_ample
    }

    /// Ends a call that was admitted here: what it held and did not use is free again.
    pub fn settle(&mut self, charge: &Charge) {
        for change in charge.payment.iter().chain(&charge.limits) {
            // What a lenient account's wallet pays beyond the hold is not the slice's.
            self.change(change.pool, |pool| pool.settled(change.used.min(change.released), change.released));
        }
        self.own.retain(|_, pool| !pool.room().is_zero() || !pool.leased.is_zero());
    }

    /// Asks for room for a call, giving back what is of no use. `None` while another change has no answer.
    pub fn ask(&mut self, number: i64, call: Ask, now: DateTime<Utc>) -> Option<&Change> {
        if self.pending.is_some() {
            return None;
        }
        let returned = self.take_back(|slices, pool| slices.is_over(pool, now));
        let runs = self.runs.iter().chain(&call.caller.run).cloned().collect();
        let ask = Ask { free: self.each(Pool::room), held: self.each(|own| own.leased), runs, ..call };
        Some(self.pending.insert(Change { number, heard: self.heard, returned, ask: Some(ask) }))
    }

    /// Gives back all that no call holds: it is idle, or somebody else needs it. `None` if there is nothing, or while another change has no answer.
    pub fn give_back(&mut self, number: i64) -> Option<&Change> {
        if self.pending.is_some() || self.own.values().all(|pool| pool.room().is_zero()) {
            return None;
        }
        let returned = self.take_back(|_, _| true);
        Some(self.pending.insert(Change { number, heard: self.heard, returned, ask: None }))
    }

    /// Something of the account has changed: what was told of it counts no more, and no call is admitted before the ledger was asked.
    pub fn doubt(&mut self) {
        self.is_told = false;
        self.doubtful = self.pending.as_ref().map(|change| change.number);
    }

    /// The change that waits for its answer: to be sent again until it has come.
    #[must_use]
    pub const fn pending(&self) -> Option<&Change> {
        self.pending.as_ref()
    }

    /// Takes an answer in. Returns why the ask was refused, if it was; an answer that nobody waits for changes nothing.
    pub fn absorb(&mut self, answer: Answer, told: Told) -> Option<Exhausted> {
        let change = self.pending.take_if(|change| change.number == answer.number)?;
        self.heard = answer.number;
        for hold in answer.given {
            let own = self.own.entry(hold.pool).or_insert(Pool::new(hold.unit, Quantity::ZERO));
            own.capacity = Quantity::from_count(own.capacity.get().saturating_add(hold.quantity.get()));
        }
        // Limits of runs are told to whoever asks: what is told to others leaves them out.
        self.runs = match change.ask {
            Some(ask) if ask.runs.len() > RUNS_MAX => ask.caller.run.into_iter().collect(),
            Some(ask) => ask.runs.into_iter().collect(),
            None => BTreeSet::new(),
        };
        (self.grants, self.limits, self.has_limits_of_runs) = (told.grants, told.limits, told.has_limits_of_runs);
        self.limits.retain(|limit| limit.hardness == Hardness::Hard);
        for grant in &mut self.grants {
            // What the ledger has beside the slice, and the slice.
            let rest = grant.pool.room();
            let own = self.own.get(&grant.pool_ref()).copied().unwrap_or(Pool::new(grant.pool.unit, Quantity::ZERO));
            grant.pool = Pool { capacity: Quantity::from_count(own.capacity.get().saturating_add(rest.get())), ..own };
        }
        self.is_told = self.doubtful.take() != Some(answer.number);
        answer.refused
    }

    /// What is leased of a pool and held by no call.
    #[must_use]
    pub fn free(&self, pool: PoolRef) -> Quantity {
        self.own.get(&pool).map_or(Quantity::ZERO, Pool::room)
    }

    /// Some part of each slice, where there is any of it.
    fn each(&self, part: impl Fn(&Pool) -> Quantity) -> Vec<Hold> {
        let parts = self.own.iter().map(|(pool, own)| Hold { pool: *pool, unit: own.unit, quantity: part(own) });
        parts.filter(|hold| !hold.quantity.is_zero()).collect()
    }

    /// What is leased, pool by pool.
    pub fn pools(&self) -> impl Iterator<Item = (PoolRef, Pool)> {
        self.own.iter().map(|(pool, own)| (*pool, *own))
    }

    /// How much of what is leased in a unit is free, and how much running calls hold.
    #[must_use]
    pub fn sums(&self, unit: Unit) -> (i64, i64) {
        let of_unit = self.own.values().filter(|pool| pool.unit == unit);
        of_unit
            .fold((0, 0), |(free, held), pool| (i64::saturating_add(free, pool.room().get()), i64::saturating_add(held, pool.leased.get())))
    }

    /// Whether no call to come is paid from a pool or counted in it.
    fn is_over(&self, pool: PoolRef, now: DateTime<Utc>) -> bool {
        match pool {
            PoolRef::Grant(id) => !self.grants.iter().any(|grant| grant.id == id && !grant.has_expired(now)),
            PoolRef::Limit { id, from } => {
                let limit = self.limits.iter().find(|limit| limit.id == id);
                limit.is_none_or(|limit| limit.window.range(from).to.is_some_and(|to| to <= now))
            }
        }
    }

    fn take_back(&mut self, is_idle: impl Fn(&Self, PoolRef) -> bool) -> Vec<Hold> {
        let idle: Vec<_> = self.own.iter().filter(|(pool, own)| !own.room().is_zero() && is_idle(self, **pool)).collect();
        let returned: Vec<_> = idle.into_iter().map(|(pool, own)| Hold { pool: *pool, unit: own.unit, quantity: own.room() }).collect();
        for hold in &returned {
            self.change(hold.pool, |pool| Some(Pool { capacity: pool.capacity.checked_sub(hold.quantity)?, ..pool }));
        }
        self.own.retain(|_, pool| !pool.room().is_zero() || !pool.leased.is_zero());
        returned
    }

    /// Changes a slice, and what is known of its grant with it.
    fn change(&mut self, pool: PoolRef, change: impl Fn(Pool) -> Option<Pool>) {
        let known = self.grants.iter_mut().find(|grant| grant.pool_ref() == pool).map(|grant| &mut grant.pool);
        for it in known.into_iter().chain(self.own.get_mut(&pool)) {
            let changed = change(*it);
            debug_assert!(changed.is_some(), "a slice has not what is taken of it: {pool:?}");
            *it = changed.unwrap_or(*it);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::TimeDelta;

    use super::*;
    use crate::{
        credit::{Scope, Strictness, Window, settle, testing::run},
        lease::testing::{NOW, ask, caller, demand, grant, limit, money, of_grant, quantity},
    };

    /// Slices that were given all this, of an account that has it.
    fn slices(grants: Vec<Grant>, limits: Vec<Limit>, given: &[Hold]) -> Slices {
        let mut slices = Slices::default();
        slices.ask(1, ask(1), NOW);
        slices.absorb(Answer { number: 1, given: given.to_vec(), refused: None }, Told { grants, limits, has_limits_of_runs: false });
        slices
    }

    fn admit(slices: &mut Slices, nanos: i64, caller: &Caller) -> Option<Vec<Hold>> {
        Some(slices.admit(demand(nanos, 1, 1), caller, "m", NOW, NOW)?.payment)
    }

    #[test]
    fn what_pays_first_is_asked_for_before_another_pays() {
        let soon = Grant { expires_at: Some(NOW + TimeDelta::hours(1)), ..grant(1, 100) };
        let both = vec![soon, grant(2, 100)];
        let mut with_more = slices(both.clone(), vec![], &[of_grant(1, 5), of_grant(2, 50)]);
        assert_eq!(admit(&mut with_more, 8, &caller()), None, "the first has more, which the ledger must be asked for");
        let mut empty = both;
        empty[0].pool.leased = quantity(100);
        let mut without = slices(empty, vec![], &[of_grant(1, 5), of_grant(2, 50)]);
        assert_eq!(admit(&mut without, 8, &caller()), Some(vec![of_grant(1, 5), of_grant(2, 3)]));
    }

    #[test]
    fn what_a_call_did_not_use_is_there_for_the_next_one() {
        let mut slices = slices(vec![grant(1, 10)], vec![], &[of_grant(1, 10)]);
        let split = slices.admit(demand(8, 1, 1), &caller(), "m", NOW, NOW).unwrap();
        assert_eq!(admit(&mut slices, 3, &caller()), None);
        slices.settle(&settle(&split, demand(5, 1, 1), Strictness::Strict));
        assert_eq!((slices.free(of_grant(1, 0).pool), slices.sums(Unit::Money)), (quantity(5), (5, 0)));
        assert!(admit(&mut slices, 3, &caller()).is_some());
    }

    #[test]
    fn a_call_that_names_a_run_nobody_asked_about_is_not_admitted_where_runs_have_limits() {
        let mut of_run = caller();
        of_run.run = Some(run("r"));
        let mut slices = slices(vec![grant(1, 10)], vec![], &[of_grant(1, 10)]);
        assert!(admit(&mut slices, 1, &of_run).is_some());
        slices.has_limits_of_runs = true;
        assert!(admit(&mut slices, 1, &caller()).is_some());
        assert_eq!(admit(&mut slices, 1, &of_run), None);
        slices.ask(2, Ask { caller: of_run.clone(), ..ask(1) }, NOW);
        let bounded = Limit { scope: Scope::Run(run("r")), ..limit(1, Window::Ever, Unit::Requests, 5) };
        let told = Told { grants: vec![grant(1, 10)], limits: vec![bounded.clone()], has_limits_of_runs: true };
        let given = Hold { pool: bounded.pool_ref(NOW), unit: Unit::Requests, quantity: quantity(1) };
        slices.absorb(Answer { number: 2, given: vec![given], refused: None }, told);
        assert!(admit(&mut slices, 1, &of_run).is_some());
        assert_eq!(admit(&mut slices, 1, &of_run), None, "it has had its one request");
    }

    #[test]
    fn the_limits_of_runs_that_were_told_with_an_ask_are_not_known_any_more_when_something_went_back() {
        let mut of_run = caller();
        of_run.run = Some(run("r"));
        let bounded = Limit { scope: Scope::Run(run("r")), ..limit(1, Window::Ever, Unit::Requests, 5) };
        let told = |limits| Told { grants: vec![grant(1, 10)], limits, has_limits_of_runs: true };
        let given = Hold { pool: bounded.pool_ref(NOW), unit: Unit::Requests, quantity: quantity(2) };
        let mut slices = Slices::default();
        slices.ask(1, Ask { caller: of_run.clone(), ..ask(1) }, NOW);
        slices.absorb(Answer { number: 1, given: vec![of_grant(1, 5), given], refused: None }, told(vec![bounded]));
        assert!(admit(&mut slices, 1, &of_run).is_some());
        slices.give_back(2);
        slices.absorb(Answer { number: 2, given: vec![of_grant(1, 5)], refused: None }, told(vec![]));
        assert!(admit(&mut slices, 1, &caller()).is_some());
        assert_eq!(admit(&mut slices, 1, &of_run), None, "its limit must be asked for");
    }

    #[test]
    fn what_has_changed_is_asked_for_also_where_an_answer_was_on_its_way() {
        let mut slices = slices(vec![grant(1, 10)], vec![], &[of_grant(1, 10)]);
        let told = || Told { grants: vec![grant(1, 10)], limits: vec![], has_limits_of_runs: false };
        assert!(admit(&mut slices, 1, &caller()).is_some());
        slices.ask(2, ask(1), NOW);
        slices.doubt();
        assert_eq!(admit(&mut slices, 1, &caller()), None);
        slices.absorb(Answer { number: 2, given: vec![], refused: None }, told());
        assert_eq!(admit(&mut slices, 1, &caller()), None, "it may have been answered before the change");
        slices.ask(3, ask(1), NOW);
        slices.absorb(Answer { number: 3, given: vec![], refused: None }, told());
        assert!(admit(&mut slices, 1, &caller()).is_some());
    }

    #[test]
    fn what_is_idle_goes_back_and_no_call_can_hold_it_meanwhile() {
        let mut slices = slices(vec![grant(1, 10)], vec![], &[of_grant(1, 10)]);
        let split = slices.admit(demand(4, 1, 1), &caller(), "m", NOW, NOW).unwrap();
        assert_eq!(slices.give_back(2).map(|change| change.returned.clone()), Some(vec![of_grant(1, 6)]));
        assert_eq!(admit(&mut slices, 1, &caller()), None);
        assert_eq!(slices.give_back(3), None, "there is nothing more");
        slices.settle(&settle(&split, demand(0, 0, 1), Strictness::Strict));
        assert_eq!(slices.give_back(3), None, "the change before has no answer");
    }

    #[test]
    fn more_is_asked_for_ahead_where_little_is_free_and_much_is_left() {
        let low = |free, left, ahead| {
            let mut wallet = grant(1, free + left);
            wallet.pool.leased = quantity(free);
            slices(vec![wallet], vec![], &[of_grant(1, free)]).run_low(money(ahead), &caller(), "m", NOW, NOW)
        };
        assert!(low(24, 1_000, 100), "less than a quarter");
        assert!(!low(25, 1_000, 100));
        assert!(!low(24, 775, 100), "with so little left each proxy has what its calls need");
        assert!(!low(24, 1_000, 0), "nobody calls");
        let minute = |capacity| limit(1, Window::Minute, Unit::Requests, capacity);
        let of_minute = |count| Hold { pool: minute(0).pool_ref(NOW), unit: Unit::Requests, quantity: quantity(count) };
        let bounded = |capacity, count| {
            let slices = slices(vec![grant(1, 1_000)], vec![minute(capacity)], &[of_grant(1, 100), of_minute(count)]);
            slices.run_low(demand(100, 0, 8), &caller(), "m", NOW, NOW)
        };
        assert!(bounded(64, 1) && !bounded(64, 2) && !bounded(63, 1), "a limit's as a grant's");
    }

    #[test]
    fn nothing_is_asked_for_ahead_of_an_answer_or_by_what_counts_no_more() {
        let mut slices = slices(vec![grant(1, 1_000)], vec![], &[of_grant(1, 1)]);
        let is_low = |slices: &Slices| slices.run_low(money(100), &caller(), "m", NOW, NOW);
        assert!(is_low(&slices));
        slices.ask(2, ask(1), NOW);
        assert!(!is_low(&slices));
        slices.absorb(Answer { number: 2, given: vec![], refused: None }, Told { grants: vec![grant(1, 1_000)], ..Told::default() });
        assert!(is_low(&slices));
        slices.doubt();
        assert!(!is_low(&slices));
    }

    #[test]
    fn what_is_leased_of_a_window_that_has_ended_goes_back_with_the_next_ask() {
        let minute = limit(1, Window::Minute, Unit::Requests, 5);
        let of_window = Hold { pool: minute.pool_ref(NOW), unit: Unit::Requests, quantity: quantity(3) };
        let mut slices = slices(vec![grant(1, 10)], vec![minute], &[of_window]);
        let later = NOW + TimeDelta::minutes(1);
        let change = slices.ask(2, Ask { at: later, ..ask(1) }, later).unwrap();
        assert_eq!(change.returned, [of_window]);
    }
}
