use std::cmp::Reverse;

use chrono::{DateTime, NaiveDateTime, SubsecRound, TimeZone, Utc};
use domain::{
    catalog::{PriceKind, PriceVersion},
    id::PriceId,
    price_history::PriceHistory,
    replay::Replay,
    service_tier::ServiceTier,
};
use http::StatusCode;
use ledger::{Operator, Replayable};

use super::fields::{DONE, FROM, MODEL, NOTE, PRICE, REVIEW, SERVICE_TIER, TO};
use crate::{
    error::ConsoleError,
    parts::form::{Form, Problem},
    server::{Caller, FormAnswer, page_status, parameter, typed_form},
};

/// Calls that are looked at for a page. 185,000 take a second.
const CALLS_MAX: u64 = 200_000;

/// Everything on the page.
#[derive(Debug, Clone)]
pub(crate) struct Repricing {
    /// The model.
    pub(super) model: String,
    /// Which of its prices.
    pub(super) service_tier: ServiceTier,
    /// The versions that customers pay by, newest first.
    pub(super) versions: Vec<PriceVersion>,
    /// The one in force.
    pub(super) current: Option<PriceId>,
    /// What is asked for, and what it comes to.
    pub(super) review: Option<(Asked, Replay)>,
    /// Whether it was just posted.
    pub(super) is_done: bool,
    /// The form.
    pub(super) form: Form,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    pub(super) price: PriceId,
    pub(super) note: String,
}

impl Asked {
    /// Reads the fields, each by its name.
    pub(super) fn read(typed: impl Fn(&str) -> String, history: &PriceHistory, now: DateTime<Utc>) -> Result<Self, Problem> {
        let from = instant(FROM, &typed(FROM))?.ok_or_else(|| Problem::new(FROM, "Write when the first of these calls began."))?;
        let to = instant(TO, &typed(TO))?.unwrap_or_else(|| now.trunc_subsecs(0));
        if to > now {
            return Err(Problem::new(TO, "Only past calls are charged anew: leave it empty for all up to this moment."));
        }
        if from >= to {
            return Err(Problem::new(FROM, "It begins after its end: write an earlier one."));
        }
        let price = typed(PRICE).parse().ok().filter(|price| history.standing(PriceKind::Sale).any(|version| version.id == *price));
        let price = price.ok_or_else(|| Problem::new(PRICE, "Choose one of the model's prices."))?;
        let note = typed(NOTE).trim().to_owned();
        if note.is_empty() {
            return Err(Problem::new(NOTE, "Say why: each customer reads it in the journal and on the receipt."));
        }
        Ok(Self { from, to, price, note })
    }
}

/// A `datetime-local` field: without a zone, which is UTC here.
fn instant(field: &str, text: &str) -> Result<Option<DateTime<Utc>>, Problem> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let parse = |format| NaiveDateTime::parse_from_str(text.trim(), format).ok();
    let local = parse("%Y-%m-%dT%H:%M").or_else(|| parse(INSTANT));
    let local = local.ok_or_else(|| Problem::new(field, "This is no date and time: write it like 2027-01-31T12:00."))?;
    Ok(Some(Utc.from_utc_datetime(&local)))
}

/// How an instant stands in the form that confirms.
pub(super) const INSTANT: &str = "%Y-%m-%dT%H:%M:%S";

