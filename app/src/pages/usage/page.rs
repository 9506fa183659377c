use domain::{filter::UsageFilter, usage::UsageReport};
use serde::{Deserialize, Serialize};

use crate::parts::form::Form;

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// What is shown.
    pub(crate) filter: UsageFilter,
    /// What the bars measure.
    pub(crate) measure: Measure,
    /// What was asked for and could not be understood; then there are no figures to show.
    pub(crate) form: Form,
    /// The figures.
    pub(crate) report: UsageReport,
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

    /// The measure of this name; what is none is cost.
    #[cfg(feature = "ssr")]
    pub(crate) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|measure| measure.name() == name).unwrap_or_default()
    }

    /// Its name in the query string, as `show`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }
}
