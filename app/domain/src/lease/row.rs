//! What the ledger keeps of a lease.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Ask, Change};
use crate::credit::{Exhausted, Grant, Hold, Limit, PoolRef, Quantity};

/// What one epoch of a proxy has leased of one account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeaseRow {
    /// The change that was applied last.
    pub number: i64,
    /// Of which pools; none is empty.
    pub slices: Vec<SliceRow>,
}

/// A part of a pool that is leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceRow {
    /// The pool, and how much is leased of it: free, held by running calls, or used by calls that are not posted yet.
    pub hold: Hold,
    /// What the change of this number gave: to be said again to whoever did not hear it.
    pub given: (i64, Quantity),
}

/// What a proxy hears of its change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which change.
    pub number: i64,
    /// By what the lease grew.
    pub given: Vec<Hold>,
    /// Why it did not. That is not said again: whoever finds no room then asks anew.
    pub refused: Option<Exhausted>,
}

/// What a change does to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// What the proxy hears; nothing if a later change was applied, since nobody waits for this one any more then, or if one is gone whose answer the
    /// proxy has heard: the ledger is an older one than it was.
    pub answer: Option<Answer>,
    /// By what the leased part of pools changes.
    pub leased: Vec<(Hold, i64)>,
    /// More went back than was leased: somebody else has changed the lease. Only what was there went back.
    pub is_damaged: bool,
}

impl LeaseRow {
    /// Applies a change, once. `grants` and `limits` are the account's, see [`super::Ask::answer`].
    #[must_use]
    pub fn apply(&mut self, change: &Change, grants: &[Grant], limits: &[Limit], now: DateTime<Utc>) -> Applied {
        if change.number <= self.number {
            let answer = (change.number == self.number).then(|| self.last_answer());
            return Applied { answer, leased: Vec::new(), is_damaged: false };
        }
        if self.number < change.heard {
            return Applied { answer: None, leased: Vec::new(), is_damaged: false };
        }
        self.number = change.number;
        let returned: Vec<_> = change.returned.iter().map(|hold| self.take_back(*hold)).collect();
        let is_damaged = returned.iter().zip(&change.returned).any(|(taken, said)| taken.quantity != said.quantity);
        let (mut given, mut refused) = (Vec::new(), None);
        if let Some(ask) = &change.ask {
            let mut seen = Seen { grants: grants.to_vec(), limits: limits.to_vec(), at: ask.at };
            returned.iter().for_each(|hold| seen.take(*hold, Quantity::ZERO));
            self.unposted(ask).for_each(|hold| seen.take(hold, hold.quantity));
            match ask.answer(&seen.grants, &seen.limits, now) {
                Ok(holds) => given = holds,
                Err(exhausted) => refused = Some(exhausted),
            }
        }
        given.iter().for_each(|hold| self.give(*hold));
        let leased = returned.iter().map(|hold| (*hold, -hold.quantity.get())).chain(given.iter().map(|hold| (*hold, hold.quantity.get())));
        let leased = leased.filter(|(_, by)| *by != 0).collect();
        self.slices.retain(|slice| !slice.hold.quantity.is_zero());
        Applied { answer: Some(Answer { number: change.number, given, refused }), leased, is_damaged }
    }

    /// A posted call has used so much of a slice.
    pub fn use_up(&mut self, hold: Hold) {
        let taken = self.take_back(hold);
        debug_assert_eq!(taken, hold, "what a slice does not have was used of it");
        self.slices.retain(|slice| !slice.hold.quantity.is_zero());
    }

    /// How much of a pool is leased.
    #[must_use]
    pub fn of(&self, pool: PoolRef) -> Quantity {
        self.slices.iter().find(|slice| slice.hold.pool == pool).map_or(Quantity::ZERO, |slice| slice.hold.quantity)
    }

    /// What the last change gave. What it gave of a slice that is gone by now its proxy has used, so it has heard of it.
    fn last_answer(&self) -> Answer {
        let last = self.slices.iter().filter(|slice| slice.given.0 == self.number && !slice.given.1.is_zero());
        let given = last.map(|slice| Hold { quantity: slice.given.1, ..slice.hold }).collect();
        Answer { number: self.number, given, refused: None }
    }

    /// What calls have used of each slice that are not posted yet.
    fn unposted(&self, ask: &Ask) -> impl Iterator<Item = Hold> {
        self.slices.iter().map(|slice| {
            let known = ask.free.iter().chain(&ask.held).filter(|known| known.pool == slice.hold.pool);
            let known = known.fold(0_i64, |sum, known| sum.saturating_add(known.quantity.or_zero().get()));
            let quantity = slice.hold.quantity;
            Hold { quantity: quantity.less(Quantity::from_count(known).min(quantity)), ..slice.hold }
        })
    }

    fn take_back(&mut self, hold: Hold) -> Hold {
        let slice = self.slices.iter_mut().find(|slice| slice.hold.pool == hold.pool);
        let Some(slice) = slice else { return Hold { quantity: Quantity::ZERO, ..hold } };
        let quantity = hold.quantity.or_zero().min(slice.hold.quantity);
        slice.hold.quantity = slice.hold.quantity.less(quantity);
        Hold { quantity, ..hold }
    }

    fn give(&mut self, hold: Hold) {
        let given = (self.number, hold.quantity);
        match self.slices.iter_mut().find(|slice| slice.hold.pool == hold.pool) {
            Some(slice) => {
                slice.hold.quantity = Quantity::from_count(slice.hold.quantity.get().saturating_add(hold.quantity.get()));
                slice.given = given;
            }
            None => self.slices.push(SliceRow { hold, given }),
        }
    }
}

