use chrono::{DateTime, Utc};
use domain::catalog::PricedModel;
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

use crate::error::ConsoleError;

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PricingPage {
    /// The models that match.
    pub(crate) models: Vec<PricedModel>,
    /// What was searched for.
    pub(crate) search: String,
    /// When the prices were read.
    pub(crate) now: DateTime<Utc>,
}

/// What customers pay. Anyone may ask; what it costs the gateway is not in the answer.
#[server(prefix = "/api", endpoint = "pricing", input = Json)]
pub(crate) async fn pricing(query: String) -> Result<PricingPage, ConsoleError> {
    use crate::server::{Caller, answer, parameter};

    answer(
        async {
            let caller = Caller::here()?;
            let now = caller.visitor.now;
            let search = parameter(&query, "search").unwrap_or_default().trim().to_owned();
            let wanted = search.to_lowercase();
            let matches = |text: &str| text.to_lowercase().contains(&wanted);
            let mut models = caller.console.ledger.price_list(now).await?;
            models.retain(|priced| matches(&priced.model.name) || matches(&priced.model.provider));
            for priced in &mut models {
                hide_the_gateways_own(priced);
            }
            Ok(PricingPage { models, search, now })
        }
        .await,
    )
}

/// Who wrote a price and what the provider calls the model is the operator's business.
#[cfg(feature = "ssr")]
fn hide_the_gateways_own(priced: &mut PricedModel) {
    priced.cost = None;
    priced.model.upstream_name = String::new();
    for version in priced.sale.iter_mut().chain(&mut priced.scheduled) {
        version.created_by = String::new();
    }
}