/// What would go back of a model's past calls, for operators.
pub(crate) async fn repricing(caller: &Caller, query: &str) -> Result<Repricing, ConsoleError> {
    let (operator, now) = (caller.operator().await?, caller.visitor.now);
    let answered = FormAnswer::here().map(|answer| answer.form);
    let is_fresh = answered.is_none();
    let mut form = answered
        .unwrap_or_else(|| Form { typed: typed_form(query, &[MODEL, SERVICE_TIER, FROM, TO, PRICE, NOTE], REVIEW), ..caller.form() });
    let model = form.typed(MODEL).map(str::to_owned).or_else(|| parameter(query, MODEL)).unwrap_or_default();
    let tier = form.typed(SERVICE_TIER).map(str::to_owned).or_else(|| parameter(query, SERVICE_TIER)).filter(|tier| !tier.is_empty());
    let service_tier = tier.map_or(Some(ServiceTier::Default), |name| ServiceTier::named(&name)).ok_or(ConsoleError::NotFound)?;
    let history = operator.price_history(&model, service_tier).await?;
    let mut review = None;
    if is_fresh && parameter(query, REVIEW).is_some() {
        match Asked::read(|field| form.typed(field).unwrap_or_default().to_owned(), &history, now) {
            Ok(asked) => {
                let mut replay = replay(&operator, (model.as_str(), service_tier), &asked, &history).await?;
                replay.customers.retain(|customer| customer.sums.lowered > 0);
                replay.customers.sort_by_key(|customer| Reverse(customer.sums.given_back));
                review = Some((asked, replay));
            }
            Err(problem) => {
                form.problem = Some(problem);
                page_status(StatusCode::UNPROCESSABLE_ENTITY);
            }
        }
    }
    let mut versions: Vec<_> = history.standing(PriceKind::Sale).cloned().collect();
    versions.sort_by_key(|version| Reverse(version.effective_from));
    let current = history.at(PriceKind::Sale, now).map(|version| version.id);
    Ok(Repricing { model, service_tier, versions, current, review, is_done: parameter(query, DONE).is_some(), form })
}

/// What they come to now.
pub(super) async fn replay(
    operator: &Operator,
    (model, service_tier): (&str, ServiceTier),
    asked: &Asked,
    history: &PriceHistory,
) -> Result<Replay, ConsoleError> {
    let Asked { from, to, price, .. } = *asked;
    let sale = history.version(price).map(|version| &version.rates);
    let replayable = Replayable { model, service_tier, from, to, sale, cost: None, calls_max: CALLS_MAX, customers_max: usize::MAX };
    Ok(operator.replay(replayable).await?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{id::ModelId, money::Amount, rates::Rates};

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-27T12:00:00.5Z".parse().unwrap()
    }

    fn version(kind: PriceKind) -> PriceVersion {
        PriceVersion {
            id: PriceId::new(now(), [kind as u8; 10]),
            model_id: ModelId::new(now(), [1; 10]),
            kind,
            service_tier: ServiceTier::Default,
            rates: Rates::plain(Amount::ZERO, Amount::ZERO),
            effective_from: now(),
            created_at: now(),
            created_by: String::new(),
        }
    }

    fn read(changed: &[(&str, &str)]) -> Result<Asked, String> {
        let versions = [PriceKind::Sale, PriceKind::Cost].map(version);
        let sale = versions[0].id.to_string();
        let history = PriceHistory { versions: versions.to_vec(), ..PriceHistory::default() };
        let usual = [(FROM, "2026-11-01T00:00"), (PRICE, sale.as_str()), (NOTE, "Too dear")];
        let typed = |field: &str| changed.iter().chain(&usual).find(|(name, _)| *name == field).map_or("", |(_, text)| text).to_owned();
        Asked::read(typed, &history, now()).map_err(|problem| problem.field)
    }

    #[test]
    fn an_empty_end_is_now_and_one_that_was_looked_at_stays() {
        assert_eq!(read(&[]).unwrap().to, "2026-11-27T12:00:00Z".parse::<DateTime<Utc>>().unwrap());
        assert_eq!(read(&[(TO, "2026-11-20T08:30:07")]).unwrap().to, "2026-11-20T08:30:07Z".parse::<DateTime<Utc>>().unwrap());
    }

    #[test]
    fn what_cannot_be_is_said_at_its_field() {
        let cost = version(PriceKind::Cost).id.to_string();
        for (field, text) in [
            (FROM, ""),
            (FROM, "soon"),
            (FROM, "2026-11-27T12:00"),
            (TO, "2026-11-27T12:01"),
            (TO, "2026-11-27"),
            (PRICE, ""),
            (PRICE, cost.as_str()),
            (NOTE, " "),
        ] {
            assert_eq!(read(&[(field, text)]), Err(field.to_owned()), "{text}");
        }
    }
}
