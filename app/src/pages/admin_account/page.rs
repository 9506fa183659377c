use chrono::{DateTime, Utc};
use domain::{account::Customer, credit::CreditLine, money::Amount};
use serde::{Deserialize, Serialize};

use crate::parts::form::Form;

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AccountSettings {
    /// Whose.
    pub(crate) customer: Customer,
    /// What is in their wallet alone.
    pub(crate) wallet: Amount,
    /// What is set.
    pub(crate) line: CreditLine,
    /// When the next grace may begin, where one has begun this month.
    pub(crate) next_grace: Option<DateTime<Utc>>,
    /// When it was read.
    pub(crate) now: DateTime<Utc>,
    /// The form, as far as it was filled in.
    pub(crate) form: Form,
    /// What was asked for, before it is set.
    pub(crate) review: Option<CreditLine>,
    /// Whether something was just set.
    pub(crate) done: bool,
}
