//! Whether a call may begin, and which pools it then holds.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Caller, Exhausted, Grant, Hardness, Hold, Limit, PoolRef, Quantity, Unit, grant::Payers};
use crate::{money::Amount, tokens::Tokens};

/// What a call takes: before it, the most that it can; after it, what it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Demand {
    /// At the price of the call.
    pub money: Amount,
    /// Prompt and completion.
    pub tokens: Tokens,
    /// How many calls it counts as: one, or the calls of a batch.
    pub requests: u32,
}

impl Demand {
    /// Nothing at all.
    pub const NOTHING: Self = Self { money: Amount::ZERO, tokens: Tokens::ZERO, requests: 0 };

    /// How much it is in a unit. A number below zero counts as zero, so that nobody gains by it.
    #[must_use]
    pub fn of(&self, unit: Unit) -> Quantity {
        match unit {
            Unit::Money => Quantity::from(self.money).or_zero(),
            Unit::Tokens => Quantity::from(self.tokens).or_zero(),
            Unit::Requests => Quantity::from_count(i64::from(self.requests)),
        }
    }

    /// What limits bound of it: a call that is paid in tokens costs no money.
    #[must_use]
    pub fn paid_in(self, unit: Unit) -> Self {
        match unit {
            Unit::Tokens => Self { money: Amount::ZERO, ..self },
            Unit::Money | Unit::Requests => self,
        }
    }
}

/// What a payment is counted in: tokens of one grant, else money, also where there is nothing to pay.
#[must_use]
pub fn unit_of(payment: &[Hold]) -> Unit {
    payment.first().map_or(Unit::Money, |hold| hold.unit)
}

/// What an admitted call holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Split {
    /// Of grants, in the order in which they pay: tokens of one, or money of several. Empty for a free call.
    pub payment: Vec<Hold>,
    /// Of every limit that applies, hard or soft, also where it is zero.
    pub limits: Vec<Hold>,
}

/// Admits a call of a model, or refuses it, by the pools as they are now. All of the demand is held, or nothing.
///
/// Every hard limit that counts the caller's calls must have room for the demand in its unit, and grants must pay for it:
///
/// 1. a call that costs nothing needs none;
/// 2. a token grant pays for the whole call, its flat fee included, if by itself it has all the tokens that are demanded, at least one;
/// 3. else money grants pay, each with what it has, until the demand is met.
///
/// A call that a token grant pays costs no money: limits of money neither refuse nor count it.
///
/// Only grants in force that cover the model pay. Of several, the one that expires soonest comes first (one that never does comes last),
/// then the lower priority, then any other before a wallet, then the lower id. The limits' pools are those of the windows that hold `now`.
///
/// # Errors
/// [`Exhausted`] by the pool that refuses longest.
pub fn admit(
    demand: Demand,
    caller: &Caller,
    model: &str,
    grants: &[Grant],
    limits: &[Limit],
    now: DateTime<Utc>,
) -> Result<Split, Exhausted> {
    // Credit refuses forever, and comes first among what does: no limit needs to be asked then.
    let payment = pay(demand, model, grants, now)?;
    let limits = bound(demand.paid_in(unit_of(&payment)), caller, limits, now)?;
    Ok(Split { payment, limits })
}

/// What a call holds of the limits that count it: the part of [`admit`] that asks limits alone. See [`Demand::paid_in`].
///
/// # Errors
/// [`Exhausted`] by a hard limit.
pub fn bound(demand: Demand, caller: &Caller, limits: &[Limit], now: DateTime<Utc>) -> Result<Vec<Hold>, Exhausted> {
    let applying = limits.iter().filter(|limit| limit.scope.applies_to(caller));
    let hard = applying.clone().filter(|limit| limit.hardness == Hardness::Hard);
    if let Some(exhausted) = hard.filter_map(|limit| Exhausted::of_limit(limit, demand, now)).max_by_key(Exhausted::lasting) {
        return Err(exhausted);
    }
    let held = |limit: &Limit| Hold { pool: limit.pool_ref(now), unit: limit.pool.unit, quantity: demand.of(limit.pool.unit) };
    Ok(applying.map(held).collect())
}

