//! Our own format: what is in force and what is scheduled, each amount the exact decimal as text.
//!
//! ```json
//! {
//!   "farebox_prices": 1,
//!   "currency": "USD",
//!   "unit": "per 1,000 tokens",
//!   "exported_at": "2026-12-01T08:00:00Z",
//!   "models": [{
//!     "model": "small", "provider": "acme", "upstream_name": "small-2026",
//!     "sale": [{
//!       "from": "2026-11-01T00:00:00Z",
//!       "rates": {
//!         "base": { "input": "0.00015", "output": "0.0006", "cache_read": "0.000075" },
//!         "per_call": "0",
//!         "tiers": [{ "from_prompt_tokens": 200001, "rates": { "input": "0.0003", "output": "0.0012" } }]
//!       }
//!     }],
//!     "cost": []
//!   }]
//! }
//! ```
//!
//! A model that has prices at other service tiers has them in `service_tiers`: `{ "flex": { "sale": [], "cost": [] } }`.
//!
//! `rates` is [`Rates`]: `per_call` is for a call, all else for 1,000 tokens. Of each side the first price is the one in force, the others follow it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    CURRENCY, Entry, Format, ListError, Names, Offer, Refusal, Step, Timeline,
    json::{Members, Value, clipped, open},
};
use crate::{
    catalog::{Model, PriceKind, PriceVersion},
    rates::Rates,
    service_tier::ServiceTier,
};

/// It says that a list is ours.
pub(super) const VERSION_MEMBER: &str = "farebox_prices";
const VERSION: u32 = 1;
const UNIT: &str = "per 1,000 tokens";

/// A list of our prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Export {
    farebox_prices: u32,
    currency: &'static str,
    unit: &'static str,
    exported_at: DateTime<Utc>,
    models: Vec<ExportedModel>,
}

/// A model of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedModel {
    model: String,
    provider: String,
    upstream_name: String,
    #[serde(flatten)]
    sides: ExportedSides,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    service_tiers: BTreeMap<&'static str, ExportedSides>,
}

/// Both sides of a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ExportedSides {
    sale: Vec<ExportedPrice>,
    cost: Vec<ExportedPrice>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportedPrice {
    from: DateTime<Utc>,
    rates: Rates,
}

impl Export {
    /// What is in force and scheduled at `now`, of each model that has a price. `written` is every version that it ever had, oldest first.
    #[must_use]
    pub fn new<'a>(models: impl IntoIterator<Item = (&'a Model, &'a [PriceVersion])>, now: DateTime<Utc>) -> Self {
        let models = models.into_iter().map(|(model, written)| ExportedModel::new(model, written, now));
        let models = models.filter(|model| !model.sides.is_empty() || !model.service_tiers.is_empty()).collect();
        Self { farebox_prices: VERSION, currency: CURRENCY, unit: UNIT, exported_at: now, models }
    }
}

impl ExportedModel {
    fn new(model: &Model, written: &[PriceVersion], now: DateTime<Utc>) -> Self {
        let tiers = ServiceTier::OTHERS.into_iter().map(|tier| (tier.name(), ExportedSides::new(written, tier, now)));
        Self {
            model: model.name.clone(),
            provider: model.provider.clone(),
            upstream_name: model.upstream_name.clone(),
            sides: ExportedSides::new(written, ServiceTier::Default, now),
            service_tiers: tiers.filter(|(_, sides)| !sides.is_empty()).collect(),
        }
    }
}

impl ExportedSides {
    fn new(written: &[PriceVersion], service_tier: ServiceTier, now: DateTime<Utc>) -> Self {
        let side = |kind| {
            let versions = standing(written, (kind, service_tier), now).into_iter();
            versions.map(|version| ExportedPrice { from: version.effective_from, rates: version.rates.clone() }).collect()
        };
        Self { sale: side(PriceKind::Sale), cost: side(PriceKind::Cost) }
    }

    fn is_empty(&self) -> bool {
        self.sale.is_empty() && self.cost.is_empty()
    }
}

