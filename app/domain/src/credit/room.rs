//! How much a further call could take.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Caller, Demand, Grant, Hardness, Limit, Quantity, Unit, grant::Payers};

/// What a call may take at most, unit by unit; `None` where nothing bounds it. A call is within them if it is in each unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bounds {
    /// In money.
    pub money: Option<Quantity>,
    /// In tokens.
    pub tokens: Option<Quantity>,
    /// In requests.
    pub requests: Option<Quantity>,
}

impl Bounds {
    /// The bound in a unit.
    #[must_use]
    pub const fn of(&self, unit: Unit) -> Option<Quantity> {
        match unit {
            Unit::Money => self.money,
            Unit::Tokens => self.tokens,
            Unit::Requests => self.requests,
        }
    }

    /// Whether a call is within them.
    #[must_use]
    pub fn hold(&self, demand: Demand) -> bool {
        Unit::ALL.into_iter().all(|unit| self.of(unit).is_none_or(|bound| demand.of(unit) <= bound))
    }

    fn lowered(self, unit: Unit, bound: Quantity) -> Self {
        let lower = |own: Option<Quantity>| Some(own.map_or(bound, |own| own.min(bound)));
        match unit {
            Unit::Money => Self { money: lower(self.money), ..self },
            Unit::Tokens => Self { tokens: lower(self.tokens), ..self },
            Unit::Requests => Self { requests: lower(self.requests), ..self },
        }
    }
}

/// What a further call could take, exactly: [`super::admit`] admits a call if and only if [`Self::admits`] says so.
///
/// There are two ways to pay, and a call needs one of them. They cannot be one bound: with a token grant much money is no obstacle, as long
/// as the tokens suffice, and the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// For a call that is paid in money, or costs nothing. The money is bounded by grants and limits, all else by limits.
    pub by_money: Bounds,
    /// For a call of at least one token that a token grant pays; `None` if no such grant has any. The tokens are bounded by the largest
    /// grant and limits, the money, which it does not cost, by nothing, all else by limits.
    pub by_tokens: Option<Bounds>,
}

impl Room {
    /// Whether a call would be admitted.
    #[must_use]
    pub fn admits(&self, demand: Demand) -> bool {
        let has_tokens = !demand.of(Unit::Tokens).is_zero();
        self.by_money.hold(demand) || has_tokens && self.by_tokens.is_some_and(|bounds| bounds.hold(demand))
    }
}

/// How much a further call of a model could take, by the pools as they are now. See [`super::admit`] for what the arguments are.
#[must_use]
pub fn room(caller: &Caller, model: &str, grants: &[Grant], limits: &[Limit], now: DateTime<Utc>) -> Room {
    let limited = limits
        .iter()
        .filter(|limit| limit.hardness == Hardness::Hard && limit.scope.applies_to(caller))
        .fold(Bounds::default(), |bounds, limit| bounds.lowered(limit.pool.unit, limit.pool.room()));
    let payers = Payers::of(grants, model, now);
    let tokens = payers.tokens();
    Room {
        by_money: limited.lowered(Unit::Money, payers.money()),
        by_tokens: (!tokens.is_zero()).then(|| Bounds { money: None, ..limited.lowered(Unit::Tokens, tokens) }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        billing::GrantKind,
        credit::{
            Window, admit,
            testing::{NOW, any_demand, any_grants, any_limits, caller, demand, grant, limit, quantity},
        },
        money::Amount,
        tokens::Tokens,
    };

    #[test]
    fn both_ways_to_pay_have_bounds_of_their_own() {
        let grants = [
            grant(1, GrantKind::Promo, Unit::Money, 4),
            grant(2, GrantKind::Wallet, Unit::Money, 3),
            grant(3, GrantKind::Package, Unit::Tokens, 50),
            grant(4, GrantKind::Package, Unit::Tokens, 60),
        ];
        let limits =
            [limit(1, Window::Day, Unit::Money, 100), limit(2, Window::Day, Unit::Tokens, 80), limit(3, Window::Day, Unit::Tokens, 90)];
        let room = room(&caller(), "m", &grants, &limits, NOW);
        let bounds = |money, tokens| Bounds { money: Some(quantity(money)), tokens: Some(quantity(tokens)), requests: None };
        assert_eq!(room, Room { by_money: bounds(7, 80), by_tokens: Some(Bounds { money: None, ..bounds(0, 60) }) });
        assert!(room.admits(demand(7, 80, 9)) && room.admits(demand(101, 60, 9)) && !room.admits(demand(8, 61, 1)));
        assert!(!room.admits(demand(8, 0, 1)));
    }

    /// A call that takes all that the bounds allow; what nothing bounds is not asked for, but that one in tokens would cost something.
    fn utmost(bounds: Bounds) -> Demand {
        let most = |unit| bounds.of(unit).unwrap_or_default().get();
        let money = if bounds.money.is_some() { most(Unit::Money) } else { 1 };
        demand(money, most(Unit::Tokens), u32::try_from(most(Unit::Requests)).unwrap_or(u32::MAX))
    }

    /// One more of a unit.
    fn one_more(of: Demand, unit: Unit) -> Option<Demand> {
        Some(match unit {
            Unit::Money => Demand { money: of.money.checked_add(Amount::from_nanos(1))?, ..of },
            Unit::Tokens => Demand { tokens: Tokens::from_sum(of.tokens.get().checked_add(1)?), ..of },
            Unit::Requests => Demand { requests: of.requests.checked_add(1)?, ..of },
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn room_says_exactly_what_is_admitted(demand in any_demand(), grants in any_grants(), limits in any_limits()) {
            let room = room(&caller(), "m", &grants, &limits, NOW);
            prop_assert_eq!(room.admits(demand), admit(demand, &caller(), "m", &grants, &limits, NOW).is_ok());
        }

        #[test]
        fn all_of_the_room_is_admitted_and_one_more_is_not(grants in any_grants(), limits in any_limits()) {
            let room = room(&caller(), "m", &grants, &limits, NOW);
            for bounds in std::iter::once(room.by_money).chain(room.by_tokens) {
                let utmost = utmost(bounds);
                let is_admitted = |demand| admit(demand, &caller(), "m", &grants, &limits, NOW).is_ok();
                let payable = bounds == room.by_money || !utmost.of(Unit::Tokens).is_zero();
                prop_assert_eq!(payable, payable && is_admitted(utmost));
                for unit in Unit::ALL.into_iter().filter(|unit| bounds.of(*unit).is_some()) {
                    let Some(more) = one_more(utmost, unit) else { continue };
                    prop_assert!(!bounds.hold(more));
                    // Only the other way to pay may still admit it.
                    prop_assert_eq!(is_admitted(more), room.admits(more));
                }
            }
        }
    }
}
