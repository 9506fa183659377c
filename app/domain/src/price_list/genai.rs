//! The `data.json` of pydantic's genai-prices: US dollars per million tokens, by provider and model, with the dates of changes
//! (<https://github.com/pydantic/genai-prices>, `prices/data.schema.json`).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::value::RawValue;

use super::{
    Entry, Names, Offer, Refusal, Step, Timeline, Unit,
    json::{Members, Value, open, price},
    select::Rule,
    sheet::{Column, Sheet},
};
use crate::{catalog::PriceKind, money::Amount, period, rates::Rates, service_tier::ServiceTier, tokens::Bucket};

const INPUT: &str = "input_mtok";
const OUTPUT: &str = "output_mtok";
const CACHE_WRITE: &str = "cache_write_mtok";
const PER_CALL: &str = "requests_kcount";

/// What has a bucket here. A cache write of no said life is the parent of both others.
const RATES: [(&str, Bucket); 9] = [
    (INPUT, Bucket::Input),
    (OUTPUT, Bucket::Output),
    ("output_reasoning_mtok", Bucket::Reasoning),
    ("cache_read_mtok", Bucket::CacheRead),
    (CACHE_WRITE, Bucket::CacheWrite5m),
    ("cache_write_5m_mtok", Bucket::CacheWrite5m),
    ("cache_write_1h_mtok", Bucket::CacheWrite1h),
    ("input_audio_mtok", Bucket::AudioInput),
    ("output_audio_mtok", Bucket::AudioOutput),
];

/// The units that the list is known to have.
const UNITS: [&str; 6] = ["mtok", "kcount", "hours", "gpixels", "mchars", "kpages"];

pub(super) fn read(providers: &[&RawValue]) -> Vec<Entry> {
    providers.iter().flat_map(|raw| models(raw)).collect()
}

fn models(raw: &RawValue) -> Vec<Entry> {
    let refused = |provider: &str, refusal| {
        let name = provider.to_owned();
        vec![Entry { provider: name.clone(), name, names: Names::None, says: Err(refusal) }]
    };
    let Value::Members(provider) = open(raw) else { return refused("a provider", Refusal::Shape("a provider".to_owned())) };
    let Ok(Some(id)) = provider.text("id") else { return refused("a provider", Refusal::Shape("id".to_owned())) };
    match provider.get("models") {
        Ok(Some(Value::List(models))) => models.into_iter().map(|raw| entry(&id, raw)).collect(),
        Ok(None) => Vec::new(),
        Ok(Some(_)) => refused(&id, Refusal::Shape("models".to_owned())),
        Err(refusal) => refused(&id, refusal),
    }
}

fn entry(provider: &str, raw: &RawValue) -> Entry {
    let provider = provider.to_owned();
    let Value::Members(model) = open(raw) else {
        return Entry { provider, name: "a model".to_owned(), names: Names::None, says: Err(Refusal::Shape("a model".to_owned())) };
    };
    let name = model.text("id").ok().flatten().unwrap_or_else(|| "a model".to_owned());
    let names = match model.get("match") {
        Ok(Some(Value::Members(rule))) => Names::Match(Rule::read(&rule)),
        _ => Names::None,
    };
    Entry { provider, name, names, says: offer(&model) }
}

fn offer(model: &Members<'_>) -> Result<Offer, Refusal> {
    let shape = || Refusal::Shape("prices".to_owned());
    let (mut steps, mut unmapped) = (Vec::new(), BTreeSet::new());
    match model.get("prices")? {
        Some(Value::Members(prices)) => steps.push(Step { from: None, rates: rates(&prices, &mut unmapped)? }),
        Some(Value::List(listed)) => {
            for raw in listed {
                let Value::Members(conditional) = open(raw) else { return Err(shape()) };
                let Some(Value::Members(prices)) = conditional.get("prices")? else { return Err(shape()) };
                let from = since(&conditional)?;
                // The last one that holds counts: it takes the place of all before it that begin no sooner.
                steps.retain(|step: &Step| step.from < from);
                steps.push(Step { from, rates: rates(&prices, &mut unmapped)? });
            }
        }
        Some(_) => return Err(shape()),
        None => {}
    }
    if steps.is_empty() {
        return Err(Refusal::Absent("prices".to_owned()));
    }
    Ok(Offer {
        sides: vec![Timeline { kind: PriceKind::Cost, service_tier: ServiceTier::Default, steps }],
        unmapped: unmapped.into_iter().collect(),
    })
}

