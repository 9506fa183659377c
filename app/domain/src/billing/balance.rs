//! What an account has.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Grant;
use crate::{
    credit::{Mode, Unit},
    money::Amount,
    pricing::Excess,
};

/// An account's credit, all of it read at one instant. Its amounts are of money; tokens stand in their grants.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balance {
    /// What was given, less what calls used.
    pub balance: Amount,
    /// Held by running calls right now.
    pub reserved: Amount,
    /// What new calls can still hold: balance − reserved + lent of each grant in force, as far as that is above zero.
    pub available: Amount,
    /// What is lent right now: how far below zero the wallet may go.
    pub lent: Amount,
    /// Who bears what calls cost beyond what was held for them.
    pub excess: Excess,
    /// What calls are paid from.
    pub mode: Mode,
    /// The pools it consists of, in the order in which they are used: those in force, and those that will be.
    pub grants: Vec<Grant>,
}

impl Balance {
    /// Whether no call that costs anything can be paid: neither in money nor in tokens.
    #[must_use]
    pub fn is_spent(&self, now: DateTime<Utc>) -> bool {
        self.available <= Amount::ZERO && !self.in_tokens().any(|grant| grant.in_force(now) && grant.leased < grant.balance)
    }

    /// What of it is counted in tokens.
    pub fn in_tokens(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(|grant| grant.unit == Unit::Tokens)
    }
}
