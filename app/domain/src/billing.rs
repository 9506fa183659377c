//! Credit and the books, as people see them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{GrantId, JournalId},
    money::Amount,
};

/// Where a pool of credit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// Prepaid balance.
    Wallet,
    /// Given away.
    Promo,
    /// The allowance of a plan's period.
    Plan,
    /// A volume bought once.
    Package,
}

impl GrantKind {
    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Wallet => "Prepaid balance",
            Self::Promo => "Promotional credit",
            Self::Plan => "Plan allowance",
            Self::Package => "Package",
        }
    }
}

/// Why something was posted to the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum JournalKind {
    /// Calls.
    Usage,
    /// The customer paid in.
    TopUp,
    /// An operator corrected the balance.
    Adjustment,
    /// An operator gave promotional credit.
    Promo,
    /// The settlement of a call that had been posted as interrupted.
    LateUsage,
    /// An operator gave a call back.
    CallCredit,
}

impl JournalKind {
    /// Its name in the books, which never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::TopUp => "top_up",
            Self::Adjustment => "adjustment",
            Self::Promo => "promo",
            Self::LateUsage => "late_usage",
            Self::CallCredit => "call_credit",
        }
    }

    /// The book that stands against the grants in such a posting.
    #[must_use]
    pub const fn book(self) -> &'static str {
        match self {
            Self::Usage | Self::LateUsage | Self::CallCredit => "revenue",
            Self::TopUp => "cash",
            Self::Adjustment => "adjustment",
            Self::Promo => "promo",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Usage => "Usage",
            Self::TopUp => "Top-up",
            Self::Adjustment => "Adjustment",
            Self::Promo => "Promotional credit",
            Self::LateUsage => "Late usage",
            Self::CallCredit => "Credit for a call",
        }
    }
}

/// One pool of credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The grant.
    pub id: GrantId,
    /// Its kind.
    pub kind: GrantKind,
    /// What the books say is in it.
    pub posted: Amount,
    /// What running calls have reserved of it.
    pub leased: Amount,
    /// When what is left of it lapses.
    pub expires_at: Option<DateTime<Utc>>,
}

/// An account's credit, all of it read at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balance {
    /// What the books say.
    pub balance: Amount,
    /// Held by running calls right now.
    pub reserved: Amount,
    /// What new calls can still hold: balance − reserved, down to the floor.
    pub available: Amount,
    /// The pools it consists of, in the order in which they are used.
    pub grants: Vec<Grant>,
}

/// One posting, with the balance after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalRow {
    /// The posting.
    pub id: JournalId,
    /// Why it was made.
    pub kind: JournalKind,
    /// In words: how many calls, or an operator's reason.
    pub memo: String,
    /// Who made it; empty for the meter.
    pub actor: String,
    /// When what it records happened.
    pub event_at: DateTime<Utc>,
    /// When it was written.
    pub posted_at: DateTime<Utc>,
    /// What it changed.
    pub amount: Amount,
    /// The balance after it.
    pub balance_after: Amount,
}

/// A page of postings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPage {
    /// Newest first.
    pub rows: Vec<JournalRow>,
    /// Where the next page begins, if there is one.
    pub next: Option<JournalId>,
}

/// An account's credit and a page of its books, read at one instant: the newest posting's balance is the balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The credit.
    pub balance: Balance,
    /// The postings.
    pub journal: JournalPage,
}
