//! Ninety days of calls and payments, made from a fixed seed and posted as real ones are.

use anyhow::ensure;
use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Timelike, Utc, Weekday};
use domain::{
    call::{Outcome, UsageSource},
    credit::Split,
    id::CallId,
    money::Amount,
    period::start_of,
    pricing::{Discount, Excess, price, upper_bound},
    service_tier::ServiceTier,
    tokens::{CallUsage, TokenCounts, Tokens},
};
use ledger::{Admitted, Ledger, MoneyIn, SettledCall};
use serde_json::json;

use super::{
    catalog::{DemoModel, PROVIDER},
    dice::Dice,
    people::{DemoCustomer, DemoKey},
};

/// How far back the history goes.
pub(super) const DAYS: i64 = 90;

/// Days between two payments, and between two lines of progress.
const PAYMENT_DAYS: i64 = 15;

/// The last days, whose calls are posted hour by hour, and once in how many hours those before are: nobody waits for what nobody looks at.
const RECENT_DAYS: i64 = 14;
const OLD_HOURS: u32 = 6;

/// Calls on a working day at the beginning; by the end it is half as many again.
const CALLS_PER_DAY: [i64; 2] = [160, 70];
/// What is paid in each time, in currency units: enough for the dearest fifteen days.
const PAYMENT: [i64; 2] = [10, 5];
/// How often each key is used, out of ten. The last ones are not there at every customer.
const KEY_WEIGHTS: [i64; 3] = [7, 2, 1];
/// How often each hour of the day (UTC) sees a call.
const HOUR_WEIGHTS: [i64; 24] = [1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 18, 14, 16, 18, 18, 16, 12, 8, 6, 5, 4, 3, 2];
/// The most that a prompt and an answer can take, in tokens: what is held for them.
const PROMPT_MAX: i64 = 4_000;
const ANSWER_MAX: i64 = 1_024;

/// The day on which the history that ends at `until` begins.
pub(super) fn first_day(until: DateTime<Utc>) -> NaiveDate {
    (until - TimeDelta::days(DAYS)).date_naive()
}

/// Writes the history that ends at `until`. Writing it again changes nothing.
pub(super) async fn write(
    ledger: &Ledger,
    customers: &[DemoCustomer],
    models: &[DemoModel],
    until: DateTime<Utc>,
    dice: &mut Dice,
) -> anyhow::Result<()> {
    let since = first_day(until);
    ledger.system().make_partitions_from(since, 5).await?;
    let mut calls = 0;
    for day in 0..=DAYS {
        let date = since + Days::new(u64::try_from(day)?);
        let mut calls_of_day = Vec::new();
        for (place, customer) in customers.iter().enumerate() {
            if day % PAYMENT_DAYS == 0 {
                pay(ledger, customer, PAYMENT[place], date).await?;
                // As the job would have, moments later.
                ledger.dated(start_of(date) + TimeDelta::seconds(5)).system().issue_documents().await?;
            }
            calls_of_day.extend(calls_of(date, day, place, customer, models, dice)?.into_iter().filter(|call| started_at(call) < until));
        }
        post(ledger, &mut calls_of_day, if day < DAYS - RECENT_DAYS { OLD_HOURS } else { 1 }).await?;
        calls += calls_of_day.len();
        if day > 0 && day % PAYMENT_DAYS == 0 {
            println!("Making demo history: {day} of {DAYS} days, {calls} calls");
        }
    }
    Ok(())
}

/// Posts a day's calls. Real ones are posted as they end, and the books sum them up by the hour; these are posted once in so many hours.
async fn post(ledger: &Ledger, calls: &mut [SettledCall], hours: u32) -> anyhow::Result<()> {
    calls.sort_by_key(started_at);
    for part in calls.chunk_by(|one, next| started_at(one).hour() / hours == started_at(next).hour() / hours) {
        let last = part.iter().map(started_at).max().unwrap_or_default();
        let posting = ledger.dated(last).meter().post_calls(part).await?;
        ensure!(posting.quarantined.is_empty(), "the ledger refuses {:?}", posting.quarantined);
    }
    Ok(())
}

/// These calls' ids are made from their starts.
fn started_at(call: &SettledCall) -> DateTime<Utc> {
    call.call_id.started_at().unwrap_or_default()
}

/// The first payment comes before the first call of its day.
async fn pay(ledger: &Ledger, customer: &DemoCustomer, units: i64, date: NaiveDate) -> anyhow::Result<()> {
    let money = MoneyIn {
        amount: Amount::from_units(units).unwrap_or_default(),
        idempotency_key: &format!("demo-{date}"),
        memo: "Test payment",
        actor: "demo",
        now: start_of(date),
    };
    ledger.dated(money.now).system().account(customer.id).top_up(money).await?;
    Ok(())
}

