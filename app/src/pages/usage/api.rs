use domain::{filter::UsageFilter, usage::UsageReport};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

use crate::{error::ConsoleError, parts::form::Form};

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UsagePage {
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

    /// Its name in the query string, as `show`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }
}

/// The usage of the caller's account.
#[server(prefix = "/api", endpoint = "usage", input = Json)]
pub(crate) async fn usage(query: String) -> Result<UsagePage, ConsoleError> {
    use crate::server::{Caller, answer, filter_or_default, parameter};

    answer(
        async {
            let caller = Caller::here()?;
            let reader = caller.reader().await?;
            let (filter, form) = filter_or_default(UsageFilter::from_query(&query), &query);
            let shown = parameter(&query, "show");
            let measure = Measure::ALL.into_iter().find(|measure| Some(measure.name()) == shown.as_deref()).unwrap_or_default();
            let report = reader.usage(&filter, caller.visitor.now).await?;
            Ok(UsagePage { filter, measure, form, report })
        }
        .await,
    )
}
