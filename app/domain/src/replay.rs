//! What past calls would have cost by other rates.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::AccountId,
    money::Amount,
    pricing::{self, Discount},
    rates::Rates,
    tokens::CallUsage,
};

/// A call as it was charged, corrections included.
#[derive(Debug, Clone, Copy)]
pub struct Charged {
    /// What the upstream counted in the end.
    pub usage: CallUsage,
    /// The discount that it was admitted with.
    pub discount: Discount,
    /// What it was charged, before anything was given back out of goodwill.
    pub amount: Amount,
    /// What of that is left after all that was given back.
    pub cost: Amount,
    /// Whether its price was more than its customer had agreed to, so that the operator bears a part.
    pub is_capped: bool,
}

impl Charged {
    /// What it would be charged by these rates: of a call that its customer pays only a part of, never more than that part.
    #[must_use]
    pub fn at(&self, rates: &Rates) -> Amount {
        let full = pricing::price(&self.usage, rates, self.discount).map_or(Amount::MAX, |receipt| receipt.amount);
        if self.is_capped { full.min(self.amount) } else { full }
    }

    /// What goes back if it is charged anew by these rates: nothing where they are dearer, since nobody agreed to more then, and no more than it still
    /// costs.
    #[must_use]
    pub fn given_back(&self, rates: &Rates) -> Amount {
        let less = self.amount.checked_sub(self.at(rates)).unwrap_or_default();
        less.min(self.cost).max(Amount::ZERO)
    }
}

/// What a customer's calls, or everybody's, come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Replayed {
    /// How many calls were paid in money.
    pub calls: u64,
    /// How many were paid in tokens of a plan or a package, which no rate changes.
    pub in_tokens: u64,
    /// What was charged.
    pub charged: Amount,
    /// What would have been.
    pub replayed: Amount,
    /// What goes back if they are charged anew: the sum of what is less, without what is more.
    pub given_back: Amount,
    /// How many calls that is of.
    pub lowered: u64,
}

impl Replayed {
    /// With another call, or others. `None` beyond what is an amount.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            calls: self.calls + other.calls,
            in_tokens: self.in_tokens + other.in_tokens,
            charged: self.charged.checked_add(other.charged)?,
            replayed: self.replayed.checked_add(other.replayed)?,
            given_back: self.given_back.checked_add(other.given_back)?,
            lowered: self.lowered + other.lowered,
        })
    }

    /// What would have been charged less what was.
    #[must_use]
    pub fn difference(&self) -> Option<Amount> {
        self.replayed.checked_sub(self.charged)
    }
}

/// A customer whose calls were replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayedCustomer {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// Its owner's e-mail address.
    pub email: Option<String>,
    /// Its calls.
    pub sums: Replayed,
}

/// The calls of a model in a window of time, replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Its start.
    pub from: DateTime<Utc>,
    /// Its end, which is not in it.
    pub to: DateTime<Utc>,
    /// Everybody's calls.
    pub sums: Replayed,
    /// What the provider charged for them, and would have, by the costs that are given for each; `None` where one has no cost.
    pub provider: Option<[Amount; 2]>,
    /// Customers, those first whom it changes most.
    pub customers: Vec<ReplayedCustomer>,
    /// Customers with calls that were not replayed, because there were too many: those who used least.
    pub left_out: u64,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;
    use crate::tokens::Tokens;

    fn nanos(nanos: i64) -> Amount {
        Amount::from_nanos(nanos)
    }

    /// A call of 1,000 prompt tokens that cost `amount`, of which `cost` is left.
    fn call(amount: i64, cost: i64, is_capped: bool) -> Charged {
        let usage = CallUsage::of_totals(Some(Tokens::from_sum(1_000)), None, None);
        Charged { usage, discount: Discount::NONE, amount: nanos(amount), cost: nanos(cost), is_capped }
    }

    #[test]
    fn what_is_cheaper_goes_back_and_what_is_dearer_is_not_asked_for() {
        let back = |amount, cost, rate| call(amount, cost, false).given_back(&Rates::plain(nanos(rate), Amount::ZERO));
        assert_eq!(back(100, 100, 40), nanos(60));
        assert_eq!(back(100, 100, 100), Amount::ZERO);
        assert_eq!(back(100, 100, 101), Amount::ZERO);
        assert_eq!(back(100, 30, 40), nanos(30), "the rest was given back before");
        assert_eq!(back(100, 0, 40), Amount::ZERO);
    }

    #[test]
    fn a_call_that_its_operator_bears_a_part_of_is_never_charged_more_than_the_rest() {
        let capped = call(100, 100, true);
        let at = |rate| capped.at(&Rates::plain(nanos(rate), Amount::ZERO));
        assert_eq!((at(500), at(70)), (nanos(100), nanos(70)));
    }

    proptest! {
        #[test]
        fn charged_anew_twice_gives_back_once(amount in 0..1_000_i64, cost in 0..1_000_i64, rate in 0..1_000_i64) {
                let rates = Rates::plain(nanos(rate), Amount::ZERO);
            let cost = cost.min(amount);
            let back = call(amount, cost, false).given_back(&rates).nanos();
            prop_assert!((0..=cost).contains(&back));
            let again = call(amount - back, cost - back, false).given_back(&rates);
            prop_assert_eq!(again, Amount::ZERO);
        }
    }

    #[test]
    fn sums_are_checked() {
        let most = Replayed { charged: Amount::MAX, ..Replayed::default() };
        assert_eq!(most.plus(Replayed { charged: nanos(1), ..Replayed::default() }), None);
        let difference = Replayed { charged: nanos(5), replayed: nanos(3), ..Replayed::default() }.difference();
        assert_eq!(difference.unwrap(), nanos(-2));
    }
}
