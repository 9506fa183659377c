//! What an ended call leaves behind.

use serde::{Deserialize, Serialize};

use super::{Change, Demand, Hold, PoolRef, Quantity, Split, Unit, unit_of};
use crate::id::GrantId;

/// Who bears what a call costs beyond what was held for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strictness {
    /// The operator: no account ends below its floor, whatever an upstream reports.
    Strict,
    /// The account's wallet, which may end below its floor.
    Lenient {
        /// The wallet.
        wallet: GrantId,
    },
}

/// What a call costs, and what it changes in each pool that it held.
///
/// `charged + written_off` is what the call came to, in `unit`; the changes of `payment` use what is `charged`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// What it is paid in: tokens if a token grant pays, else money.
    pub unit: Unit,
    /// What the customer pays.
    pub charged: Quantity,
    /// What of it the wallet pays beyond what was held.
    pub overdrawn: Quantity,
    /// What nobody pays: the operator's loss.
    pub written_off: Quantity,
    /// What changes in grants.
    pub payment: Vec<Change>,
    /// What changes in limits: they count what the call came to, at most what was held.
    pub limits: Vec<Change>,
}

/// Settles a call: each hold is used up to what the call came to, those of the payment in their order, and all of it is released.
///
/// A call that is paid in tokens costs tokens alone; what it takes beyond its hold is written off, because a wallet holds no tokens.
#[must_use]
pub fn settle(split: &Split, actual: Demand, strictness: Strictness) -> Charge {
    let unit = unit_of(&split.payment);
    let owed = actual.of(unit);
    let mut rest = owed;
    let mut payment: Vec<_> = split
        .payment
        .iter()
        .map(|hold| {
            let change = change(hold, rest);
            rest = rest.less(change.used);
            change
        })
        .collect();
    let overdrawn = match strictness {
        Strictness::Lenient { wallet } if unit == Unit::Money => overdraw(&mut payment, wallet, rest),
        Strictness::Lenient { .. } | Strictness::Strict => Quantity::ZERO,
    };
    let written_off = rest.less(overdrawn);
    Charge {
        unit,
        charged: owed.less(written_off),
        overdrawn,
        written_off,
        payment,
        limits: split.limits.iter().map(|hold| change(hold, actual.of(hold.unit))).collect(),
    }
}

/// Gives all that a call held back: it never ran, or cost nothing.
#[must_use]
pub fn release(split: &Split) -> Charge {
    settle(split, Demand::NOTHING, Strictness::Strict)
}

/// Uses up to so much of a hold and releases it.
fn change(hold: &Hold, wanted: Quantity) -> Change {
    let released = hold.quantity.or_zero();
    Change { pool: hold.pool, unit: hold.unit, used: wanted.min(released), released }
}

