//! The one refusal there is.

use std::{cmp::Reverse, fmt};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Demand, Limit, Quantity, Scope, Unit, Window, grant::Payers};
use crate::id::LimitId;

/// A call was refused, because a pool has not all that the call may take.
///
/// If several have not, it is the one that refuses longest: whoever waits until `resets_at` is refused by none of the others, as things are
/// now. Credit comes before limits that refuse as long, and a lower id before a higher one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhausted {
    /// What refuses.
    pub pool: Refuser,
    /// What the call may take of it.
    pub needed: Quantity,
    /// What can be held of it: the same call with just so much of this unit is not refused by it, unless
    /// that is no token, in which nothing is paid. Never below zero.
    pub available: Quantity,
    /// What running calls hold of it: part of that comes back when they end.
    pub held: Quantity,
    /// When the pool begins anew and has room for the call. `None` if waiting does not help: it never begins anew, or all that it has then
    /// is not enough either.
    pub resets_at: Option<DateTime<Utc>>,
}

/// What refuses a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refuser {
    /// A hard limit.
    Limit {
        /// The limit.
        id: LimitId,
        /// Whose calls it counts.
        scope: Scope,
        /// When it begins anew.
        window: Window,
        /// What it is counted in.
        unit: Unit,
        /// How much there is in each of its windows.
        capacity: Quantity,
    },
    /// The grants.
    Credit {
        /// Money or tokens: of which there is the larger part of what the call needs.
        unit: Unit,
    },
}

impl Refuser {
    /// What it is counted in.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        match self {
            Self::Limit { unit, .. } | Self::Credit { unit } => *unit,
        }
    }

    const fn limit(&self) -> Option<LimitId> {
        match self {
            Self::Limit { id, .. } => Some(*id),
            Self::Credit { .. } => None,
        }
    }
}

impl Exhausted {
    /// Of a limit, if it has no room for a call.
    pub(super) fn of_limit(limit: &Limit, demand: Demand, now: DateTime<Utc>) -> Option<Self> {
        let Limit { id, ref scope, window, pool, .. } = *limit;
        let (needed, available) = (demand.of(pool.unit), pool.room());
        (needed > available).then(|| Self {
            pool: Refuser::Limit { id, scope: scope.clone(), window, unit: pool.unit, capacity: pool.capacity },
            needed,
            available,
            held: pool.coming(),
            resets_at: limit.resets_at(now).filter(|_| needed <= pool.capacity),
        })
    }

    /// Of grants that cannot pay for a call. They say of which unit there is the larger part, since a smaller call comes furthest with that; where
    /// there is nothing of either, of which the larger part may come back. In doubt they say money.
    pub(super) fn of_credit(demand: Demand, payers: &Payers<'_>) -> Self {
        let of = |unit, available, held| Self { pool: Refuser::Credit { unit }, needed: demand.of(unit), available, held, resets_at: None };
        let money = of(Unit::Money, payers.money(), payers.money_held());
        let tokens = of(Unit::Tokens, payers.tokens(), payers.tokens_held());
        let is_larger = |part: fn(&Self) -> i128| {
            let (of_tokens, of_money) = (part(&tokens), part(&money));
            (of_tokens * i128::from(money.needed.get())).cmp(&(of_money * i128::from(tokens.needed.get())))
        };
        let available = is_larger(|it| i128::from(it.available.get()));
        let then = is_larger(|it| i128::from(it.available.get().saturating_add(it.held.get())));
        if !tokens.needed.is_zero() && available.then(then).is_gt() { tokens } else { money }
    }

