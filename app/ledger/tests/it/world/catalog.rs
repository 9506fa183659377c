//! What there is to call: one model, at one price.

use chrono::TimeDelta;
use domain::{
    catalog::{ModelBounds, OutputCapField, PriceKind},
    id::{ModelId, ProviderId},
    service_tier::ServiceTier,
    tokens::Tokens,
};
use ledger::{NewModel, NewPrice};

use super::World;

pub(crate) const MODEL: &str = "small";

impl World {
    pub(super) async fn add_catalog(&mut self) {
        let system = self.ledger.system();
        // In words of the first version, whose schema this may be.
        let provider = "insert into providers (provider_id, name, base_url, usage_mode, on_disconnect, allow_private, created_at)
                        values ($1, 'upstream', 'http://127.0.0.1:9/v1', 'forced', 'drain', true, $2)";
        let id = ProviderId::new(self.now, self.random()).uuid();
        sqlx::query(provider).bind(id).bind(self.now).execute(&self.pool).await.unwrap();
        system.add_model(self.model()).await.unwrap();
        let price = NewPrice {
            id: self.price,
            model: MODEL,
            kind: PriceKind::Sale,
            rates: self.rates.clone(),
            effective_from: self.now - TimeDelta::days(60),
            actor: "test",
            now: self.now,
            service_tier: ServiceTier::Default,
        };
        system.import_price(price).await.unwrap();
    }

    pub(crate) fn model(&mut self) -> NewModel<'static> {
        NewModel {
            id: ModelId::new(self.now, self.random()),
            name: MODEL,
            provider: "upstream",
            upstream_name: "small-2026",
            context_window: Tokens::from_sum(8_192),
            default_output_hold: Tokens::from_sum(1_024),
            output_cap_field: OutputCapField::MaxTokens,
            bounds: ModelBounds::default(),
            now: self.now,
        }
    }
}