/// Of all versions of a model, oldest first, those of one side at a service tier that are in force or scheduled.
#[must_use]
pub fn standing(written: &[PriceVersion], side: (PriceKind, ServiceTier), now: DateTime<Utc>) -> Vec<&PriceVersion> {
    let side: Vec<_> = written.iter().filter(|version| (version.kind, version.service_tier) == side).collect();
    let begun = side.iter().filter(|version| version.effective_from <= now).count();
    side.into_iter().skip(begun.saturating_sub(1)).collect()
}

pub(super) fn read(list: &Members<'_>) -> Result<Vec<Entry>, ListError> {
    let shape = || ListError::WrongShape(Format::Farebox);
    match list.get(VERSION_MEMBER) {
        Ok(Some(Value::Number(version))) if version == VERSION.to_string() => {}
        Ok(Some(Value::Number(version))) => return Err(ListError::UnknownVersion(version.to_owned())),
        _ => return Err(shape()),
    }
    let says = |member, expected| matches!(list.text(member), Ok(Some(text)) if text == expected);
    if !says("currency", CURRENCY) || !says("unit", UNIT) {
        return Err(ListError::UnknownUnit);
    }
    match list.get("models") {
        Ok(Some(Value::List(models))) => Ok(models.into_iter().map(entry).collect()),
        _ => Err(shape()),
    }
}

fn entry(raw: &RawValue) -> Entry {
    let Value::Members(model) = open(raw) else {
        let says = Err(Refusal::Shape("a model".to_owned()));
        return Entry { provider: String::new(), name: "a model".to_owned(), names: Names::None, says };
    };
    let text = |member| model.text(member).ok().flatten();
    let (name, provider) = (text("model").unwrap_or_else(|| "a model".to_owned()), text("provider").unwrap_or_default());
    Entry { provider, name, names: Names::None, says: offer(&model) }
}

fn offer(model: &Members<'_>) -> Result<Offer, Refusal> {
    let mut sides = timelines(model, ServiceTier::Default)?;
    match model.get("service_tiers")? {
        None => {}
        Some(Value::Members(tiers)) => {
            for (name, raw) in tiers.iter() {
                let shape = || Refusal::Shape(format!("service_tiers, {name}"));
                let (Some(tier), Value::Members(of_tier)) = (ServiceTier::named(name).and_then(ServiceTier::other), open(raw)) else {
                    return Err(shape());
                };
                sides.extend(timelines(&of_tier, tier)?);
            }
        }
        Some(_) => return Err(Refusal::Shape("service_tiers".to_owned())),
    }
    if sides.is_empty() { Err(Refusal::Absent("sale or cost".to_owned())) } else { Ok(Offer { sides, unmapped: Vec::new() }) }
}

fn timelines(model: &Members<'_>, service_tier: ServiceTier) -> Result<Vec<Timeline>, Refusal> {
    let mut sides = Vec::new();
    for kind in [PriceKind::Cost, PriceKind::Sale] {
        let steps = match model.get(kind.name())? {
            None => continue,
            Some(Value::List(steps)) => steps.into_iter().map(step).collect::<Result<Vec<_>, _>>()?,
            Some(_) => return Err(Refusal::Shape(kind.name().to_owned())),
        };
        if !steps.is_sorted_by(|earlier, later| earlier.from < later.from) {
            return Err(Refusal::Rates(format!("its {} prices are not in order of time", kind.name())));
        }
        if !steps.is_empty() {
            sides.push(Timeline { kind, service_tier, steps });
        }
    }
    Ok(sides)
}

fn step(raw: &RawValue) -> Result<Step, Refusal> {
    let price: ExportedPrice = serde_json::from_str(raw.get()).map_err(|error| Refusal::Rates(clipped(&error.to_string())))?;
    price.rates.validate().map_err(|error| Refusal::Rates(error.to_string()))?;
    Ok(Step { from: Some(price.from), rates: price.rates })
}