    /// Whether only running calls stand in the way: when they end, the same call may be admitted.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        i128::from(self.needed.get()) <= i128::from(self.available.get()) + i128::from(self.held.get())
    }

    /// The refusal of a limit that lasts longest is the largest.
    pub(super) fn lasting(&self) -> impl Ord + use<> {
        (self.resets_at.is_none(), self.resets_at, Reverse(self.pool.limit()))
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.pool.unit();
        let (needed, available) = (self.needed.in_words(unit), self.available.in_words(unit));
        match &self.pool {
            Refuser::Limit { scope, window, .. } => {
                let (scope, window) = (scope.kind().name(), window.label().to_lowercase());
                write!(f, "the call may take {needed}, and the {scope}'s limit {window} has {available} left")
            }
            Refuser::Credit { .. } => write!(f, "the call may cost {needed}, and the account's credit has {available} left"),
        }
    }
}

impl std::error::Error for Exhausted {}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{
        billing::GrantKind,
        credit::{
            Grant, Hardness, admit,
            testing::{NOW, caller, demand, grant, limit, quantity, uuid},
        },
    };

    fn refusal(demand: Demand, grants: &[Grant], limits: &[Limit]) -> Exhausted {
        admit(demand, &caller(), "m", grants, limits, NOW).unwrap_err()
    }

    fn limit_id(refusal: &Exhausted) -> u128 {
        refusal.pool.limit().map_or(0, |id| id.uuid().as_u128())
    }

    #[test]
    fn a_call_may_pass_once_running_ones_have_ended_if_what_they_hold_is_enough() {
        let wallet = |capacity, leased| {
            let mut wallet = grant(1, GrantKind::Wallet, Unit::Money, capacity);
            wallet.pool.leased = quantity(leased);
            wallet
        };
        let may_pass = |wallet: Grant| refusal(demand(5, 1, 1), &[wallet], &[]).may_pass();
        assert!(may_pass(wallet(5, 3)) && !may_pass(wallet(4, 3)) && !may_pass(wallet(0, 9)));
        let mut day = limit(7, Window::Day, Unit::Requests, 1);
        day.pool.leased = quantity(1);
        assert!(refusal(demand(0, 1, 1), &[], &[day.clone()]).may_pass());
        (day.pool.leased, day.pool.used) = (quantity(0), quantity(1));
        assert!(!refusal(demand(0, 1, 1), &[], &[day]).may_pass());
    }

    #[test]
    fn a_refusal_says_which_limit_and_when_it_resets() {
        let minute = limit(7, Window::Minute, Unit::Tokens, 10);
        let mut used = minute.clone();
        (used.pool.used, used.pool.leased) = (quantity(4), quantity(3));
        assert_eq!(
            refusal(demand(0, 4, 1), &[], &[used]),
            Exhausted {
                pool: Refuser::Limit {
                    id: minute.id,
                    scope: Scope::Account,
                    window: Window::Minute,
                    unit: Unit::Tokens,
                    capacity: minute.pool.capacity,
                },
                needed: quantity(4),
                available: quantity(3),
                held: quantity(3),
                resets_at: minute.resets_at(NOW),
            }
        );
    }

    #[test]
    fn the_refusal_that_lasts_longest_is_named() {
        let full = |id, window| Limit {
            pool: crate::credit::Pool { used: quantity(1), ..limit(id, window, Unit::Requests, 1).pool },
            ..limit(id, window, Unit::Requests, 1)
        };
        let (minute, day, month, ever) = (full(1, Window::Minute), full(2, Window::Day), full(3, Window::Month), full(4, Window::Ever));
        let ask = |limits: &[&Limit]| limit_id(&refusal(demand(0, 0, 1), &[], &limits.iter().copied().cloned().collect::<Vec<_>>()));
        assert_eq!(ask(&[&minute, &day]), 2);
        assert_eq!(ask(&[&month, &day, &minute]), 3);
        assert_eq!(ask(&[&month, &ever, &minute]), 4);
        let soft = Limit { hardness: Hardness::Soft, ..ever };
        assert_eq!(ask(&[&month, &soft, &minute]), 3);
    }

    #[test]
    fn of_equal_refusals_credit_comes_first_and_then_the_lower_id() {
        let ever = |id| limit(id, Window::Ever, Unit::Requests, 0);
        assert_eq!(refusal(demand(1, 1, 1), &[], &[ever(1)]).pool, Refuser::Credit { unit: Unit::Money });
        let wallet = [grant(1, GrantKind::Wallet, Unit::Money, 1)];
        assert_eq!(limit_id(&refusal(demand(1, 1, 1), &wallet, &[ever(3), ever(2), ever(4)])), 2);
    }

    #[test]
    fn credit_lasts_longer_than_a_window() {
        let mut month = limit(1, Window::Month, Unit::Requests, 1);
        month.pool.used = quantity(1);
        assert_eq!(refusal(demand(1, 1, 1), &[], &[month]).pool, Refuser::Credit { unit: Unit::Money });
    }

    #[test]
    fn a_call_larger_than_the_limit_gains_nothing_by_waiting() {
        let minute = limit(1, Window::Minute, Unit::Tokens, 10);
        assert_eq!(refusal(demand(0, 11, 1), &[], std::slice::from_ref(&minute)).resets_at, None);
        let mut used = minute;
        used.pool.used = quantity(1);
        assert!(refusal(demand(0, 10, 1), &[], &[used]).resets_at.is_some());
    }

    #[test]
    fn credit_is_named_in_the_unit_of_which_there_is_some() {
        let tokens = grant(1, GrantKind::Package, Unit::Tokens, 5);
        let money = grant(2, GrantKind::Promo, Unit::Money, 3);
        let named = |demand, grants: &[Grant]| {
            let refusal = refusal(demand, grants, &[]);
            (refusal.pool.unit(), refusal.needed.get(), refusal.available.get())
        };
        assert_eq!(named(demand(9, 8, 1), std::slice::from_ref(&tokens)), (Unit::Tokens, 8, 5));
        assert_eq!(named(demand(9, 8, 1), &[tokens.clone(), money.clone()]), (Unit::Tokens, 8, 5), "5 of 8 are more than 3 of 9");
        assert_eq!(named(demand(4, 8, 1), &[tokens.clone(), money]), (Unit::Money, 4, 3));
        let mut held = tokens.clone();
        held.pool.leased = quantity(5);
        let of_held = refusal(demand(9, 4, 1), std::slice::from_ref(&held), &[]);
        assert_eq!((of_held.pool.unit(), of_held.available.get(), of_held.held.get(), of_held.may_pass()), (Unit::Tokens, 0, 5, true));
        assert_eq!(named(demand(9, 0, 1), &[tokens]), (Unit::Money, 9, 0));
        assert_eq!(named(demand(9, 8, 1), &[]), (Unit::Money, 9, 0));
    }

    #[test]
    fn what_is_overdrawn_is_called_nothing_not_less() {
        let wallet = grant(1, GrantKind::Wallet, Unit::Money, -5);
        assert_eq!(refusal(demand(1, 1, 1), &[wallet], &[]).available, Quantity::ZERO);
        assert_eq!(refusal(demand(0, 0, 1), &[], &[limit(1, Window::Day, Unit::Requests, -5)]).available, Quantity::ZERO);
    }

    #[test]
    fn people_can_read_it() {
        let scoped = Limit { scope: Scope::Key(crate::id::KeyId::from_uuid(uuid(1))), ..limit(1, Window::Minute, Unit::Tokens, 10) };
        assert_eq!(
            refusal(demand(0, 11, 1), &[], &[scoped]).to_string(),
            "the call may take 11 tokens, and the key's limit per minute has 10 tokens left"
        );
        let wallet = grant(1, GrantKind::Wallet, Unit::Money, 20_000_000);
        assert_eq!(
            refusal(demand(500_000_000, 1, 1), &[wallet], &[]).to_string(),
            "the call may cost 0.5, and the account's credit has 0.02 left"
        );
    }
}