/// Who pays for a call of a model, and how much of it: the part of [`admit`] that asks grants alone.
///
/// # Errors
/// [`Exhausted`] by credit.
pub fn pay(demand: Demand, model: &str, grants: &[Grant], now: DateTime<Utc>) -> Result<Vec<Hold>, Exhausted> {
    if demand.of(Unit::Money).is_zero() {
        return Ok(Vec::new());
    }
    let payers = Payers::of(grants, model, now);
    in_tokens(demand.of(Unit::Tokens), &payers)
        .map(|hold| vec![hold])
        .or_else(|| in_money(demand.of(Unit::Money), &payers))
        .ok_or_else(|| Exhausted::of_credit(demand, &payers))
}

/// All from one grant. No tokens are no payment: else whoever has a token grant, be it empty, would have all calls free that cost a flat
/// fee alone.
fn in_tokens(wanted: Quantity, payers: &Payers<'_>) -> Option<Hold> {
    if wanted.is_zero() {
        return None;
    }
    let payer = payers.in_unit(Unit::Tokens).find(|grant| grant.pool.room() >= wanted)?;
    Some(hold(payer, wanted))
}

fn in_money(wanted: Quantity, payers: &Payers<'_>) -> Option<Vec<Hold>> {
    let (holds, missing) = take_from(payers, wanted, Unit::Money);
    missing.is_zero().then_some(holds)
}

/// What there is of a quantity, for a call of a model: from each grant that is counted in its unit what it has, in the order in which they pay.
#[must_use]
pub fn take(wanted: Quantity, unit: Unit, model: &str, grants: &[Grant], now: DateTime<Utc>) -> Vec<Hold> {
    take_from(&Payers::of(grants, model, now), wanted, unit).0
}

/// The same, and what is missing.
fn take_from(payers: &Payers<'_>, wanted: Quantity, unit: Unit) -> (Vec<Hold>, Quantity) {
    let mut rest = wanted.or_zero();
    let mut holds = Vec::new();
    for grant in payers.in_unit(unit) {
        let given = grant.pool.room().min(rest);
        if !given.is_zero() {
            holds.push(hold(grant, given));
            rest = rest.less(given);
        }
    }
    (holds, rest)
}

