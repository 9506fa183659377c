//! What a proxy asks of an account's pools, and how much of them the ledger lets it have.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    attribution::Label,
    credit::{Caller, Demand, Exhausted, Grant, Hold, Limit, Pool, Quantity, bound, pay, unit_of},
};

/// The most of what a pool has left that a proxy gets for calls to come: one part in so many. So that of little each proxy has just what its calls
/// need, and of much nobody needs all.
pub(super) const AHEAD_SHARE: i64 = 8;

/// A change of one epoch's lease of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Counts up within the epoch. The same number is the same change, said again.
    pub number: i64,
    /// The last change whose answer the proxy has heard, or 0: a lease that has not come so far has lost what it was told.
    pub heard: i64,
    /// What goes back of each pool.
    pub returned: Vec<Hold>,
    /// What is wanted, if anything is.
    pub ask: Option<Ask>,
}

/// A call that has no room in what is leased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The most that it can take.
    pub demand: Demand,
    /// What calls that come soon may take beside it.
    pub ahead: Demand,
    /// Whose call it is.
    pub caller: Caller,
    /// Of which model.
    pub model: String,
    /// When it began: that says the windows that it is of.
    pub at: DateTime<Utc>,
    /// What is leased already and no call holds, once everything in [`Change::returned`] has gone back.
    pub free: Vec<Hold>,
    /// What running calls hold of what is leased. What is neither held nor free calls have used that are not posted yet: no waiting brings it back.
    pub held: Vec<Hold>,
    /// The runs whose limits the answer is to tell of.
    pub runs: Vec<Label>,
}

impl Ask {
    /// For one call of which nothing is leased yet.
    #[must_use]
    pub const fn new(demand: Demand, caller: Caller, model: String, at: DateTime<Utc>) -> Self {
        Self { demand, ahead: Demand::NOTHING, caller, model, at, free: Vec::new(), held: Vec::new(), runs: Vec::new() }
    }

    /// What the lease grows by: what the call needs of each pool beyond what is free, and some more for those that come.
    ///
    /// `grants` and `limits` are the account's, as they are when everything given back is; the limits' pools are those of the windows that hold
    /// [`Self::at`]. Nothing of what is given was anybody's: it is at most what was available, whatever the proxy says is free.
    ///
    /// # Errors
    /// [`Exhausted`] when there is not enough, with all that is free counted in; then nothing is given.
    pub fn answer(&self, grants: &[Grant], limits: &[Limit], now: DateTime<Utc>) -> Result<Vec<Hold>, Exhausted> {
        let mut seen_grants = grants.to_vec();
        let mut seen_limits = limits.to_vec();
        for free in &self.free {
            let of_grants = seen_grants.iter_mut().filter(|grant| grant.pool_ref() == free.pool).map(|grant| &mut grant.pool);
            let of_limits = seen_limits.iter_mut().filter(|limit| limit.pool_ref(self.at) == free.pool).map(|limit| &mut limit.pool);
            // Free to this proxy is as good as not leased.
            of_grants.chain(of_limits).for_each(|pool| pool.leased = pool.leased.less(free.quantity.or_zero().min(pool.leased)));
        }
        let payment = pay(self.demand, &self.model, &seen_grants, now)?;
        let bounds = bound(self.demand.paid_in(unit_of(&payment)), &self.caller, &seen_limits, self.at)?;
        let room = |pool: Option<Pool>| pool.map_or(Quantity::ZERO, |pool| pool.room());
        // What pays first pays until it is empty: only of the last one there is more to have.
        let last = payment.last().map(|hold| hold.pool);
        let paid = payment.iter().map(|hold| {
            let ahead = if Some(hold.pool) == last { self.ahead.of(hold.unit) } else { Quantity::ZERO };
            self.grown(*hold, ahead, room(grants.iter().find(|grant| grant.pool_ref() == hold.pool).map(|grant| grant.pool)))
        });
        let bounded = bounds.iter().map(|hold| {
            let limit = limits.iter().find(|limit| limit.pool_ref(self.at) == hold.pool);
            self.grown(*hold, self.ahead.of(hold.unit), room(limit.map(|limit| limit.pool)))
        });
        Ok(paid.chain(bounded).filter(|hold| !hold.quantity.is_zero()).collect())
    }

