//! A day of the whole gateway, as operators see it at a glance.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::money::Amount;

/// What all accounts' calls came to since the day (UTC) began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Today {
    /// Calls that began on it and are posted.
    pub calls: i64,
    /// What they were charged, corrections included: money from whatever grants; what was paid in tokens is none of it.
    pub revenue: Amount,
    /// What they would have cost beyond their holds: the operator's loss.
    pub written_off: Amount,
    /// The same two of the whole day before: its calls, and what they were charged.
    pub before: (i64, Amount),
    /// What the providers charge for these calls.
    pub cost: ProviderCost,
    /// What could not be posted and waits for a person.
    pub quarantine: Quarantine,
}

impl Today {
    /// What is left of the revenue.
    #[must_use]
    pub fn margin(&self) -> Option<Amount> {
        self.revenue.checked_sub(self.cost.amount?)
    }
}

/// What calls cost the operator, by the tokens that each was posted with and the cost price in force as it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProviderCost {
    /// Exact, rounded once; `None` of what is too much to be an amount.
    pub amount: Option<Amount>,
    /// Calls of models without a cost price: what they cost is not known, and not among it.
    pub unknown: i64,
}

/// Settled calls that the books refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quarantine {
    /// How many.
    pub calls: i64,
    /// Since when the first of them waits.
    pub since: Option<DateTime<Utc>>,
}
