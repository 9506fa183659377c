use chrono::{DateTime, Utc};
use domain::{
    catalog::{PriceVersion, PricedModel},
    id::PriceId,
};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

use crate::{error::ConsoleError, parts::form::Form};

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PricesPage {
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
    /// Every version, newest first.
    pub(crate) history: Vec<PriceVersion>,
    /// The version that was just published.
    pub(crate) published: Option<PriceId>,
    /// The form of a new version.
    pub(crate) form: Form,
}

/// Prices and costs, for operators.
#[server(prefix = "/api", endpoint = "prices", input = Json)]
pub(crate) async fn prices(query: String) -> Result<PricesPage, ConsoleError> {
    use crate::server::{Caller, answer, parameter};

    answer(
        async {
            let caller = Caller::here()?;
            let (operator, now) = (caller.operator().await?, caller.visitor.now);
            let models = operator.priced_models(now).await?;
            let chosen = match parameter(&query, "model") {
                None => None,
                Some(name) => {
                    let priced = models.iter().find(|priced| priced.model.name == name).cloned().ok_or(ConsoleError::NotFound)?;
                    let history = operator.price_history(&name).await?;
                    let published = parameter(&query, "published").and_then(|id| id.parse().ok());
                    Some(Chosen { priced, history, published, form: caller.form() })
                }
            };
            Ok(PricesPage { models, chosen, now })
        }
        .await,
    )
}
