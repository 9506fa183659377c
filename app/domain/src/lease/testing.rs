//! Short names for what the tests of this folder are made of.

use chrono::{DateTime, Utc};

use super::Ask;
pub(super) use crate::credit::testing::{NOW, caller, demand, quantity, uuid};
use crate::{
    billing::GrantKind,
    credit::{Demand, Grant, Hold, Limit, PoolRef, Quantity, Unit, Window, testing},
    id::{GrantId, LimitId},
};

pub(super) const fn money(nanos: i64) -> Demand {
    demand(nanos, 0, 0)
}

/// Of one call that may cost so much.
pub(super) fn ask(nanos: i64) -> Ask {
    Ask::new(demand(nanos, 1, 1), caller(), "m".to_owned(), NOW)
}

/// Promotional credit.
pub(super) fn grant(id: u128, capacity: i64) -> Grant {
    testing::grant(id, GrantKind::Promo, Unit::Money, capacity)
}

pub(super) fn limit(id: u128, window: Window, unit: Unit, capacity: i64) -> Limit {
    testing::limit(id, window, unit, capacity)
}

pub(super) fn of_grant(id: u128, count: i64) -> Hold {
    Hold { pool: PoolRef::Grant(GrantId::from_uuid(uuid(id))), unit: Unit::Money, quantity: quantity(count) }
}

/// Of the minute's window that holds an instant.
pub(super) fn of_limit(id: u128, at: DateTime<Utc>, count: i64) -> Hold {
    let pool = PoolRef::Limit { id: LimitId::from_uuid(uuid(id)), from: Window::Minute.range(at).from };
    Hold { pool, unit: Unit::Requests, quantity: Quantity::from_count(count) }
}
