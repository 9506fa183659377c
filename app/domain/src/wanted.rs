//! Models that calls asked for and did not get.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A model that nobody sells, or that has no price in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedModel {
    /// What was asked for.
    pub name: String,
    /// How many calls were refused for it.
    pub calls: i64,
    /// Since when it is asked for.
    pub first_at: DateTime<Utc>,
    /// When it was asked for last, as far as proxies have told.
    pub last_at: DateTime<Utc>,
    /// Whether it is in the catalog, and lacks a price alone.
    pub is_known: bool,
}
