//! LiteLLM's `model_prices_and_context_window.json`: US dollars per token, by model
//! (<https://docs.litellm.ai/docs/proxy/custom_pricing>, and its own `sample_spec`).

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{
    Entry, Names, Offer, Refusal, Step, Timeline, Unit,
    json::{Members, Value, open, price},
    sheet::{Column, Sheet},
};
use crate::{catalog::PriceKind, money::Amount, tokens::Bucket};

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
    let (mut base, mut tiers, mut unmapped) = (Column::new(), BTreeMap::<i64, Column>::new(), Vec::new());
    for (member, raw) in model.iter().filter(|(member, _)| member.contains("cost")) {
        let (stem, threshold) = threshold(member);
        let Some((_, bucket)) = RATES.into_iter().find(|(name, _)| *name == stem) else {
            if !is_nothing(&open(raw)) {
                unmapped.push(member.to_owned());
            }
            continue;
        };
        let Some(value) = model.get(member)? else { continue };
        let rate = price(member, &value, Unit::Token)?;
        match threshold {
            None => base.insert(bucket, rate),
            // It is the rate of prompts that are longer than the threshold.
            Some(threshold) => tiers.entry(threshold + 1).or_default().insert(bucket, rate),
        };
    }
    if model.text("mode")?.as_deref() == Some("embedding") {
        // There is no completion to be paid for.
        base.entry(Bucket::Output).or_insert(Amount::ZERO);
    }
    // What the longest threshold that a prompt passes does not price is priced as without one.
    let tiers = tiers.into_iter().map(|(from, own)| (from, base.clone().into_iter().chain(own).collect())).collect();
    let rates = Sheet { base, tiers, ..Sheet::default() }.into_rates(INPUT, OUTPUT)?;
    let cost = Timeline { kind: PriceKind::Cost, steps: vec![Step { from: None, rates }] };
    Ok(Offer { sides: vec![cost], unmapped })
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