/// From when a price holds: the first moment of its `start_date`, in UTC.
fn since(conditional: &Members<'_>) -> Result<Option<DateTime<Utc>>, Refusal> {
    let constraint = match conditional.get("constraint")? {
        None => return Ok(None),
        Some(Value::Members(constraint)) => constraint,
        Some(_) => return Err(Refusal::Shape("constraint".to_owned())),
    };
    if constraint.has("start_time") || constraint.has("end_time") {
        return Err(Refusal::Depends("the time of day"));
    }
    if constraint.iter().any(|(member, _)| !matches!(member, "start_date" | "type")) {
        return Err(Refusal::Depends("a constraint that is not known"));
    }
    let day = constraint.text("start_date")?.and_then(|day| day.parse::<NaiveDate>().ok());
    day.map(|day| Some(period::start_of(day))).ok_or_else(|| Refusal::Shape("start_date".to_owned()))
}

fn rates(prices: &Members<'_>, unmapped: &mut BTreeSet<String>) -> Result<Rates, Refusal> {
    let mut sheet = Sheet::default();
    let mut tiered: Vec<(Bucket, Price)> = Vec::new();
    for (member, raw) in prices.iter() {
        let Some(value) = prices.get(member)? else { continue };
        if member == PER_CALL {
            sheet.per_call = price(member, &value, Unit::ThousandCalls)?;
        } else if let Some((_, bucket)) = RATES.into_iter().find(|(name, _)| *name == member) {
            // Where both are there, the one for five minutes is the one for five minutes.
            if member != CACHE_WRITE || !prices.has("cache_write_5m_mtok") {
                tiered.push((bucket, Price::read(member, &value)?));
            }
        } else if is_ours_otherwise(member) {
            return Err(Refusal::UnknownUnit(member.to_owned()));
        } else if !matches!(open(raw), Value::Null) {
            unmapped.insert(member.to_owned());
        }
    }
    if let Some(parent) = prices.get(CACHE_WRITE)?
        && !prices.has("cache_write_1h_mtok")
        && prices.has("cache_write_5m_mtok")
    {
        tiered.push((Bucket::CacheWrite1h, Price::read(CACHE_WRITE, &parent)?));
    }
    sheet.base = tiered.iter().map(|(bucket, price)| (*bucket, price.at(0))).collect();
    let starts: BTreeSet<i64> = tiered.iter().flat_map(|(_, price)| price.tiers.keys().copied()).collect();
    let column = |from| tiered.iter().map(|(bucket, price)| (*bucket, price.at(from))).collect::<Column>();
    sheet.tiers = starts.into_iter().map(|from| (from, column(from))).collect();
    sheet.into_rates(INPUT, OUTPUT)
}

/// Whether a price is of one of our buckets in another unit, or in a unit that nobody knows.
fn is_ours_otherwise(member: &str) -> bool {
    let Some((stem, unit)) = member.rsplit_once('_') else { return true };
    !UNITS.contains(&unit) || RATES.iter().any(|(name, _)| name.strip_suffix("_mtok") == Some(stem))
}

/// A price with its tiers, each for all tokens of a call.
struct Price {
    base: Amount,
    /// By the prompt tokens from which it holds.
    tiers: BTreeMap<i64, Amount>,
}

impl Price {
    fn read(member: &str, value: &Value<'_>) -> Result<Self, Refusal> {
        let Value::Members(parts) = value else {
            return Ok(Self { base: price(member, value, Unit::MillionTokens)?, tiers: BTreeMap::new() });
        };
        let base = parts.price("base", Unit::MillionTokens)?.ok_or_else(|| Refusal::Absent(format!("{member}.base")))?;
        let Some(Value::List(listed)) = parts.get("tiers")? else { return Err(Refusal::Shape(format!("{member}.tiers"))) };
        let mut tiers = BTreeMap::new();
        for raw in listed {
            let Value::Members(tier) = open(raw) else { return Err(Refusal::Shape(format!("{member}.tiers"))) };
            let rate = tier.price("price", Unit::MillionTokens)?.ok_or_else(|| Refusal::Absent(format!("{member}.tiers.price")))?;
            // It is the rate of prompts that are longer than its start.
            if tiers.insert(tier.tokens("start")?.saturating_add(1), rate).is_some() {
                return Err(Refusal::Twice(format!("a tier of {member}")));
            }
        }
        Ok(Self { base, tiers })
    }

    fn at(&self, prompt_tokens: i64) -> Amount {
        self.tiers.range(..=prompt_tokens).next_back().map_or(self.base, |(_, rate)| *rate)
    }
}
