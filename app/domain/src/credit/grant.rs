//! Pools of credit that pay.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Pool, PoolRef, Quantity, Unit};
use crate::{billing::GrantKind, id::GrantId};

/// Credit of one origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The grant.
    pub id: GrantId,
    /// Where it comes from.
    pub kind: GrantKind,
    /// What is in it, in money or in tokens. A credit line is part of the capacity: what was paid in − `floor`.
    pub pool: Pool,
    /// The models it pays for; `None` for all.
    pub models: Option<Vec<String>>,
    /// How far the balance may fall: zero, or minus the credit line.
    pub floor: Quantity,
    /// From when it pays.
    pub starts_at: DateTime<Utc>,
    /// From when it no longer pays; see [`Self::expiry`].
    pub expires_at: Option<DateTime<Utc>>,
    /// Which of two grants that expire together pays first: the lower one.
    pub priority: i32,
}

impl Grant {
    /// Its pool.
    #[must_use]
    pub const fn pool_ref(&self) -> PoolRef {
        PoolRef::Grant(self.id)
    }

    /// From when it no longer pays. A wallet never expires, whatever is stored with it: it is the customer's own money.
    #[must_use]
    pub fn expiry(&self) -> Option<DateTime<Utc>> {
        if self.kind == GrantKind::Wallet { None } else { self.expires_at }
    }

    /// Whether it pays for calls that are admitted now.
    #[must_use]
    pub fn in_force(&self, now: DateTime<Utc>) -> bool {
        self.starts_at <= now && !self.has_expired(now)
    }

    /// Whether it pays for calls of a model.
    #[must_use]
    pub fn covers(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|name| name == model))
    }

    /// What is lost because the grant has expired: what was paid in and is neither used nor held by running calls, never below zero. What
    /// these give back lapses when they end. A credit line cannot lapse, since it was never paid in.
    #[must_use]
    pub fn lapsed(&self, now: DateTime<Utc>) -> Quantity {
        if !self.has_expired(now) {
            return Quantity::ZERO;
        }
        let line = i128::from(self.floor.get()).min(0);
        Quantity::nearest(self.pool.exact() + line).or_zero()
    }

    /// The order in which grants pay: what is lost soonest first, the customer's own money last.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        let expiry = self.expiry();
        (expiry.is_none(), expiry, self.priority, self.kind == GrantKind::Wallet, self.id)
    }

    /// Whether it no longer pays, and takes nothing back.
    #[must_use]
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.expiry().is_some_and(|expiry| expiry <= now)
    }
}

/// The grants that can pay for a call, in the order in which they do.
pub(super) struct Payers<'a>(Vec<&'a Grant>);

impl<'a> Payers<'a> {
    /// Those in force now that cover a model.
    pub(super) fn of(grants: &'a [Grant], model: &str, now: DateTime<Utc>) -> Self {
        let mut payers: Vec<_> = grants.iter().filter(|grant| grant.in_force(now) && grant.covers(model)).collect();
        payers.sort_by_key(|grant| grant.rank());
        Self(payers)
    }

    /// Those counted in a unit.
    pub(super) fn in_unit(&self, unit: Unit) -> impl Iterator<Item = &'a Grant> + '_ {
        self.0.iter().copied().filter(move |grant| grant.pool.unit == unit)
    }

    /// What all money grants have together.
    pub(super) fn money(&self) -> Quantity {
        Quantity::nearest(self.in_unit(Unit::Money).map(|grant| i128::from(grant.pool.room().get())).sum())
    }

    /// What running calls hold of all money grants, as far as there is credit behind it.
    pub(super) fn money_held(&self) -> Quantity {
        Quantity::nearest(self.in_unit(Unit::Money).map(|grant| i128::from(grant.pool.coming().get())).sum()).or_zero()
    }

    /// What the largest token grant has: one of them pays for all of a call, or none does.
    pub(super) fn tokens(&self) -> Quantity {
        self.in_unit(Unit::Tokens).map(|grant| grant.pool.room()).max().unwrap_or_default()
    }

