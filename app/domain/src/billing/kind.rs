//! The kinds of postings.

use serde::{Deserialize, Serialize};

/// Why something was posted to the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum JournalKind {
    /// The calls that were posted in one hour.
    Usage,
    /// The customer paid in.
    TopUp,
    /// An operator corrected the balance.
    Adjustment,
    /// Money went back to the customer, outside of the books.
    Refund,
    /// A card's issuer took a payment back, or returned it, because it is disputed.
    Chargeback,
    /// An operator gave promotional credit.
    Promo,
    /// The fee of a plan's period or of a package, less what came back of the plan before.
    PlanFee,
    /// The allowance of a plan's period.
    Allowance,
    /// A volume that was bought once.
    Package,
    /// What was left of credit when it ended.
    Expiry,
    /// The settlement of a call that had been posted as interrupted.
    LateUsage,
    /// An operator gave a call back.
    CallCredit,
    /// Calls were charged anew, by another version of their price.
    Reprice,
}

impl JournalKind {
    /// Its name in the books, which never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::TopUp => "top_up",
            Self::Adjustment => "adjustment",
            Self::Refund => "refund",
            Self::Chargeback => "chargeback",
            Self::Promo => "promo",
            Self::PlanFee => "plan_fee",
            Self::Allowance => "allowance",
            Self::Package => "package",
            Self::Expiry => "expiry",
            Self::LateUsage => "late_usage",
            Self::CallCredit => "call_credit",
            Self::Reprice => "reprice",
        }
    }

    /// The book that stands against the grants in such a posting.
    #[must_use]
    pub const fn book(self) -> &'static str {
        match self {
            Self::Usage | Self::LateUsage | Self::CallCredit | Self::Reprice | Self::PlanFee => "revenue",
            Self::TopUp | Self::Refund | Self::Chargeback => "cash",
            Self::Adjustment => "adjustment",
            Self::Promo => "promo",
            Self::Allowance | Self::Package => "quota",
            Self::Expiry => "breakage",
        }
    }

    /// What calls used, and what was given back of it; by all else, credit was put in or taken back.
    pub const OF_CALLS: [Self; 4] = [Self::Usage, Self::LateUsage, Self::CallCredit, Self::Reprice];

    /// Whether it is one of [`Self::OF_CALLS`].
    #[must_use]
    pub fn is_of_calls(self) -> bool {
        Self::OF_CALLS.contains(&self)
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Usage => "Usage",
            Self::TopUp => "Top-up",
            Self::Adjustment => "Adjustment",
            Self::Refund => "Refund",
            Self::Chargeback => "Disputed payment",
            Self::Promo => "Promotional credit",
            Self::PlanFee => "Plan or package",
            Self::Allowance => "Plan allowance",
            Self::Package => "Package",
            Self::Expiry => "Expired",
            Self::LateUsage => "Late usage",
            Self::CallCredit => "Credit for a call",
            Self::Reprice => "Charged anew",
        }
    }
}
