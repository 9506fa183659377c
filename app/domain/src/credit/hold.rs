//! What a running call holds of a pool, and what it changes there when it ends.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Quantity, Unit};
use crate::id::{GrantId, LimitId};

/// Which pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolRef {
    /// That of a grant.
    Grant(GrantId),
    /// That of one window of a limit: a call that ends in the next window still settles on the one in which it was admitted.
    Limit {
        /// The limit.
        id: LimitId,
        /// When the window began.
        from: DateTime<Utc>,
    },
}

/// A part of a pool that a running call keeps from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The pool.
    pub pool: PoolRef,
    /// What it is counted in.
    pub unit: Unit,
    /// How much; never below zero.
    pub quantity: Quantity,
}

/// What the end of a call does to a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The pool.
    pub pool: PoolRef,
    /// What it is counted in.
    pub unit: Unit,
    /// To be added to what is used; never below zero.
    pub used: Quantity,
    /// To be taken from what is leased: the whole hold.
    pub released: Quantity,
}
