//! Pools of credit.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    credit::{Quantity, Unit},
    id::GrantId,
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
    /// Its name in stored rows, on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Promo => "promo",
            Self::Plan => "plan",
            Self::Package => "package",
        }
    }

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

/// One pool of credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The grant.
    pub id: GrantId,
    /// Its kind.
    pub kind: GrantKind,
    /// What it is counted in.
    pub unit: Unit,
    /// What is in it: what it was given, less what calls used.
    pub balance: Quantity,
    /// What it was given in all.
    pub granted: Quantity,
    /// What running calls have reserved of it.
    pub leased: Quantity,
    /// The models it pays for; `None` for all.
    pub models: Option<Vec<String>>,
    /// From when it pays.
    pub starts_at: DateTime<Utc>,
    /// When what is left of it lapses, or lapsed.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Grant {
    /// Whether it pays for calls that begin now.
    #[must_use]
    pub fn in_force(&self, now: DateTime<Utc>) -> bool {
        self.starts_at <= now && self.expires_at.is_none_or(|expiry| now < expiry)
    }
}
