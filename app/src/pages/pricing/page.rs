use chrono::{DateTime, Utc};
use domain::catalog::PricedModel;
use serde::{Deserialize, Serialize};

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pricing {
    /// The models that match.
    pub(crate) models: Vec<PricedModel>,
    /// What was searched for.
    pub(crate) search: String,
    /// When the prices were read.
    pub(crate) now: DateTime<Utc>,
}