/// An account's pools as an ask is to see them: those of limits in the windows that hold `at`.
struct Seen {
    grants: Vec<Grant>,
    limits: Vec<Limit>,
    at: DateTime<Utc>,
}

impl Seen {
    /// So much is leased no more, and so much of that is used.
    fn take(&mut self, hold: Hold, used: Quantity) {
        let of_grants = self.grants.iter_mut().filter(|grant| grant.pool_ref() == hold.pool).map(|grant| &mut grant.pool);
        let of_limits = self.limits.iter_mut().filter(|limit| limit.pool_ref(self.at) == hold.pool).map(|limit| &mut limit.pool);
        for pool in of_grants.chain(of_limits) {
            let released = hold.quantity.min(pool.leased);
            *pool = pool.settled(used.min(released), released).unwrap_or(*pool);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{
        credit::Demand,
        lease::testing::{NOW, ask, grant, of_grant, quantity},
    };

    fn change(number: i64, returned: Vec<Hold>, ask: Option<Ask>) -> Change {
        Change { number, heard: number - 1, returned, ask }
    }

    fn leased(capacity: i64, leased: i64) -> Vec<Grant> {
        let mut wallet = grant(1, capacity);
        wallet.pool.leased = quantity(leased);
        vec![wallet]
    }

    #[test]
    fn a_change_that_is_said_again_gives_nothing_twice_and_says_what_it_gave() {
        let mut row = LeaseRow::default();
        let first = change(1, vec![], Some(ask(10)));
        let applied = row.apply(&first, &leased(100, 0), &[], NOW);
        assert_eq!(applied.leased, [(of_grant(1, 10), 10)]);
        let again = row.apply(&first, &leased(100, 10), &[], NOW);
        assert_eq!((again.leased, again.answer), (vec![], applied.answer));
        assert_eq!(row.of(of_grant(1, 0).pool), quantity(10));
    }

    #[test]
    fn a_change_that_comes_after_a_later_one_is_nobodys_any_more() {
        let mut row = LeaseRow { number: 5, slices: vec![] };
        let applied = row.apply(&change(4, vec![], Some(ask(10))), &leased(100, 0), &[], NOW);
        assert_eq!(applied, Applied { answer: None, leased: vec![], is_damaged: false });
    }

    #[test]
    fn a_lease_that_has_lost_a_change_which_its_proxy_has_heard_of_changes_no_more() {
        let mut row = LeaseRow { number: 3, slices: vec![] };
        let applied = row.apply(&Change { heard: 4, ..change(5, vec![], Some(ask(10))) }, &leased(100, 0), &[], NOW);
        assert_eq!((applied, row.number), (Applied { answer: None, leased: vec![], is_damaged: false }, 3));
        let forgetful = Change { heard: 0, ..change(5, vec![], Some(ask(10))) };
        assert!(row.apply(&forgetful, &leased(100, 0), &[], NOW).answer.is_some(), "whoever remembers nothing misses nothing");
    }

    #[test]
    fn what_is_used_and_not_posted_yet_is_not_said_to_come_back() {
        let mut row = LeaseRow::default();
        let _ = row.apply(&change(1, vec![], Some(ask(10))), &leased(12, 0), &[], NOW);
        let refusal = |row: &mut LeaseRow, number, held, free| {
            let wanted = Ask { held: vec![of_grant(1, held)], free: vec![of_grant(1, free)], ..ask(9) };
            let applied = row.apply(&change(number, vec![], Some(wanted)), &leased(12, 10), &[], NOW);
            let refused = applied.answer.and_then(|answer| answer.refused).unwrap();
            (refused.available.get(), refused.held.get(), refused.may_pass())
        };
        assert_eq!(refusal(&mut row, 2, 7, 3), (5, 7, true), "a call holds seven, which may all come back");
        assert_eq!(refusal(&mut row, 3, 0, 3), (5, 0, false), "calls have used seven");
        assert_eq!(refusal(&mut row, 4, 3, 3), (5, 3, false));
    }

    #[test]
    fn what_is_given_back_in_a_change_is_there_for_what_it_asks() {
        let mut row = LeaseRow::default();
        let _ = row.apply(&change(1, vec![], Some(ask(10))), &leased(10, 0), &[], NOW);
        let applied = row.apply(&change(2, vec![of_grant(1, 4)], Some(ask(3))), &leased(10, 10), &[], NOW);
        assert_eq!(applied.leased, [(of_grant(1, 4), -4), (of_grant(1, 3), 3)]);
        assert_eq!(row.of(of_grant(1, 0).pool), quantity(9));
    }

    #[test]
    fn no_more_goes_back_than_is_leased_and_it_is_said() {
        let mut row = LeaseRow::default();
        let _ = row.apply(&change(1, vec![], Some(ask(10))), &leased(10, 0), &[], NOW);
        let applied = row.apply(&change(2, vec![of_grant(1, 12)], None), &leased(10, 10), &[], NOW);
        assert_eq!((applied.leased, applied.is_damaged), (vec![(of_grant(1, 10), -10)], true));
        assert_eq!(row.slices, []);
    }

    #[test]
    fn a_refused_ask_gives_nothing_and_still_takes_what_goes_back() {
        let mut row = LeaseRow::default();
        let _ = row.apply(&change(1, vec![], Some(ask(10))), &leased(10, 0), &[], NOW);
        let wanted = Ask { ahead: Demand::NOTHING, ..ask(11) };
        let applied = row.apply(&change(2, vec![of_grant(1, 10)], Some(wanted)), &leased(10, 10), &[], NOW);
        assert_eq!(applied.leased, [(of_grant(1, 10), -10)]);
        assert!(applied.answer.is_some_and(|answer| answer.refused.is_some()));
    }
}