/// A customer's calls of one day, in order.
fn calls_of(
    date: NaiveDate,
    day: i64,
    place: usize,
    customer: &DemoCustomer,
    models: &[DemoModel],
    dice: &mut Dice,
) -> anyhow::Result<Vec<SettledCall>> {
    let working_day = CALLS_PER_DAY[place] + CALLS_PER_DAY[place] * day / DAYS / 2;
    let usual = if matches!(date.weekday(), Weekday::Sat | Weekday::Sun) { working_day / 3 } else { working_day };
    let count = usual * dice.between(80, 120) / 100;
    let mut starts: Vec<DateTime<Utc>> = (0..count).map(|_| start_of(date) + time_of_day(dice)).collect();
    starts.sort();
    starts.into_iter().map(|start| call(start, customer, models, dice)).collect()
}

fn time_of_day(dice: &mut Dice) -> TimeDelta {
    let hour = i64::try_from(dice.weighted(HOUR_WEIGHTS)).unwrap_or_default();
    TimeDelta::hours(hour) + TimeDelta::milliseconds(dice.between(0, 3_599_999))
}

fn call(start: DateTime<Utc>, customer: &DemoCustomer, models: &[DemoModel], dice: &mut Dice) -> anyhow::Result<SettledCall> {
    let key = &customer.keys[dice.weighted(KEY_WEIGHTS) % customer.keys.len()];
    let is_large = dice.per_mille(220);
    let model = &models[usize::from(is_large)];
    let admitted = admitted(start, customer, key, model, dice)?;
    let outcome = match dice.weighted([970, 14, 16]) {
        0 => Outcome::Ok,
        1 => Outcome::UpstreamError,
        // Only who watches a stream leaves in its middle.
        _ if admitted.stream => Outcome::ClientLeft,
        _ => Outcome::Ok,
    };
    let (_, rates) = model.price_at(start);
    let (usage, raw_usage) = if outcome == Outcome::UpstreamError { (CallUsage::default(), None) } else { usage(dice) };
    let ms_per_token = if is_large { 30 } else { 5 };
    let first_byte_ms = 4 * ms_per_token + dice.between(20, 180);
    let answer_ms = ms_per_token * usage.completion_tokens.map_or(0, Tokens::get);
    Ok(SettledCall {
        upstream_model: raw_usage.is_some().then(|| model.name.to_owned()),
        outcome,
        source: if raw_usage.is_some() { UsageSource::Upstream } else { UsageSource::None },
        // The rates and counts are ours: no product of them overflows.
        amount: price(&usage, rates, Discount::NONE).map_or(Amount::ZERO, |receipt| receipt.amount),
        usage,
        written_off: Amount::ZERO,
        http_status: Some(if outcome == Outcome::UpstreamError { 500 } else { 200 }),
        latency_ms: first_byte_ms + answer_ms,
        first_byte_ms: Some(if admitted.stream { first_byte_ms } else { first_byte_ms + answer_ms }),
        raw_usage,
        attempts: Vec::new(),
        admitted,
        served_tier: None,
    })
}

/// What is known of a call when it begins.
fn admitted(start: DateTime<Utc>, customer: &DemoCustomer, key: &DemoKey, model: &DemoModel, dice: &mut Dice) -> anyhow::Result<Admitted> {
    let (price_id, rates) = model.price_at(start);
    let [prompt, answer] = [PROMPT_MAX, ANSWER_MAX].map(Tokens::from_sum);
    Ok(Admitted {
        account_id: customer.id,
        call_id: CallId::new(start, dice.id_bits()),
        key_id: key.id,
        project_id: key.project,
        member: None,
        attribution: key.habits.map(|habits| habits.attribution(start, dice)).transpose()?.unwrap_or_default(),
        model: model.name.to_owned(),
        provider: PROVIDER.to_owned(),
        price_id,
        discount: Discount::NONE,
        stream: dice.per_mille(600),
        excess: Excess::WrittenOff,
        input_estimate: prompt,
        held: upper_bound(prompt, answer, rates, Discount::NONE).unwrap_or_default(),
        tokens_held: prompt.saturating_add(answer),
        epoch: None,
        split: Split::default(),
        asked_tier: ServiceTier::Default,
    })
}

/// Mostly short prompts, some long ones; a part of those comes from the cache.
fn usage(dice: &mut Dice) -> (CallUsage, Option<String>) {
    let prompt = dice.between(30, 500) * dice.between(1, 6);
    let completion = dice.between(15, 160) * dice.between(1, 4);
    let cached = if prompt >= 1_024 && dice.per_mille(400) { prompt * 3 / 4 / 64 * 64 } else { 0 };
    let tokens = |count: i64| Some(Tokens::from_sum(count));
    let counts = TokenCounts {
        input: tokens(prompt - cached),
        cache_read: tokens(cached),
        output: tokens(completion),
        reasoning: tokens(0),
        ..TokenCounts::default()
    };
    let raw = json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": { "cached_tokens": cached },
        "completion_tokens_details": { "reasoning_tokens": 0 },
    });
    let usage = CallUsage {
        prompt_tokens: tokens(prompt),
        completion_tokens: tokens(completion),
        total_tokens: tokens(prompt + completion),
        counts,
        flag: None,
    };
    (usage, Some(raw.to_string()))
}
