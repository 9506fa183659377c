//! An account's credit and its books, read at one instant.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Balance, JournalPage};
use crate::money::Amount;

/// The hour that is not in the journal yet: it gets its posting when it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenHour {
    /// When it began.
    pub hour: DateTime<Utc>,
    /// The calls that were posted in it so far.
    pub calls: i64,
    /// What they were charged.
    pub amount: Amount,
    /// What they were paid with in tokens.
    pub tokens: i64,
}

/// What the postings of a month did to the balance of money: `opening + moved + used = closing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthBalance {
    /// The balance after the last posting before the month.
    pub opening: Amount,
    /// What was put in, less what was taken back.
    pub moved: Amount,
    /// What calls took, below zero, with what was given back of it.
    pub used: Amount,
    /// The balance after the month's last posting; so far, of the running month.
    pub closing: Amount,
}

/// An account's credit and a page of its books, read at one instant: the newest posting's balance, less the open hour's charges, is the balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The credit.
    pub balance: Balance,
    /// Calls that no posting of the journal has summed up yet.
    pub open_hour: Option<OpenHour>,
    /// The postings.
    pub journal: JournalPage,
    /// When the first of all postings was made.
    pub since: Option<DateTime<Utc>>,
    /// The balances of the month that was asked for.
    pub month: Option<MonthBalance>,
}