/// Takes the rest from the wallet, whether or not the call held some of it, and says how much that is: all, as far as a number holds it.
fn overdraw(payment: &mut Vec<Change>, wallet: GrantId, rest: Quantity) -> Quantity {
    let pool = PoolRef::Grant(wallet);
    if rest.is_zero() {
        return rest;
    }
    if let Some(change) = payment.iter_mut().find(|change| change.pool == pool) {
        let Some(used) = change.used.checked_add(rest) else { return Quantity::ZERO };
        change.used = used;
    } else {
        payment.push(Change { pool, unit: Unit::Money, used: rest, released: Quantity::ZERO });
    }
    rest
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        credit::testing::{any_count, any_demand, demand, quantity, uuid},
        id::LimitId,
    };

    const WALLET: GrantId = GrantId::from_uuid(uuid(9));
    const LENIENT: Strictness = Strictness::Lenient { wallet: WALLET };

    fn of_grant(id: u128, unit: Unit, count: i64) -> Hold {
        Hold { pool: PoolRef::Grant(GrantId::from_uuid(uuid(id))), unit, quantity: quantity(count) }
    }

    fn of_limit(unit: Unit, count: i64) -> Hold {
        Hold { pool: PoolRef::Limit { id: LimitId::from_uuid(uuid(1)), from: DateTime::UNIX_EPOCH }, unit, quantity: quantity(count) }
    }

    fn money(holds: &[(u128, i64)]) -> Split {
        Split { payment: holds.iter().map(|(id, count)| of_grant(*id, Unit::Money, *count)).collect(), limits: vec![] }
    }

    /// Used and released of each grant.
    fn changes(charge: &Charge) -> Vec<(i64, i64)> {
        charge.payment.iter().map(|change| (change.used.get(), change.released.get())).collect()
    }

    fn sums(charge: &Charge) -> (i64, i64, i64) {
        (charge.charged.get(), charge.overdrawn.get(), charge.written_off.get())
    }

    #[test]
    fn holds_are_used_in_their_order_and_all_released() {
        let split = money(&[(1, 3), (2, 4)]);
        for (actual, expected) in [(0, [0, 0]), (2, [2, 0]), (3, [3, 0]), (5, [3, 2]), (7, [3, 4])] {
            let charge = settle(&split, demand(actual, 99, 1), Strictness::Strict);
            assert_eq!(changes(&charge), [(expected[0], 3), (expected[1], 4)], "{actual}");
            assert_eq!(sums(&charge), (actual, 0, 0));
        }
    }

    #[test]
    fn a_strict_call_never_costs_more_than_was_held() {
        let charge = settle(&money(&[(1, 3), (9, 4)]), demand(10, 1, 1), Strictness::Strict);
        assert_eq!((changes(&charge), sums(&charge)), (vec![(3, 3), (4, 4)], (7, 0, 3)));
        let free = settle(&Split::default(), demand(10, 1, 1), Strictness::Strict);
        assert_eq!((changes(&free), sums(&free)), (vec![], (0, 0, 10)));
    }

    #[test]
    fn a_lenient_account_pays_the_rest_from_its_wallet_alone() {
        let held = settle(&money(&[(9, 4), (1, 3)]), demand(10, 1, 1), LENIENT);
        assert_eq!((changes(&held), sums(&held)), (vec![(7, 4), (3, 3)], (10, 3, 0)));
        let other = settle(&money(&[(1, 3)]), demand(10, 1, 1), LENIENT);
        assert_eq!((changes(&other), sums(&other)), (vec![(3, 3), (7, 0)], (10, 7, 0)));
        assert_eq!(other.payment[1].pool, PoolRef::Grant(WALLET));
        let free = settle(&Split::default(), demand(10, 1, 1), LENIENT);
        assert_eq!((changes(&free), sums(&free)), (vec![(10, 0)], (10, 10, 0)));
        assert_eq!(changes(&settle(&money(&[(1, 3)]), demand(3, 1, 1), LENIENT)), [(3, 3)]);
    }

    #[test]
    fn a_call_paid_in_tokens_costs_its_tokens_and_no_money() {
        let split = Split { payment: vec![of_grant(1, Unit::Tokens, 50)], limits: vec![] };
        for strictness in [Strictness::Strict, LENIENT] {
            let charge = settle(&split, demand(1_000, 30, 1), strictness);
            assert_eq!((charge.unit, changes(&charge), sums(&charge)), (Unit::Tokens, vec![(30, 50)], (30, 0, 0)));
            let above = settle(&split, demand(1_000, 60, 1), strictness);
            assert_eq!((changes(&above), sums(&above)), (vec![(50, 50)], (50, 0, 10)));
        }
    }

    #[test]
    fn limits_count_what_a_call_came_to_and_at_most_what_was_held() {
        let limits = vec![of_limit(Unit::Money, 5), of_limit(Unit::Tokens, 50), of_limit(Unit::Requests, 1)];
        let split = Split { payment: vec![of_grant(1, Unit::Money, 5)], limits };
        let counted = |actual, strictness| {
            settle(&split, actual, strictness).limits.iter().map(|change| (change.used.get(), change.released.get())).collect::<Vec<_>>()
        };
        assert_eq!(counted(demand(4, 40, 1), Strictness::Strict), [(4, 5), (40, 50), (1, 1)]);
        assert_eq!(counted(demand(6, 60, 2), LENIENT), [(5, 5), (50, 50), (1, 1)]);
        assert_eq!(counted(demand(0, 0, 0), LENIENT), [(0, 5), (0, 50), (0, 1)]);
    }

    #[test]
    fn a_released_call_costs_nothing_and_gives_all_back() {
        let split = Split { limits: vec![of_limit(Unit::Requests, 1)], ..money(&[(1, 3), (2, 4)]) };
        let charge = release(&split);
        assert_eq!((changes(&charge), sums(&charge)), (vec![(0, 3), (0, 4)], (0, 0, 0)));
        assert_eq!((charge.limits[0].used, charge.limits[0].released), (Quantity::ZERO, quantity(1)));
    }

    prop_compose! {
        fn any_split()(
            unit in prop::sample::select(vec![Unit::Money, Unit::Tokens]),
            holds in prop::collection::vec((7_u128..11, any_count()), 0..4),
            limits in prop::collection::vec((prop::sample::select(Unit::ALL.to_vec()), any_count()), 0..3),
        ) -> Split {
            Split {
                payment: holds.into_iter().map(|(id, count)| of_grant(id, unit, count)).collect(),
                limits: limits.into_iter().map(|(unit, count)| of_limit(unit, count)).collect(),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_a_call_came_to_is_charged_or_written_off(split in any_split(), actual in any_demand(), lenient: bool) {
            let charge = settle(&split, actual, if lenient { LENIENT } else { Strictness::Strict });
            let of = |quantity: Quantity| i128::from(quantity.get());
            prop_assert_eq!(of(charge.charged) + of(charge.written_off), of(actual.of(charge.unit)));
            prop_assert_eq!(charge.payment.iter().map(|change| of(change.used)).sum::<i128>(), of(charge.charged));
            let held: i128 = split.payment.iter().map(|hold| of(hold.quantity).max(0)).sum();
            prop_assert_eq!(charge.payment.iter().map(|change| of(change.released)).sum::<i128>(), held);
            prop_assert!(of(charge.charged) - of(charge.overdrawn) <= held);
            prop_assert_eq!(of(charge.charged) - of(charge.overdrawn), held.min(of(actual.of(charge.unit))));
            prop_assert!(charge.overdrawn.is_zero() || (lenient && charge.unit == Unit::Money && charge.written_off.is_zero()));
        }

        #[test]
        fn no_change_is_below_zero_and_only_the_wallet_is_used_beyond_its_hold(
            split in any_split(),
            actual in any_demand(),
            lenient: bool,
        ) {
            let charge = settle(&split, actual, if lenient { LENIENT } else { Strictness::Strict });
            prop_assert!([charge.charged, charge.overdrawn, charge.written_off].iter().all(|quantity| !quantity.is_negative()));
            for change in charge.payment.iter().chain(&charge.limits) {
                prop_assert!(!change.used.is_negative() && !change.released.is_negative());
                prop_assert!(change.used <= change.released || (lenient && change.pool == PoolRef::Grant(WALLET)));
            }
            prop_assert_eq!(charge.limits.len(), split.limits.len());
        }
    }
}
