use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    catalog::PriceKind,
    id::PriceId,
    price_change::merged,
    price_history::{LEAD_MIN, PriceHistory},
    rate_unit::RateUnit,
    rates::Rates,
    replay::Replay,
    service_tier::ServiceTier,
};
use ledger::{Operator, Replayable};

use super::{
    fields,
    page::{Chosen, Done, Moved, Prices, REPLAYED_DAYS, Review, Stage},
    post,
};
use crate::{
    error::ConsoleError,
    parts::form::Form,
    server::{Caller, parameter},
};

/// The most calls that are replayed while somebody waits for the page: little more than a second's work.
const REPLAYED_CALLS_MAX: u64 = 200_000;
/// Customers that are named.
const CUSTOMERS_MAX: usize = 10;

/// Prices and costs, for operators.
pub(crate) async fn prices(caller: &Caller, query: &str) -> Result<Prices, ConsoleError> {
    let (operator, now) = (caller.operator().await?, caller.visitor.now);
    let models = operator.priced_models(now).await?;
    let form = caller.form();
    // A form that comes back names its model, its side and its unit itself, wherever it was sent to.
    let asked = |field: &str, name: &str| form.typed(field).map(str::to_owned).or_else(|| parameter(query, name));
    let side = asked(fields::KIND, "side").and_then(|name| fields::side(&name)).unwrap_or(PriceKind::Sale);
    let named = asked(fields::SERVICE_TIER, fields::SERVICE_TIER);
    let tier = named.map_or(Some(ServiceTier::Default), |name| ServiceTier::named(&name)).ok_or(ConsoleError::NotFound)?;
    let unit = asked(fields::PER, fields::PER).and_then(|name| RateUnit::named(&name)).unwrap_or_default();
    let chosen = match asked(fields::MODEL, fields::MODEL) {
        None => None,
        Some(name) => {
            let priced = models.iter().find(|priced| priced.model.name == name).cloned().ok_or(ConsoleError::NotFound)?;
            let history = operator.price_history(&name, tier).await?;
            let id =
                |name: &str| parameter(query, name).and_then(|id| id.parse::<PriceId>().ok()).filter(|id| history.version(*id).is_some());
            let published = id("published");
            let done = published.map(Done::Published).or_else(|| id("withdrawn").map(Done::Withdrawn));
            let restored = id("from").filter(|id| history.version(*id).is_some_and(|version| version.kind == side));
            let typed = form.typed(fields::BASE).and_then(|id| id.parse().ok());
            let base = typed.or(restored).or(published).or_else(|| history.latest(side).map(|version| version.id));
            let mut chosen = Chosen { priced, service_tier: tier, side, unit, history, base, done, stage: Stage::Form, form };
            take_stage(&mut chosen, now);
            if let Stage::Review(review) = &mut chosen.stage {
                review.replay = replay(&operator, (&name, tier), side, &review.rates, now).await;
            }
            Some(Box::new(chosen))
        }
    };
    let wanted = if chosen.is_none() { operator.wanted_models().await? } else { Vec::new() };
    Ok(Prices { models, wanted, chosen, now })
}

/// What the form has come to, from what it says and what is wrong with it.
fn take_stage(chosen: &mut Chosen, now: DateTime<Utc>) {
    let Chosen { form, history, side, .. } = &*chosen;
    let rates = || fields::rates(&|name| form.typed(name).map(str::to_owned), chosen.base().map(|version| &version.rates)).ok();
    if form.problem_at(fields::REVISION).is_some() {
        let (seen, wanted, newest) = (chosen.base().map(|version| version.rates.clone()), rates(), history.newest(*side));
        let on_top = |wanted| Some(merged(seen.as_ref()?, &newest?.rates, wanted));
        let moved = Moved { merged: wanted.as_ref().and_then(on_top).or_else(|| wanted.clone()), seen, wanted };
        let newest = newest.map(|version| version.id);
        // From here on it is a form of its own, filled anew: of what was typed only the instant stays.
        let kept = |name: &str| matches!(name, fields::EFFECTIVE | fields::PER);
        let typed = form.typed.iter().filter(|(name, _)| kept(name)).map(|(name, text)| (name.clone(), text.clone())).collect();
        chosen.form = Form { once: form.once.clone(), typed, problem: form.problem.clone() };
        (chosen.base, chosen.stage) = (newest, Stage::Moved(Box::new(moved)));
        return;
    }
    let is_review = matches!(form.typed(fields::STEP), Some(fields::REVIEW | fields::PUBLISH));
    let has_come_through = form.problem.is_none() || form.problem_at(fields::NAMED).is_some();
    let typed = post::instant(form.typed(fields::EFFECTIVE).unwrap_or_default()).ok().flatten();
    if let (true, true, Some(rates)) = (is_review, has_come_through && !form.typed.is_empty(), rates()) {
        let effective_from = typed.unwrap_or_else(|| soonest(history, *side, now));
        chosen.stage = Stage::Review(Box::new(Review { rates, effective_from, is_typed: typed.is_some(), replay: None }));
    }
}

/// What the last days' calls would have come to. A review does without, rather than not be shown.
async fn replay(
    operator: &Operator,
    (model, service_tier): (&str, ServiceTier),
    side: PriceKind,
    rates: &Rates,
    now: DateTime<Utc>,
) -> Option<Replay> {
    let (sale, cost) = match side {
        PriceKind::Sale => (Some(rates), None),
        PriceKind::Cost => (None, Some(rates)),
    };
    let from = now - TimeDelta::days(REPLAYED_DAYS);
    let replayable =
        Replayable { model, service_tier, from, to: now, sale, cost, calls_max: REPLAYED_CALLS_MAX, customers_max: CUSTOMERS_MAX };
    let replay = operator.replay(replayable).await;
    replay.inspect_err(|error| tracing::warn!(%error, model, "a price is reviewed without a replay")).ok()
}

/// The first instant at which a version can begin. Nobody was ever charged by a price that did not exist: a first one begins at once.
pub(super) fn soonest(history: &PriceHistory, side: PriceKind, now: DateTime<Utc>) -> DateTime<Utc> {
    if history.latest(side).is_none() { now } else { now + LEAD_MIN }
}
