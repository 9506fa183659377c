use chrono::{DateTime, Utc};
use domain::{
    catalog::{PriceKind, PriceVersion, PricedModel},
    id::PriceId,
    price_history::PriceHistory,
    rate_unit::RateUnit,
    rates::Rates,
    replay::Replay,
    service_tier::ServiceTier,
    wanted::WantedModel,
};
use serde::{Deserialize, Serialize};

use crate::parts::form::Form;

/// How many days are replayed.
pub(crate) const REPLAYED_DAYS: i64 = 30;

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Prices {
    /// Every model with both sides of its price.
    pub(crate) models: Vec<PricedModel>,
    /// What was asked for and could not be had, where no model is chosen.
    pub(crate) wanted: Vec<WantedModel>,
    /// The model that was chosen.
    pub(crate) chosen: Option<Box<Chosen>>,
    /// When the prices were read.
    pub(crate) now: DateTime<Utc>,
}

/// One model's prices at one service tier.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Chosen {
    /// The model, with both sides of its price.
    pub(crate) priced: PricedModel,
    /// The service tier.
    pub(crate) service_tier: ServiceTier,
    /// The side whose form is shown.
    pub(crate) side: PriceKind,
    /// Per how many tokens its rates are written.
    pub(crate) unit: RateUnit,
    /// Every version of both sides.
    pub(crate) history: PriceHistory,
    /// The version that the form is filled from.
    pub(crate) base: Option<PriceId>,
    /// What was just done.
    pub(crate) done: Option<Done>,
    /// How far a new version has come.
    pub(crate) stage: Stage,
    /// The form of a new version.
    pub(crate) form: Form,
}

impl Chosen {
    /// The model's name and the service tier: what a price is of.
    pub(crate) fn of(&self) -> (&str, ServiceTier) {
        (&self.priced.model.name, self.service_tier)
    }

    /// The version that the form is filled from.
    pub(crate) fn base(&self) -> Option<&PriceVersion> {
        self.base.and_then(|id| self.history.version(id))
    }
}

/// What a form did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Done {
    /// It published this version.
    Published(PriceId),
    /// It withdrew this version.
    Withdrawn(PriceId),
}

/// How far a new version has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// It is being written.
    Form,
    /// What it would change is shown.
    Review(Box<Review>),
    /// Somebody else wrote to this side since the form was filled. The form goes on from what holds now, with its own changes on top.
    Moved(Box<Moved>),
}

/// What is to be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Review {
    /// The rates.
    pub(crate) rates: Rates,
    /// From when on; of one that begins as soon as it may, the soonest instant as of now.
    pub(crate) effective_from: DateTime<Utc>,
    /// Whether that instant was typed.
    pub(crate) is_typed: bool,
    /// What the last days' calls would have come to; `None` where it could not be found out now.
    pub(crate) replay: Option<Replay>,
}

/// Three versions of the same price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// What the form was filled from.
    pub(crate) seen: Option<Rates>,
    /// What the form asks for; `None` where it cannot be read.
    pub(crate) wanted: Option<Rates>,
    /// The changes of the form on top of what holds now.
    pub(crate) merged: Option<Rates>,
}
