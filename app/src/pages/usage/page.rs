use domain::{filter::UsageFilter, usage::UsageReport};
use serde::{Deserialize, Serialize};

use crate::parts::{chart::Series, form::Form};

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// What is shown.
    pub(crate) filter: UsageFilter,
    /// What the bars measure.
    pub(crate) measure: Measure,
    /// What was asked for and could not be understood; then there are no figures to show.
    pub(crate) form: Form,
    /// The figures, but for the series of every step.
    pub(crate) report: UsageReport,
    /// What the bars consist of, as much of it as is drawn.
    pub(crate) series: Vec<Series>,
    /// Whether the visitor may make the key that a first call needs.
    pub(crate) can_create_keys: bool,
    /// Where that call goes.
    pub(crate) base_url: String,
}

/// What the bars measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Measure {
    /// Money.
    #[default]
    Cost,
    /// Total tokens.
    Tokens,
    /// Calls.
    Requests,
}

impl Measure {
    /// Every measure, in the order in which they are offered.
    pub(crate) const ALL: [Self; 3] = [Self::Cost, Self::Tokens, Self::Requests];

    /// Its name in the query string, as `show`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }
}
