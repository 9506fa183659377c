//! The lists as they are published, where the variable `FAREBOX_TEST_DATA` says where they are: every price is what a second reading makes of it, by
//! another parser and a decimal crate.

use std::{collections::BTreeMap, path::PathBuf};

use chrono::{DateTime, Utc};
use domain::{
    price_list::{Entry, PriceList},
    rates::{BucketRates, Rates},
    tokens::Bucket,
};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::line;

/// The list, read here, and as JSON; `None` where it is not at hand.
fn published(name: &str) -> Option<(PriceList, Value)> {
    let Some(folder) = std::env::var_os("FAREBOX_TEST_DATA") else {
        println!("skipped: FAREBOX_TEST_DATA is not set");
        return None;
    };
    let text = std::fs::read_to_string(PathBuf::from(folder).join("prices").join(name)).unwrap();
    Some((PriceList::read(&text, None).unwrap(), serde_json::from_str(&text).unwrap()))
}

/// A number per 1,000 tokens. The shortest text of the nearest float is what was written, since nobody writes more digits than a float has.
fn decimal(number: &Value, factor: Decimal) -> Decimal {
    let written = format!("{:e}", number.as_f64().unwrap());
    (Decimal::from_scientific(&written).unwrap() * factor).normalize()
}

fn per_1k(rates: &BucketRates, bucket: Bucket) -> Decimal {
    Decimal::from_str_exact(&rates.of(bucket).to_string()).unwrap().normalize()
}

/// The one price that a list of others says, whenever it holds.
fn rates(entry: &Entry, step: usize) -> &Rates {
    &entry.says.as_ref().unwrap_or_else(|refusal| panic!("{}: {refusal}", entry.name)).sides[0].steps[step].rates
}

/// Checks the rates at a prompt of this length against what the list has under these names; returns how many there were.
fn agree(rates: &Rates, prompt: i64, own: &BTreeMap<Bucket, Decimal>, name: &str) -> usize {
    let at = rates.at(Some(domain::tokens::Tokens::from_sum(prompt)));
    for (bucket, expected) in own {
        assert_eq!(per_1k(at, *bucket), *expected, "{name}: {bucket:?} at {prompt} prompt tokens");
    }
    own.len()
}

fn refused(list: &PriceList) -> Vec<String> {
    list.entries.iter().filter(|entry| entry.says.is_err()).map(line).collect()
}

const LITELLM: [(&str, Bucket); 8] = [
    ("input_cost_per_token", Bucket::Input),
    ("output_cost_per_token", Bucket::Output),
    ("cache_read_input_token_cost", Bucket::CacheRead),
    ("cache_creation_input_token_cost", Bucket::CacheWrite5m),
    ("cache_creation_input_token_cost_above_1hr", Bucket::CacheWrite1h),
    ("output_cost_per_reasoning_token", Bucket::Reasoning),
    ("input_cost_per_audio_token", Bucket::AudioInput),
    ("output_cost_per_audio_token", Bucket::AudioOutput),
];

/// What cannot be imported of LiteLLM's list, and why.
const REFUSED: [&str; 3] = [
    "databricks databricks/databricks-claude-3-7-sonnet! input_cost_per_token is 2.9999900000000002e-06, which does not fit nine decimals \
         per 1,000 tokens",
    "openai gpt-image-1! output_cost_per_token is not there: the price is not known",
    "openai whisper-1! input_cost_per_token is not there: the price is not known",
];
const GRADUATED: &str = "dashscope dashscope/qwen3-max! its price depends on tiered_pricing, which prices each part of a prompt by itself, and prices \
                         here do not";

fn litellm_agrees(name: &str, models: usize, numbers: usize, expected: &[&str]) {
    let Some((list, json)) = published(name) else { return };
    let mut checked = 0;
    for entry in list.entries.iter().filter(|entry| entry.says.is_ok()) {
        for (suffix, prompt) in [("", 1), ("_above_200k_tokens", 200_001), ("_above_272k_tokens", 272_001)] {
            let own = LITELLM.into_iter().filter_map(|(key, bucket)| {
                let number = json[&entry.name].get(format!("{key}{suffix}"))?;
                Some((bucket, decimal(number, Decimal::ONE_THOUSAND)))
            });
            checked += agree(rates(entry, 0), prompt, &own.collect(), &entry.name);
        }
    }
    assert_eq!((list.entries.len(), checked, refused(&list)), (models, numbers, expected.iter().map(|text| (*text).to_owned()).collect()));
}

#[test]
fn every_price_of_litellm_in_january_is_exact() {
    litellm_agrees("litellm-model_prices.2026-01-15.trimmed.json", 57, 187, &REFUSED);
}

