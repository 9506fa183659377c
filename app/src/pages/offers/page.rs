use chrono::{DateTime, Utc};
use domain::plan::{Plan, Quote, Subscription};
use serde::{Deserialize, Serialize};

use crate::parts::form::Form;

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Offers {
    /// What may be bought, the cheapest first, plans before packages.
    pub(crate) offers: Vec<Plan>,
    /// The account's plan.
    pub(crate) subscription: Option<Subscription>,
    /// What the one that was chosen would come to.
    pub(crate) quote: Option<Quote>,
    /// Whether the visitor may buy.
    pub(crate) can_buy: bool,
    /// When it was read.
    pub(crate) now: DateTime<Utc>,
    /// The form that buys.
    pub(crate) form: Form,
}
