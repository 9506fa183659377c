use chrono::{DateTime, Utc};
use domain::{catalog::PricedModel, own_price::OwnPrice, plan::Plan};
use serde::{Deserialize, Serialize};

use super::estimate::Bill;

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pricing {
    /// The models that match.
    pub(crate) models: Vec<PricedModel>,
    /// What whoever is signed in has agreed on, in force and scheduled.
    pub(crate) own: Vec<OwnPrice>,
    /// The plans and packages that anyone may buy, the cheapest first.
    pub(crate) offers: Vec<Plan>,
    /// Where to ask for more than is offered: an address, and how it is written.
    pub(crate) contact: Option<(String, String)>,
    /// What a month would cost.
    pub(crate) bill: Bill,
    /// What was searched for.
    pub(crate) search: String,
    /// When the prices were read.
    pub(crate) now: DateTime<Utc>,
}