fn hold(grant: &Grant, quantity: Quantity) -> Hold {
    Hold { pool: PoolRef::Grant(grant.id), unit: grant.pool.unit, quantity }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        billing::GrantKind,
        credit::{
            Pool, Refuser, Scope, Window,
            testing::{NOW, any_demand, any_grants, any_limits, caller, demand, grant, limit, quantity, uuid},
        },
        id::{GrantId, KeyId},
    };

    fn ask(demand: Demand, grants: &[Grant], limits: &[Limit]) -> Result<Split, Exhausted> {
        admit(demand, &caller(), "m", grants, limits, NOW)
    }

    /// Grants and what is held of them.
    fn payment(demand: Demand, grants: &[Grant]) -> Option<Vec<(u128, i64)>> {
        let split = ask(demand, grants, &[]).ok()?;
        let pay = |hold: Hold| match hold.pool {
            PoolRef::Grant(id) => (id.uuid().as_u128(), hold.quantity.get()),
            PoolRef::Limit { .. } => unreachable!("a limit pays nothing"),
        };
        Some(split.payment.into_iter().map(pay).collect())
    }

    fn promo(id: u128, capacity: i64) -> Grant {
        grant(id, GrantKind::Promo, Unit::Money, capacity)
    }

    fn package(id: u128, tokens: i64) -> Grant {
        grant(id, GrantKind::Package, Unit::Tokens, tokens)
    }

    #[test]
    fn several_grants_pay_together_each_with_what_it_has() {
        let grants = [promo(1, 3), promo(2, 0), promo(3, -5), promo(4, 4), promo(5, 9)];
        assert_eq!(payment(demand(2, 1, 1), &grants), Some(vec![(1, 2)]));
        assert_eq!(payment(demand(3, 1, 1), &grants), Some(vec![(1, 3)]));
        assert_eq!(payment(demand(8, 1, 1), &grants), Some(vec![(1, 3), (4, 4), (5, 1)]));
        assert_eq!(payment(demand(16, 1, 1), &grants), Some(vec![(1, 3), (4, 4), (5, 9)]));
        assert_eq!(payment(demand(17, 1, 1), &grants), None);
    }

    #[test]
    fn what_expires_soonest_pays_before_what_has_the_lower_priority_or_id() {
        let soon = Grant { expires_at: Some(NOW + TimeDelta::hours(1)), priority: 9, ..promo(3, 2) };
        let wallet = grant(1, GrantKind::Wallet, Unit::Money, 5);
        assert_eq!(payment(demand(6, 1, 1), &[wallet, promo(2, 2), soon]), Some(vec![(3, 2), (2, 2), (1, 2)]));
    }

    #[test]
    fn a_token_grant_pays_the_whole_call_or_nothing_of_it() {
        let grants = [promo(1, 100), package(2, 4), package(3, 6)];
        assert_eq!(payment(demand(50, 4, 1), &grants), Some(vec![(2, 4)]));
        assert_eq!(payment(demand(50, 5, 1), &grants), Some(vec![(3, 5)]));
        assert_eq!(payment(demand(50, 7, 1), &grants), Some(vec![(1, 50)]));
        assert_eq!(payment(demand(1_000, 6, 1), &grants), Some(vec![(3, 6)]));
    }

    #[test]
    fn a_grant_counted_in_requests_pays_nothing() {
        assert_eq!(payment(demand(1, 1, 1), &[grant(1, GrantKind::Plan, Unit::Requests, 100)]), None);
    }

    #[test]
    fn a_flat_fee_without_tokens_is_paid_in_money() {
        assert_eq!(payment(demand(5, 0, 1), &[package(1, 0)]), None);
        assert_eq!(payment(demand(5, 0, 1), &[package(1, 100), promo(2, 5)]), Some(vec![(2, 5)]));
    }

    #[test]
    fn a_grant_that_is_not_in_force_or_is_for_other_models_pays_nothing() {
        let later = Grant { starts_at: NOW + TimeDelta::nanoseconds(1), ..promo(1, 9) };
        let over = Grant { expires_at: Some(NOW), ..promo(2, 9) };
        let scoped = Grant { models: Some(vec!["other".to_owned()]), ..promo(3, 9) };
        let tokens = Grant { models: Some(vec!["other".to_owned()]), ..package(4, 9) };
        assert_eq!(payment(demand(1, 1, 1), &[later, over, scoped, tokens]), None);
    }

    #[test]
    fn a_free_call_needs_no_grant_and_counts_against_limits() {
        let limits = [limit(1, Window::Day, Unit::Tokens, 5), limit(2, Window::Minute, Unit::Requests, 1)];
        let split = ask(demand(0, 5, 1), &[], &limits);
        let held: Vec<_> = split.iter().flat_map(|split| &split.limits).map(|hold| (hold.unit, hold.quantity.get())).collect();
        assert_eq!(held, [(Unit::Tokens, 5), (Unit::Requests, 1)]);
        assert!(ask(demand(0, 6, 1), &[], &limits).is_err() && ask(demand(0, 5, 2), &[], &limits).is_err());
    }

    #[test]
    fn a_free_call_takes_no_tokens_of_a_package() {
        assert_eq!(payment(demand(0, 5, 1), &[package(1, 9), promo(2, 9)]), Some(vec![]));
    }

    #[test]
    fn a_soft_limit_is_counted_and_refuses_nothing() {
        let soft = Limit { hardness: Hardness::Soft, ..limit(1, Window::Day, Unit::Requests, 0) };
        let split = ask(demand(0, 0, 3), &[], std::slice::from_ref(&soft));
        let expected = Hold { pool: soft.pool_ref(NOW), unit: Unit::Requests, quantity: quantity(3) };
        assert_eq!(split, Ok(Split { payment: vec![], limits: vec![expected] }));
    }

    #[test]
    fn a_limit_of_somebody_else_neither_refuses_nor_counts() {
        let other = Limit { scope: Scope::Key(KeyId::from_uuid(uuid(9))), ..limit(1, Window::Day, Unit::Requests, 0) };
        assert_eq!(ask(demand(0, 0, 1), &[], &[other]), Ok(Split::default()));
    }

    #[test]
    fn a_call_that_is_paid_in_tokens_takes_nothing_of_limits_of_money() {
        let limits = [limit(1, Window::Month, Unit::Money, 7), limit(2, Window::Month, Unit::Tokens, 3)];
        let held = |money, tokens, grants: &[Grant]| {
            ask(demand(money, tokens, 1), grants, &limits)
                .map(|split| split.limits.iter().map(|hold| hold.quantity.get()).collect::<Vec<_>>())
        };
        assert_eq!(held(8, 2, &[package(1, 2)]), Ok(vec![0, 2]));
        assert_eq!(held(7, 2, &[promo(1, 9)]), Ok(vec![7, 2]));
        assert!(held(8, 2, &[promo(1, 9)]).is_err() && held(8, 4, &[package(1, 9)]).is_err());
    }

    #[test]
    fn what_there_is_of_a_quantity_is_taken_in_its_unit_alone() {
        let grants = [promo(1, 3), package(2, 4), package(3, 6)];
        let taken =
            |wanted, unit| take(quantity(wanted), unit, "m", &grants, NOW).iter().map(|hold| hold.quantity.get()).collect::<Vec<_>>();
        assert_eq!((taken(2, Unit::Money), taken(9, Unit::Money)), (vec![2], vec![3]));
        assert_eq!((taken(5, Unit::Tokens), taken(99, Unit::Tokens)), (vec![4, 1], vec![4, 6]));
        assert_eq!((taken(0, Unit::Tokens), taken(-1, Unit::Money)), (vec![], vec![]));
    }

    #[test]
    fn a_limit_without_room_refuses_no_call_that_takes_nothing_of_it() {
        assert!(ask(demand(0, 9, 1), &[], &[limit(1, Window::Day, Unit::Money, -3)]).is_ok());
    }

    #[test]
    fn a_demand_below_zero_is_none() {
        assert_eq!(demand(-5, -6, 1).of(Unit::Money), Quantity::ZERO);
        let split = ask(demand(-5, -6, 1), &[promo(1, 9)], &[limit(1, Window::Day, Unit::Tokens, 9)]);
        assert_eq!(split.map(|split| (split.payment, split.limits[0].quantity)), Ok((vec![], Quantity::ZERO)));
    }

    /// Whether the rules admit a call, written without any of the code above.
    fn may(demand: Demand, grants: &[Grant], limits: &[Limit]) -> bool {
        let rest = |pool: &Pool| i128::from(pool.capacity.get()) - i128::from(pool.used.get()) - i128::from(pool.leased.get());
        let wanted = |unit| match unit {
            Unit::Money => i128::from(demand.money.nanos()).max(0),
            Unit::Tokens => i128::from(demand.tokens.get()).max(0),
            Unit::Requests => i128::from(demand.requests),
        };
        let usable: Vec<_> = grants
            .iter()
            .filter(|grant| {
                let over = grant.kind != GrantKind::Wallet && grant.expires_at.is_some_and(|at| at <= NOW);
                let ours = grant.models.as_ref().is_none_or(|models| models.contains(&"m".to_owned()));
                grant.starts_at <= NOW && !over && ours
            })
            .collect();
        let money: i128 = usable.iter().filter(|grant| grant.pool.unit == Unit::Money).map(|grant| rest(&grant.pool).max(0)).sum();
        let tokens = usable.iter().filter(|grant| grant.pool.unit == Unit::Tokens).map(|grant| rest(&grant.pool)).max().unwrap_or(0);
        let in_tokens = wanted(Unit::Money) > 0 && wanted(Unit::Tokens) > 0 && wanted(Unit::Tokens) <= tokens;
        let bounded = limits.iter().any(|limit| {
            let wanted = if in_tokens && limit.pool.unit == Unit::Money { 0 } else { wanted(limit.pool.unit) };
            limit.scope == Scope::Account && limit.hardness == Hardness::Hard && wanted > 0 && wanted > rest(&limit.pool)
        });
        !bounded && (in_tokens || wanted(Unit::Money) <= money)
    }

    /// The same question with just so much of one unit.
    fn with(demand: Demand, unit: Unit, quantity: Quantity) -> Demand {
        match unit {
            Unit::Money => Demand { money: Amount::from_nanos(quantity.get()), ..demand },
            Unit::Tokens => Demand { tokens: Tokens::from_sum(quantity.get()), ..demand },
            Unit::Requests => Demand { requests: u32::try_from(quantity.get()).unwrap_or(u32::MAX), ..demand },
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_call_is_admitted_exactly_if_the_rules_say_so(demand in any_demand(), grants in any_grants(), limits in any_limits()) {
            prop_assert_eq!(ask(demand, &grants, &limits).is_ok(), may(demand, &grants, &limits));
        }

        #[test]
        fn what_is_held_is_the_demand_and_is_there(demand in any_demand(), grants in any_grants(), limits in any_limits()) {
            let Ok(split) = ask(demand, &grants, &limits) else { return Ok(()) };
            let unit = unit_of(&split.payment);
            let sum: i128 = split.payment.iter().map(|hold| i128::from(hold.quantity.get())).sum();
            prop_assert_eq!(sum, i128::from(demand.of(unit).get()));
            for held in &split.payment {
                prop_assert!(held.unit == unit && held.quantity > Quantity::ZERO);
                let room = grants.iter().find(|grant| PoolRef::Grant(grant.id) == held.pool).map(|grant| grant.pool.room());
                prop_assert!(room.is_some_and(|room| held.quantity <= room));
            }
            let applying: Vec<_> = limits.iter().filter(|limit| limit.scope == Scope::Account).collect();
            prop_assert_eq!(split.limits.len(), applying.len());
            for (held, limit) in split.limits.iter().zip(applying) {
                let costs_none = unit == Unit::Tokens && limit.pool.unit == Unit::Money;
                let quantity = if costs_none { Quantity::ZERO } else { demand.of(limit.pool.unit) };
                prop_assert_eq!(*held, Hold { pool: limit.pool_ref(NOW), unit: limit.pool.unit, quantity });
            }
        }

        #[test]
        fn who_pays_does_not_depend_on_the_order_in_which_grants_are_read(
            demand in any_demand(),
            grants in any_grants(),
            limits in any_limits(),
        ) {
            let backwards: Vec<_> = grants.iter().rev().cloned().collect();
            prop_assert_eq!(ask(demand, &grants, &limits), ask(demand, &backwards, &limits));
        }

        #[test]
        fn what_a_refusal_calls_available_can_be_leased(demand in any_demand(), grants in any_grants(), limits in any_limits()) {
            let Err(refusal) = ask(demand, &grants, &limits) else { return Ok(()) };
            let unit = refusal.pool.unit();
            prop_assert_eq!(refusal.needed, demand.of(unit));
            prop_assert!(Quantity::ZERO <= refusal.available && refusal.available < refusal.needed);
            prop_assert!(refusal.resets_at.is_none_or(|at| NOW < at));
            let alone = match refusal.pool {
                Refuser::Limit { id, .. } => {
                    let own: Vec<_> = limits.iter().filter(|limit| limit.id == id).cloned().collect();
                    let all = [promo(99, i64::MAX)];
                    prop_assert!(ask(demand, &all, &own).is_err());
                    ask(with(demand, unit, refusal.available), &all, &own)
                }
                // A call of no tokens is not paid in any.
                Refuser::Credit { unit: Unit::Tokens } if refusal.available.is_zero() => return Ok(()),
                Refuser::Credit { .. } => {
                    prop_assert!(ask(demand, &grants, &[]).is_err());
                    ask(with(demand, unit, refusal.available), &grants, &[])
                }
            };
            prop_assert!(alone.is_ok());
        }

        #[test]
        fn whoever_waits_for_a_refusal_runs_into_no_other_one(demand in any_demand(), grants in any_grants(), limits in any_limits()) {
            let Err(refusal) = ask(demand, &grants, &limits) else { return Ok(()) };
            let Some(then) = refusal.resets_at else { return Ok(()) };
            prop_assert!(ask(demand, &grants, &[]).is_ok(), "credit lasts longer");
            // By then each window that has ended is empty again.
            let has_ended = |limit: &Limit| limit.resets_at(NOW).is_some_and(|ends| ends <= then);
            let mut anew = limits;
            for limit in anew.iter_mut().filter(|limit| has_ended(limit)) {
                limit.pool = Pool::new(limit.pool.unit, limit.pool.capacity);
            }
            let in_tokens = pay(demand, "m", &grants, NOW).is_ok_and(|holds| unit_of(&holds) == Unit::Tokens);
            let rich = if in_tokens { package(1, i64::MAX) } else { promo(1, i64::MAX) };
            prop_assert!(admit(demand, &caller(), "m", &[rich], &anew, then).is_ok());
        }
    }

    #[test]
    fn of_equal_grants_the_lower_id_pays() {
        let id = |number| GrantId::from_uuid(uuid(number));
        assert!(id(1) < id(2));
        assert_eq!(payment(demand(1, 1, 1), &[promo(2, 5), promo(1, 5)]), Some(vec![(1, 1)]));
    }
}