#[test]
fn every_price_of_litellm_in_august_is_exact() {
    litellm_agrees("litellm-model_prices.2026-08-01.trimmed.json", 69, 258, &[&[GRADUATED], &REFUSED[..]].concat());
}

#[test]
fn every_price_of_models_dev_is_exact() {
    const KEYS: [(&str, Bucket); 7] = [
        ("input", Bucket::Input),
        ("output", Bucket::Output),
        ("cache_read", Bucket::CacheRead),
        ("cache_write", Bucket::CacheWrite5m),
        ("reasoning", Bucket::Reasoning),
        ("input_audio", Bucket::AudioInput),
        ("output_audio", Bucket::AudioOutput),
    ];
    let Some((list, json)) = published("models.dev.api-shape.trimmed.json") else { return };
    let mut checked = 0;
    let column = |cost: &Value| {
        let own = KEYS.into_iter().filter_map(|(key, bucket)| Some((bucket, decimal(cost.get(key)?, Decimal::new(1, 3)))));
        own.collect::<BTreeMap<_, _>>()
    };
    for entry in list.entries.iter().filter(|entry| entry.says.is_ok()) {
        let cost = &json[&entry.provider]["models"][&entry.name]["cost"];
        checked += agree(rates(entry, 0), 1, &column(cost), &entry.name);
        for tier in cost["tiers"].as_array().into_iter().flatten() {
            checked += agree(rates(entry, 0), tier["tier"]["size"].as_i64().unwrap(), &column(tier), &entry.name);
        }
    }
    assert_eq!((list.entries.len(), checked, refused(&list)), (71, 234, Vec::new()));
}

#[test]
fn every_price_of_genai_prices_is_exact_and_begins_when_it_says() {
    const KEYS: [(&str, Bucket); 8] = [
        ("input_mtok", Bucket::Input),
        ("output_mtok", Bucket::Output),
        ("cache_read_mtok", Bucket::CacheRead),
        ("cache_write_mtok", Bucket::CacheWrite5m),
        ("cache_write_1h_mtok", Bucket::CacheWrite1h),
        ("output_reasoning_mtok", Bucket::Reasoning),
        ("input_audio_mtok", Bucket::AudioInput),
        ("output_audio_mtok", Bucket::AudioOutput),
    ];
    let Some((list, json)) = published("genai-prices.v2.trimmed.json") else { return };
    let (mut checked, per_million) = (0, Decimal::new(1, 3));
    for entry in list.entries.iter().filter(|entry| entry.says.is_ok()) {
        let provider = json.as_array().unwrap().iter().find(|provider| provider["id"] == entry.provider.as_str()).unwrap();
        let model = provider["models"].as_array().unwrap().iter().find(|model| model["id"] == entry.name.as_str()).unwrap();
        let single = [serde_json::json!({ "prices": model["prices"] })];
        let steps = model["prices"].as_array().map_or(&single[..], Vec::as_slice);
        for (step, conditional) in steps.iter().enumerate() {
            let date = conditional["constraint"]["start_date"].as_str();
            let from = date.map(|date| format!("{date}T00:00:00Z").parse::<DateTime<Utc>>().unwrap());
            assert_eq!(entry.says.as_ref().unwrap().sides[0].steps[step].from, from, "{}", entry.name);
            let prices = &conditional["prices"];
            let base = |value: &Value| decimal(value.get("base").unwrap_or(value), per_million);
            let own = KEYS.into_iter().filter_map(|(key, bucket)| Some((bucket, base(prices.get(key)?))));
            checked += agree(rates(entry, step), 1, &own.collect(), &entry.name);
            for (key, bucket) in KEYS {
                for tier in prices[key]["tiers"].as_array().into_iter().flatten() {
                    let own = BTreeMap::from([(bucket, decimal(&tier["price"], per_million))]);
                    checked += agree(rates(entry, step), tier["start"].as_i64().unwrap() + 1, &own, &entry.name);
                }
            }
        }
    }
    let expected = [
        "cerebras qwen-3-coder-480b! input_mtok is not there: the price is not known",
        "deepseek deepseek-chat! its price depends on the time of day, and prices here do not",
        "deepseek deepseek-reasoner! its price depends on the time of day, and prices here do not",
        "mistral mistral-small-24b-instruct-2501:free! input_mtok is not there: the price is not known",
        "openai text-embedding-3-large! output_mtok is not there: the price is not known",
        "openai text-embedding-3-small! output_mtok is not there: the price is not known",
        "openrouter moonshotai/kimi-k2.6:free! input_mtok is not there: the price is not known",
    ];
    assert_eq!((list.entries.len(), checked, refused(&list)), (163, 554, expected.map(str::to_owned).into()));
}
