//! Who signs in, whom they act for, and the keys they hold.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{AccountId, KeyId, ProjectId, ReportKeyId, UserId},
    money::Amount,
};

/// What a member may do in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything.
    Viewer,
    /// May also make and revoke keys.
    Member,
    /// May also move money.
    Owner,
}

/// A signed-in person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who it is.
    pub id: UserId,
    /// Their address, as they typed it at sign-up.
    pub email: String,
    /// Whether they run the gateway.
    pub is_operator: bool,
    /// The account they act for; an operator may have none.
    pub account: Option<Membership>,
}

/// A person's place in an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The account.
    pub account_id: AccountId,
    /// Its name.
    pub account_name: String,
    /// What the person may do there.
    pub role: Role,
}

/// A key that reads an account's usage and costs, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportKeyLine {
    /// The key.
    pub id: ReportKeyId,
    /// What its owner calls it.
    pub name: String,
    /// Its last four characters.
    pub last_four: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key as it is listed: never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The key.
    pub id: KeyId,
    /// What its owner called it.
    pub name: String,
    /// The project that its calls belong to from now on.
    pub project: ProjectId,
    /// The member whose key it is, unless it is nobody's own.
    pub member: Option<UserId>,
    /// Their address.
    pub member_email: Option<String>,
    /// Its last four characters.
    pub last_four: String,
    /// The models that it may call; `None` for every one.
    pub models: Option<Vec<String>>,
    /// Whether the answers to its calls tell what they cost, without being asked.
    pub tells_cost: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops working by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// The hour in which it was last used.
    pub last_used: Option<DateTime<Utc>>,
    /// What its calls cost this month so far.
    pub spent_this_month: Amount,
}

impl Key {
    /// Whether it opens the proxy at this instant.
    #[must_use]
    pub fn works_at(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expiry| now < expiry)
    }
}

/// A part of an account with keys and limits of its own. A call belongs for ever to the project that its key was in when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// The project.
    pub id: ProjectId,
    /// What its owner called it.
    pub name: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// Whether an account's calls are admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// They are.
    Active,
    /// They are refused until an operator resumes it.
    Suspended,
    /// They are refused, and its plan ends with the month that is paid for. An operator can open it again.
    Closed,
}

impl AccountState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Closed];

    /// Its name in the database and in forms.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Suspended => "Suspended",
            Self::Closed => "Closed",
        }
    }
}

/// A customer as operators list them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// The account.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Its owner's address.
    pub owner_email: Option<String>,
    /// Whether its calls are admitted.
    pub state: AccountState,
    /// The plan that it has.
    pub plan: Option<String>,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// What the books say is in its grants.
    pub balance: Amount,
    /// What running calls have reserved.
    pub reserved: Amount,
    /// What its calls cost in the last 30 days.
    pub spent_30_days: Amount,
    /// What its calls of the last 30 days would have cost beyond their holds: the operator's loss.
    pub written_off_30_days: Amount,
}