    /// How much more one token grant may have once running calls have ended.
    pub(super) fn tokens_held(&self) -> Quantity {
        let most = self.in_unit(Unit::Tokens).map(|grant| grant.pool.room().get().saturating_add(grant.pool.coming().get())).max();
        Quantity::from_count(most.unwrap_or_default()).less(self.tokens())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::credit::testing::{NOW, grant, quantity};

    fn soon() -> DateTime<Utc> {
        NOW + TimeDelta::hours(1)
    }

    #[test]
    fn a_grant_pays_from_its_start_until_its_expiry() {
        let promo = Grant { starts_at: NOW, expires_at: Some(soon()), ..grant(1, GrantKind::Promo, Unit::Money, 5) };
        assert!(!promo.in_force(NOW - TimeDelta::nanoseconds(1)));
        assert!(promo.in_force(NOW) && promo.in_force(soon() - TimeDelta::nanoseconds(1)));
        assert!(!promo.in_force(soon()));
    }

    #[test]
    fn a_scoped_grant_pays_for_its_models_alone() {
        let scoped = Grant { models: Some(vec!["small".to_owned(), "large".to_owned()]), ..grant(1, GrantKind::Promo, Unit::Money, 5) };
        assert!(scoped.covers("small") && scoped.covers("large") && !scoped.covers("larg") && !scoped.covers("larger"));
        assert!(grant(1, GrantKind::Promo, Unit::Money, 5).covers("anything"));
        assert!(!Grant { models: Some(vec![]), ..grant(1, GrantKind::Promo, Unit::Money, 5) }.covers("small"));
    }

    #[test]
    fn what_an_expired_grant_still_has_lapses() {
        let mut promo = Grant { expires_at: Some(soon()), ..grant(1, GrantKind::Promo, Unit::Money, 10) };
        (promo.pool.used, promo.pool.leased) = (quantity(3), quantity(4));
        assert_eq!(promo.lapsed(soon() - TimeDelta::nanoseconds(1)), Quantity::ZERO);
        assert_eq!(promo.lapsed(soon()), quantity(3));
        promo.pool.used = quantity(9);
        assert_eq!(promo.lapsed(soon()), Quantity::ZERO);
    }

    #[test]
    fn a_credit_line_does_not_lapse() {
        let mut plan = Grant { expires_at: Some(NOW), floor: quantity(-4), ..grant(1, GrantKind::Plan, Unit::Money, 10) };
        assert_eq!(plan.lapsed(NOW), quantity(6));
        plan.pool.used = quantity(7);
        assert_eq!(plan.lapsed(NOW), Quantity::ZERO);
    }

    #[test]
    fn a_wallet_never_expires() {
        let wallet = Grant { expires_at: Some(NOW), ..grant(1, GrantKind::Wallet, Unit::Money, 10) };
        assert!(wallet.in_force(soon()));
        assert_eq!(wallet.lapsed(soon()), Quantity::ZERO);
    }

    #[test]
    fn what_is_lost_soonest_pays_first_and_the_wallet_last() {
        let expiring = |id, hours, priority| Grant {
            expires_at: Some(NOW + TimeDelta::hours(hours)),
            priority,
            ..grant(id, GrantKind::Promo, Unit::Money, 1)
        };
        let lasting = |id, kind, priority| Grant { priority, ..grant(id, kind, Unit::Money, 1) };
        let expected = [
            expiring(9, 1, 7),
            expiring(8, 2, -1),
            expiring(4, 2, 0),
            expiring(7, 2, 0),
            lasting(6, GrantKind::Wallet, -1),
            lasting(3, GrantKind::Plan, 0),
            lasting(5, GrantKind::Package, 0),
            lasting(1, GrantKind::Wallet, 0),
            lasting(2, GrantKind::Package, 1),
        ];
        let mut shuffled = expected.clone();
        shuffled.sort_by_key(|grant| grant.id);
        let payers = Payers::of(&shuffled, "m", NOW);
        assert_eq!(payers.0, expected.iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_comes_back_in_tokens_is_that_of_the_grant_that_has_the_most_then() {
        let package = |id, capacity, leased| {
            let mut package = grant(id, GrantKind::Package, Unit::Tokens, capacity);
            package.pool.leased = quantity(leased);
            package
        };
        let both = [package(1, 30, 30), package(2, 20, 5)];
        let payers = Payers::of(&both, "m", NOW);
        assert_eq!((payers.tokens(), payers.tokens_held()), (quantity(15), quantity(15)), "30 of the one, and not 35 of both");
        assert_eq!((payers.money(), payers.money_held()), (Quantity::ZERO, Quantity::ZERO));
    }

    #[test]
    fn money_adds_up_and_tokens_do_not() {
        let mut grants: Vec<_> = [(Unit::Money, 3), (Unit::Money, -9), (Unit::Money, 4), (Unit::Tokens, 5), (Unit::Tokens, 6)]
            .into_iter()
            .enumerate()
            .map(|(id, (unit, capacity))| grant(id as u128, GrantKind::Promo, unit, capacity))
            .collect();
        let payers = Payers::of(&grants, "m", NOW);
        assert_eq!((payers.money(), payers.tokens()), (quantity(7), quantity(6)));
        grants[0].pool.capacity = Quantity::MAX;
        assert_eq!(Payers::of(&grants, "m", NOW).money(), Quantity::MAX);
    }
}
