//! The `api.json` of models.dev: US dollars per million tokens, by provider and model (<https://models.dev>, `AGENTS.md` of its repository).

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{
    Entry, Names, Offer, Refusal, Step, Timeline, Unit,
    json::{Members, Value, open},
    sheet::{Column, Sheet},
};
use crate::{catalog::PriceKind, service_tier::ServiceTier, tokens::Bucket};

/// What has a bucket here. A cache's life is not said: a one-hour one falls back to the other.
const RATES: [(&str, Bucket); 7] = [
    ("input", Bucket::Input),
    ("output", Bucket::Output),
    ("reasoning", Bucket::Reasoning),
    ("cache_read", Bucket::CacheRead),
    ("cache_write", Bucket::CacheWrite5m),
    ("input_audio", Bucket::AudioInput),
    ("output_audio", Bucket::AudioOutput),
];

const TIERS: &str = "tiers";
/// What the generator writes for old readers: one tier, wherever it begins.
const LEGACY_TIER: &str = "context_over_200k";

pub(super) fn read(providers: &Members<'_>) -> Vec<Entry> {
    let models = |(provider, raw): (&str, &RawValue)| match open(raw) {
        Value::Members(members) => match members.get("models") {
            Ok(Some(Value::Members(models))) => models.iter().map(|(name, raw)| entry(provider, name, offer(raw))).collect(),
            Ok(None) => Vec::new(),
            Ok(Some(_)) => vec![entry(provider, provider, Err(Refusal::Shape("models".to_owned())))],
            Err(refusal) => vec![entry(provider, provider, Err(refusal))],
        },
        _ => vec![entry(provider, provider, Err(Refusal::Shape(provider.to_owned())))],
    };
    providers.iter().flat_map(models).collect()
}

fn entry(provider: &str, name: &str, says: Result<Offer, Refusal>) -> Entry {
    Entry { provider: provider.to_owned(), name: name.to_owned(), names: Names::None, says }
}

fn offer(raw: &RawValue) -> Result<Offer, Refusal> {
    let Value::Members(model) = open(raw) else { return Err(Refusal::Shape("the model".to_owned())) };
    let cost = match model.get("cost")? {
        Some(Value::Members(cost)) => cost,
        Some(_) => return Err(Refusal::Shape("cost".to_owned())),
        None => return Err(Refusal::Absent("cost".to_owned())),
    };
    let base = column(&cost)?;
    let tiers = tiers(&cost, &base)?;
    if tiers.is_empty() && cost.get(LEGACY_TIER)?.is_some() {
        return Err(Refusal::Depends("context_over_200k, which does not say from how many prompt tokens on without tiers"));
    }
    let known = |member: &str| matches!(member, TIERS | LEGACY_TIER) || RATES.iter().any(|(name, _)| *name == member);
    let unmapped = cost.iter().filter(|(member, raw)| !known(member) && !matches!(open(raw), Value::Null));
    let unmapped = unmapped.map(|(member, _)| member.to_owned()).collect();
    let rates = Sheet { base, tiers, ..Sheet::default() }.into_rates("cost.input", "cost.output")?;
    Ok(Offer {
        sides: vec![Timeline { kind: PriceKind::Cost, service_tier: ServiceTier::Default, steps: vec![Step { from: None, rates }] }],
        unmapped,
    })
}

fn column(cost: &Members<'_>) -> Result<Column, Refusal> {
    let rate = |(member, bucket)| Ok(cost.price(member, Unit::MillionTokens)?.map(|rate| (bucket, rate)));
    RATES.into_iter().filter_map(|known| rate(known).transpose()).collect()
}

/// `size` is where a tier begins.
fn tiers(cost: &Members<'_>, base: &Column) -> Result<BTreeMap<i64, Column>, Refusal> {
    let shape = || Refusal::Shape(TIERS.to_owned());
    let listed = match cost.get(TIERS)? {
        None => return Ok(BTreeMap::new()),
        Some(Value::List(listed)) => listed,
        Some(_) => return Err(shape()),
    };
    let mut tiers = BTreeMap::new();
    for raw in listed {
        let Value::Members(rates) = open(raw) else { return Err(shape()) };
        let Some(Value::Members(tier)) = rates.get("tier")? else { return Err(shape()) };
        if tier.text("type")?.is_some_and(|kind| kind != "context") {
            return Err(Refusal::Depends("something else than the length of the prompt"));
        }
        let (from, own) = (tier.tokens("size")?, column(&rates)?);
        if let Some((member, _)) = RATES.into_iter().find(|(_, bucket)| base.contains_key(bucket) && !own.contains_key(bucket)) {
            return Err(Refusal::TierGap { from, member: member.to_owned() });
        }
        if tiers.insert(from, own).is_some() {
            return Err(Refusal::Twice(format!("the tier from {from} prompt tokens on")));
        }
    }
    Ok(tiers)
}
