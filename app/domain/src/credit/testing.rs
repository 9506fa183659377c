//! Short names for what the tests of this folder are made of.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Caller, Demand, Grant, Hardness, Limit, Pool, Quantity, Scope, Unit, Window};
use crate::{
    attribution::Label,
    billing::GrantKind,
    id::{GrantId, KeyId, LimitId, ProjectId, UserId},
    money::Amount,
    tokens::Tokens,
};

pub(crate) const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_030, 0).unwrap();

pub(crate) const fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) const fn quantity(count: i64) -> Quantity {
    Quantity::from_count(count)
}

pub(crate) const fn demand(money: i64, tokens: i64, requests: u32) -> Demand {
    Demand { money: Amount::from_nanos(money), tokens: Tokens::from_sum(tokens), requests }
}

pub(crate) fn run(name: &str) -> Label {
    name.parse().unwrap()
}

pub(crate) fn caller() -> Caller {
    Caller { key: KeyId::from_uuid(uuid(1)), project: ProjectId::from_uuid(uuid(1)), member: Some(UserId::from_uuid(uuid(1))), run: None }
}

pub(crate) fn grant(id: u128, kind: GrantKind, unit: Unit, capacity: i64) -> Grant {
    Grant {
        id: GrantId::from_uuid(uuid(id)),
        kind,
        pool: Pool::new(unit, quantity(capacity)),
        models: None,
        floor: Quantity::ZERO,
        starts_at: NOW,
        expires_at: None,
        priority: 0,
    }
}

pub(crate) fn limit(id: u128, window: Window, unit: Unit, capacity: i64) -> Limit {
    Limit {
        id: LimitId::from_uuid(uuid(id)),
        scope: Scope::Account,
        window,
        hardness: Hardness::Hard,
        pool: Pool::new(unit, quantity(capacity)),
    }
}

/// Numbers that meet each other often, and now and then the ends of what there is.
pub(crate) fn any_count() -> impl Strategy<Value = i64> {
    prop_oneof![20 => 0_i64..12, 2 => -3_i64..0, 1 => Just(i64::MAX), 1 => Just(i64::MAX - 1), 1 => Just(i64::MIN)]
}

prop_compose! {
    pub(crate) fn any_pool()(
        unit in prop::sample::select(Unit::ALL.to_vec()), capacity in any_count(), used in 0_i64..4, leased in 0_i64..4,
    ) -> Pool {
        Pool { unit, capacity: quantity(capacity), used: quantity(used), leased: quantity(leased) }
    }
}

prop_compose! {
    pub(crate) fn any_demand()(money in any_count(), tokens in any_count(), requests in 0_u32..4) -> Demand {
        demand(money, tokens, requests)
    }
}

prop_compose! {
    fn any_grant()(
        pool in any_pool(), is_wallet: bool, ours in 0..4, starts in -1_i64..=1, expires in prop::option::of(-1_i64..3), priority in 0..2,
    ) -> Grant {
        let hours = |hours| NOW + chrono::TimeDelta::hours(hours);
        Grant {
            pool,
            models: (ours < 2).then(|| vec![if ours == 0 { "other" } else { "m" }.to_owned()]),
            starts_at: hours(starts - i64::from(starts < 1)),
            expires_at: expires.map(hours),
            priority,
            ..grant(0, if is_wallet { GrantKind::Wallet } else { GrantKind::Promo }, pool.unit, 0)
        }
    }
}

prop_compose! {
    fn any_limit()(pool in any_pool(), window in prop::sample::select(Window::ALL.to_vec()), hard in 0..4, ours in 0..5) -> Limit {
        Limit {
            scope: if ours == 0 { Scope::Key(KeyId::from_uuid(uuid(9))) } else { Scope::Account },
            hardness: if hard == 0 { Hardness::Soft } else { Hardness::Hard },
            pool,
            ..limit(0, window, pool.unit, 0)
        }
    }
}

/// Grants with ids of their own.
pub(crate) fn any_grants() -> impl Strategy<Value = Vec<Grant>> {
    prop::collection::vec(any_grant(), 0..6).prop_map(|mut grants| {
        grants.iter_mut().zip(1..).for_each(|(grant, id)| grant.id = GrantId::from_uuid(uuid(id)));
        grants
    })
}

/// Limits with ids of their own.
pub(crate) fn any_limits() -> impl Strategy<Value = Vec<Limit>> {
    prop::collection::vec(any_limit(), 0..4).prop_map(|mut limits| {
        limits.iter_mut().zip(1..).for_each(|(limit, id)| limit.id = LimitId::from_uuid(uuid(id)));
        limits
    })
}
