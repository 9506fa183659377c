use chrono::{DateTime, Utc};
use domain::{billing::Balance, credit::LimitState, id::PaymentId, money::Amount, payment::PaymentState};
use serde::{Deserialize, Serialize};

use super::held::Held;
use crate::parts::{credit::Posted, form::Form};

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Billing {
    /// The account's credit.
    pub(crate) balance: Balance,
    /// Its books, as the server drew them.
    pub(crate) journal: String,
    /// How its calls are paid, its plan and its packages.
    pub(crate) held: Held,
    /// What bounds all of the account's calls, or those of a project, a member or a run.
    pub(crate) limits: Vec<LimitState>,
    /// When it was read.
    pub(crate) now: DateTime<Utc>,
    /// The top-up that was just made.
    pub(crate) done: Option<Posted>,
    /// The payment that somebody comes back from.
    pub(crate) returned: Option<Returned>,
    /// How credit comes in.
    pub(crate) payment: Payment,
    /// The top-up form.
    pub(crate) form: Form,
    /// How else credit comes in, as the server draws it: forms that only ask.
    pub(crate) more: String,
}

/// How credit comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Payment {
    /// On Stripe's page.
    Stripe {
        /// Whether that moves no real money.
        is_test: bool,
        /// The least that can be paid at once.
        smallest: Amount,
        /// The most.
        largest: Amount,
    },
    /// By a payment that is none: the gateway is a demonstration.
    Test,
    /// By an operator: no payment provider is set up.
    ByOperator,
    /// The visitor's role may not move money.
    NotAllowed,
    /// An operator looks at the page, who gives credit on another.
    None,
}

/// A payment that somebody comes back from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Returned {
    /// Which one.
    pub(crate) id: PaymentId,
    /// What was to be paid.
    pub(crate) amount: Amount,
    /// What has become of it.
    pub(crate) state: PaymentState,
    /// Whether they left the provider's page without paying, as they say.
    pub(crate) is_cancelled: bool,
    /// Whether it was begun a moment ago, so that the page waits for it: a bank may take days.
    pub(crate) is_fresh: bool,
}