    /// By how much a slice grows so that a hold fits, with some more, of a pool that has so much left.
    fn grown(&self, hold: Hold, ahead: Quantity, left: Quantity) -> Hold {
        let free = self.free.iter().find(|free| free.pool == hold.pool).map_or(Quantity::ZERO, |free| free.quantity.or_zero());
        let needed = hold.quantity.less(free.min(hold.quantity)).min(left);
        let spare = free.less(hold.quantity.min(free));
        let ahead = ahead.min(Quantity::from_count(left.less(needed).get() / AHEAD_SHARE));
        let more = ahead.less(spare.min(ahead));
        Hold { quantity: Quantity::from_count(needed.get().saturating_add(more.get())), ..hold }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        credit::{Pool, PoolRef, Unit, Window},
        lease::testing::{ask, grant, limit, money, of_grant, of_limit, quantity},
    };

    fn given(ask: &Ask, grants: &[Grant], limits: &[Limit]) -> Option<Vec<(PoolRef, i64)>> {
        let given = ask.answer(grants, limits, ask.at).ok()?;
        Some(given.into_iter().map(|hold| (hold.pool, hold.quantity.get())).collect())
    }

    #[test]
    fn of_much_there_is_some_for_the_calls_to_come_and_of_little_just_what_the_call_needs() {
        let wanted = Ask { ahead: money(1_000), ..ask(10) };
        let pool = grant(1, 0).pool_ref();
        assert_eq!(given(&wanted, &[grant(1, 100_000)], &[]), Some(vec![(pool, 1_010)]));
        assert_eq!(given(&wanted, &[grant(1, 810)], &[]), Some(vec![(pool, 110)]), "an eighth of what is left");
        assert_eq!(given(&wanted, &[grant(1, 17)], &[]), Some(vec![(pool, 10)]));
        assert_eq!(given(&wanted, &[grant(1, 9)], &[]), None);
    }

    #[test]
    fn what_is_free_already_is_not_given_again() {
        let mut wallet = grant(1, 30);
        wallet.pool.leased = quantity(8);
        let pool = wallet.pool_ref();
        let wanted = |free| Ask { free: vec![of_grant(1, free)], ..ask(10) };
        assert_eq!(given(&wanted(8), std::slice::from_ref(&wallet), &[]), Some(vec![(pool, 2)]));
        wallet.pool.capacity = quantity(10);
        assert_eq!(given(&wanted(8), std::slice::from_ref(&wallet), &[]), Some(vec![(pool, 2)]), "free and available make ten together");
        assert_eq!(given(&wanted(7), &[wallet], &[]), None);
    }

    #[test]
    fn every_limit_that_counts_the_call_is_leased_of_the_window_in_which_it_began() {
        let minute = limit(3, Window::Minute, Unit::Requests, 5);
        let wanted = ask(10);
        let expected = vec![(grant(1, 0).pool_ref(), 10), (minute.pool_ref(wanted.at), 1)];
        assert_eq!(given(&wanted, &[grant(1, 10)], std::slice::from_ref(&minute)), Some(expected));
        let mut taken = minute;
        taken.pool.leased = quantity(5);
        assert_eq!(given(&wanted, &[grant(1, 10)], std::slice::from_ref(&taken)), None);
        let wanted = Ask { free: vec![of_limit(3, wanted.at, 1)], ..wanted };
        assert_eq!(given(&wanted, &[grant(1, 10)], &[taken]), Some(vec![(grant(1, 0).pool_ref(), 10)]));
    }

    proptest! {
        #[test]
        fn nothing_is_given_that_is_not_available_whatever_is_said_to_be_free(
            capacities in prop::collection::vec((0_i64..40, 0_i64..20, 0_i64..20), 1..4), wanted in 0_i64..60, ahead in 0_i64..100,
            free in prop::collection::vec((1_u128..5, -5_i64..60), 0..4),
        ) {
            let grants: Vec<_> = (1_u128..).zip(&capacities).map(|(id, (capacity, used, leased))| Grant {
                pool: Pool { used: quantity(*used), leased: quantity(*leased), ..Pool::new(Unit::Money, quantity(*capacity)) }, ..grant(id, 0)
            }).collect();
            let free = free.into_iter().map(|(id, count)| of_grant(id, count)).collect();
            let wanted = Ask { ahead: money(ahead), free, ..ask(wanted) };
            for (pool, given) in given(&wanted, &grants, &[]).unwrap_or_default() {
                let room = grants.iter().find(|grant| grant.pool_ref() == pool).map_or(0, |grant| grant.pool.room().get());
                prop_assert!(given <= room, "{given} of {room}");
            }
        }
    }
}
