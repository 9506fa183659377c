use chrono::{DateTime, Utc};
use domain::{
    catalog::{PriceKind, PriceVersion, PricedModel},
    id::PriceId,
};
use serde::{Deserialize, Serialize};

use crate::parts::form::Form;

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Prices {
    /// Every model with both sides of its price.
    pub(crate) models: Vec<PricedModel>,
    /// The model that was chosen.
    pub(crate) chosen: Option<Chosen>,
    /// When the prices were read.
    pub(crate) now: DateTime<Utc>,
}

/// One model's prices.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Chosen {
    /// The model, with both sides of its price.
    pub(crate) priced: PricedModel,
    /// The side whose form is shown.
    pub(crate) side: PriceKind,
    /// Every version, newest first.
    pub(crate) history: Vec<PriceVersion>,
    /// The version that was just published.
    pub(crate) published: Option<PriceId>,
    /// The form of a new version.
    pub(crate) form: Form,
}
