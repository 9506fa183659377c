use chrono::{DateTime, Utc};
use domain::{account::Customer, own_price::OwnPrice, pricing::Discount, rate_unit::RateUnit, rates::Rates};

use crate::parts::{form::Form, search::Search};

/// Everything on the page.
#[derive(Debug, Clone)]
pub(crate) struct OwnPrices {
    /// Whose.
    pub(crate) customer: Customer,
    /// Every price that they have or had of their own, by model, the last to begin first.
    pub(crate) own: Vec<OwnPrice>,
    /// Those that are listed: the first of those that were looked for.
    pub(crate) listed: Vec<OwnPrice>,
    /// Which those are.
    pub(crate) search: Search,
    /// The names of all models.
    pub(crate) models: Vec<String>,
    /// The model that was chosen.
    pub(crate) chosen: Option<Chosen>,
    /// The form, as far as it was filled in.
    pub(crate) form: Form,
    /// What was just done.
    pub(crate) done: Option<Done>,
    /// When it was read.
    pub(crate) now: DateTime<Utc>,
}

/// What a form did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// It wrote a price.
    Set,
    /// It ended one.
    Ended,
}

/// The model whose price is agreed on.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    /// Its public name.
    pub(crate) model: String,
    /// Per how many tokens its rates are written.
    pub(crate) unit: RateUnit,
    /// What the form is filled with: what this customer pays, or will; `None` where nobody pays anything yet.
    pub(crate) filled: Option<Rates>,
    /// Whether that is their own price.
    pub(crate) is_own: bool,
    /// What is taken off everyone's prices for them, and is not off their own.
    pub(crate) discount: Discount,
    /// What was asked for, before it is written.
    pub(crate) review: Option<Review>,
}

/// What is to be written.
#[derive(Debug, Clone)]
pub(crate) struct Review {
    /// The rates.
    pub(crate) rates: Rates,
    /// What this customer pays when it begins, and what the provider charges.
    pub(crate) sides: [Option<Rates>; 2],
    /// From when on, if that was typed; else as soon as may be.
    pub(crate) effective_from: Option<DateTime<Utc>>,
}
