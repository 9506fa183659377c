//! LiteLLM's `model_prices_and_context_window.json`: US dollars per token, by model
//! (<https://docs.litellm.ai/docs/proxy/custom_pricing>, and its own `sample_spec`).

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{
    Entry, Names, Offer, Refusal, Step, Timeline, Unit,
    json::{Members, Value, open, price},
    sheet::{Column, Sheet},
};
use crate::{catalog::PriceKind, money::Amount, service_tier::ServiceTier, tokens::Bucket};

const INPUT: &str = "input_cost_per_token";
const OUTPUT: &str = "output_cost_per_token";

/// What has a bucket here. A one-hour cache is what LiteLLM calls "above 1hr".
const RATES: [(&str, Bucket); 8] = [
    (INPUT, Bucket::Input),
    ("cache_read_input_token_cost", Bucket::CacheRead),
    ("cache_creation_input_token_cost", Bucket::CacheWrite5m),
    ("cache_creation_input_token_cost_above_1hr", Bucket::CacheWrite1h),
    ("input_cost_per_audio_token", Bucket::AudioInput),
    (OUTPUT, Bucket::Output),
    ("output_cost_per_reasoning_token", Bucket::Reasoning),
    ("output_cost_per_audio_token", Bucket::AudioOutput),
];

/// It stands in the list to explain the others.
const EXPLANATION: &str = "sample_spec";

pub(super) fn read(models: &Members<'_>) -> Vec<Entry> {
    models.iter().filter(|(name, _)| *name != EXPLANATION).map(|(name, raw)| entry(name, raw)).collect()
}

fn entry(name: &str, raw: &RawValue) -> Entry {
    let Value::Members(model) = open(raw) else {
        let says = Err(Refusal::Shape(name.to_owned()));
        return Entry { provider: String::new(), name: name.to_owned(), names: Names::None, says };
    };
    let provider = model.text("litellm_provider").ok().flatten().unwrap_or_default();
    // `groq/llama-3.3-70b-versatile` is what LiteLLM calls the model that Groq calls `llama-3.3-70b-versatile`.
    let own = name.strip_prefix(provider.as_str()).and_then(|rest| rest.strip_prefix('/'));
    let names = own.map_or(Names::None, |own| Names::Also(own.to_owned()));
    Entry { names, name: name.to_owned(), says: offer(&model), provider }
}

fn offer(model: &Members<'_>) -> Result<Offer, Refusal> {
    if let Some(Value::List(_) | Value::Members(_)) = model.get("tiered_pricing")? {
        return Err(Refusal::Depends("tiered_pricing, which prices each part of a prompt by itself"));
    }
    let (mut columns, mut unmapped) = (BTreeMap::<ServiceTier, Columns>::new(), Vec::new());
    for (member, raw) in model.iter().filter(|(member, _)| member.contains("cost")) {
        let (stem, service_tier) = service_tier(member);
        let (stem, threshold) = threshold(stem);
        let Some((_, bucket)) = RATES.into_iter().find(|(name, _)| *name == stem) else {
            if !is_nothing(&open(raw)) {
                unmapped.push(member.to_owned());
            }
            continue;
        };
        let Some(value) = model.get(member)? else { continue };
        let rate = price(member, &value, Unit::Token)?;
        let columns = columns.entry(service_tier).or_default();
        columns.members.push(member);
        match threshold {
            None => columns.base.insert(bucket, rate),
            // It is the rate of prompts that are longer than the threshold.
            Some(threshold) => columns.tiers.entry(threshold + 1).or_default().insert(bucket, rate),
        };
    }
    let own = columns.remove(&ServiceTier::Default).unwrap_or_default();
    let is_embedding = model.text("mode")?.as_deref() == Some("embedding");
    let mut sides = Vec::new();
    for (service_tier, of_tier) in columns {
        if of_tier.is_complete(&own) {
            sides.push(timeline(service_tier, of_tier.over(&own), is_embedding)?);
        } else {
            unmapped.extend(of_tier.members.into_iter().map(str::to_owned));
        }
    }
    // In the order of the list.
    unmapped.sort_by_key(|name| model.iter().position(|(member, _)| member == name));
    sides.insert(0, timeline(ServiceTier::Default, own, is_embedding)?);
    Ok(Offer { sides, unmapped })
}

fn timeline(service_tier: ServiceTier, columns: Columns<'_>, is_embedding: bool) -> Result<Timeline, Refusal> {
    let Columns { mut base, tiers, .. } = columns;
    if is_embedding {
        // There is no completion to be paid for.
        base.entry(Bucket::Output).or_insert(Amount::ZERO);
    }
    // What the longest threshold that a prompt passes does not price is priced as without one.
    let tiers = tiers.into_iter().map(|(from, own)| (from, base.clone().into_iter().chain(own).collect())).collect();
    let rates = Sheet { base, tiers, ..Sheet::default() }.into_rates(INPUT, OUTPUT)?;
    Ok(Timeline { kind: PriceKind::Cost, service_tier, steps: vec![Step { from: None, rates }] })
}

/// The rates of a service tier, as they are listed.
#[derive(Default)]
struct Columns<'a> {
    base: Column,
    /// By the prompt tokens that they begin at.
    tiers: BTreeMap<i64, Column>,
    /// What the list calls them.
    members: Vec<&'a str>,
}

impl Columns<'_> {
    /// Whether it says what a tier costs: both plain rates, and where the default's change with the prompt's length, what these are then.
    fn is_complete(&self, own: &Self) -> bool {
        [Bucket::Input, Bucket::Output].iter().all(|bucket| self.base.contains_key(bucket)) && self.tiers.keys().eq(own.tiers.keys())
    }

    /// With what it leaves out as the default tier has it, as LiteLLM charges it.
    fn over(&self, own: &Self) -> Self {
        let over = |own: &Column, of_tier: &Column| own.clone().into_iter().chain(of_tier.clone()).collect();
        let tiers =
            own.tiers.iter().map(|(from, column)| (*from, self.tiers.get(from).map_or_else(|| column.clone(), |tier| over(column, tier))));
        Self { base: over(&own.base, &self.base), tiers: tiers.collect(), members: Vec::new() }
    }
}

/// A member without its `_flex`, and that service tier. Prices of batches are left alone: none of them passes here.
fn service_tier(member: &str) -> (&str, ServiceTier) {
    let tiers = [("_flex", ServiceTier::Flex), ("_priority", ServiceTier::Priority)];
    let found = tiers.into_iter().find_map(|(suffix, tier)| Some((member.strip_suffix(suffix)?, tier)));
    found.unwrap_or((member, ServiceTier::Default))
}

/// A member without its `_above_200k_tokens`, and that many tokens.
fn threshold(member: &str) -> (&str, Option<i64>) {
    let parts = member.strip_suffix("_tokens").and_then(|rest| rest.rsplit_once("_above_"));
    let tokens = parts.and_then(|(_, count)| match count.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u32>().ok().map(|thousands| i64::from(thousands) * 1_000),
        None => count.parse::<u32>().ok().map(i64::from),
    });
    match (parts, tokens) {
        (Some((stem, _)), Some(tokens)) => (stem, Some(tokens)),
        _ => (member, None),
    }
}

/// Whether a price of something else takes nothing.
fn is_nothing(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Number(_) => price("", value, Unit::Token).is_ok_and(Amount::is_zero),
        _ => false,
    }
}
