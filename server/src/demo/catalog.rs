//! The demo's provider, its models and what they cost.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    catalog::{DisconnectPolicy, ModelBounds, OutputCapField, PriceKind, TimeOuts, UsageMode},
    id::{ModelId, PriceId, ProviderId},
    money::Amount,
    period::start_of,
    rates::{BucketRates, Rates},
    service_tier::ServiceTier,
    tokens::Tokens,
};
use ledger::{Ledger, NewModel, NewPrice, NewProvider};

use super::{dice::Dice, history::first_day, people::unless_there, upstream::MODELS};

/// The one provider of a demo database.
pub(super) const PROVIDER: &str = "demo";

/// How long ago the prices were changed.
const PRICE_CHANGE_DAYS: i64 = 40;

const CONTEXT_WINDOW: i64 = 128_000;
const DEFAULT_OUTPUT_HOLD: i64 = 1_024;

/// Nanos per 1,000 tokens: prompt, completion, prompt from cache.
type Nanos = [i64; 3];

/// Per model: what customers paid first, what they pay now, and what it costs. In the order of [`MODELS`].
const PRICES: [[Nanos; 3]; 2] = [
    [[800_000, 3_200_000, 400_000], [600_000, 2_400_000, 300_000], [400_000, 1_600_000, 200_000]],
    [[6_000_000, 24_000_000, 3_000_000], [5_000_000, 20_000_000, 2_500_000], [3_500_000, 14_000_000, 1_750_000]],
];

/// A model and its sale prices, as the history needs them.
#[derive(Debug)]
pub(super) struct DemoModel {
    /// Its name, here and upstream.
    pub(super) name: &'static str,
    /// Oldest first.
    sale: [(DateTime<Utc>, PriceId, Rates); 2],
}

impl DemoModel {
    /// The price in force at this instant.
    pub(super) fn price_at(&self, at: DateTime<Utc>) -> (PriceId, &Rates) {
        let [first, second] = &self.sale;
        let (_, id, rates) = if at < second.0 { first } else { second };
        (*id, rates)
    }
}

/// Writes the catalog where it is missing. The provider's address is new at each start.
pub(super) async fn write(ledger: &Ledger, base_url: &str, begun_at: DateTime<Utc>, dice: &mut Dice) -> anyhow::Result<Vec<DemoModel>> {
    let system = ledger.system();
    let since = start_of(first_day(begun_at));
    let provider = NewProvider {
        id: ProviderId::new(since, dice.id_bits()),
        name: PROVIDER,
        base_url,
        credential: None,
        usage_mode: UsageMode::Forced,
        on_disconnect: DisconnectPolicy::Drain,
        // It listens on loopback.
        allow_private: true,
        hide_cost: false,
        apis: None,
        time_outs: TimeOuts::default(),
        now: since,
    };
    unless_there(system.add_provider(provider).await)?;
    system.set_provider_url(PROVIDER, base_url).await?;

    let mut models = Vec::new();
    for ((name, _), [before, after, cost]) in MODELS.into_iter().zip(PRICES) {
        let model = NewModel {
            id: ModelId::new(since, dice.id_bits()),
            name,
            provider: PROVIDER,
            upstream_name: name,
            context_window: Tokens::of_call(CONTEXT_WINDOW)?,
            default_output_hold: Tokens::of_call(DEFAULT_OUTPUT_HOLD)?,
            output_cap_field: OutputCapField::MaxTokens,
            bounds: ModelBounds::default(),
            now: since,
        };
        unless_there(system.add_model(model).await)?;
        let changed_at = begun_at - TimeDelta::days(PRICE_CHANGE_DAYS);
        let versions = [(PriceKind::Sale, since, before), (PriceKind::Sale, changed_at, after), (PriceKind::Cost, since, cost)].map(
            |(kind, effective_from, nanos)| NewPrice {
                id: PriceId::new(effective_from, dice.id_bits()),
                model: name,
                kind,
                rates: rates(nanos),
                effective_from,
                actor: "demo",
                now: effective_from,
                service_tier: ServiceTier::Default,
            },
        );
        for version in &versions {
            unless_there(system.import_price(version.clone()).await)?;
        }
        let [first, second, _] = versions.map(|version| (version.effective_from, version.id, version.rates));
        models.push(DemoModel { name, sale: [first, second] });
    }
    Ok(models)
}

fn rates([input, output, cache_read]: Nanos) -> Rates {
    let plain = BucketRates::plain(Amount::from_nanos(input), Amount::from_nanos(output));
    Rates { base: BucketRates { cache_read: Some(Amount::from_nanos(cache_read)), ..plain }, per_call: Amount::ZERO, tiers: Vec::new() }
}
