use axum::{http::StatusCode, response::Response};
use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use domain::{
    catalog::{PriceKind, PriceVersion},
    id::PriceId,
    price_history::{LEAD_MIN, PriceHistory},
    rates::Rates,
    service_tier::ServiceTier,
};
use ledger::{NewPrice, Operator, Review};

use super::{api::soonest, fields};
use crate::{
    error::ConsoleError,
    parts::form::Problem,
    server::{Refusal, Submission, incomplete, see_other},
};

/// Where a form leads that nothing is wrong with.
enum Next {
    /// To another page.
    Away(Response),
    /// To its own page, which shows the next step.
    Here,
}

/// `POST /admin/pricing`: shows what a new version would change, publishes it, or withdraws one.
pub(crate) async fn submit(submission: Submission) -> Response {
    match try_submit(&submission).await {
        Ok(Next::Here) => submission.go_on().await,
        Ok(Next::Away(response)) => submission.answer(Ok(response)).await,
        Err(refusal) => submission.answer(Err(refusal)).await,
    }
}

async fn try_submit(submission: &Submission) -> Result<Next, Refusal> {
    let operator = submission.caller().operator().await?;
    let kind = fields::side(submission.text(fields::KIND)).ok_or_else(incomplete)?;
    // By either clock: proxies go by the database's.
    let now = submission.console.ledger.clock().await.map_err(ConsoleError::from)?.max(submission.visitor.now);
    if submission.field(fields::WITHDRAW).is_some() {
        return withdraw(submission, &operator, kind, now).await.map(Next::Away);
    }
    match submission.text(fields::STEP) {
        fields::PUBLISH => publish(submission, &operator, kind, now).await.map(Next::Away),
        fields::EDIT => Ok(Next::Here),
        fields::REVIEW => review(submission, &operator, kind, now).await.map(|()| Next::Here),
        _ => Err(incomplete()),
    }
}

async fn withdraw(submission: &Submission, operator: &Operator, kind: PriceKind, now: DateTime<Utc>) -> Result<Response, Refusal> {
    let (caller, model, tier) = (submission.caller(), submission.text(fields::MODEL), service_tier(submission)?);
    let price = submission.text(fields::WITHDRAW).parse().map_err(|_| incomplete())?;
    operator.withdraw_price((model, tier), price, caller.actor()?, now).await.map_err(|error| match error {
        ledger::Error::PriceTooSoon => {
            let message = "It is in force, or begins within a minute, and may have charged calls by then: publish another version instead.";
            Refusal::Form(StatusCode::CONFLICT, Problem::new("", message))
        }
        other => other.into(),
    })?;
    Ok(see_other(&format!("{}&withdrawn={price}", address(submission, tier, kind))))
}

/// Everything that can be told before it is published.
async fn review(submission: &Submission, operator: &Operator, kind: PriceKind, now: DateTime<Utc>) -> Result<(), Refusal> {
    let history = operator.price_history(submission.text(fields::MODEL), service_tier(submission)?).await?;
    rates(submission, &history)?;
    let instant = instant(submission.text(fields::EFFECTIVE))?;
    if revision(submission)? != history.revision(kind) {
        return Err(refusal(ledger::Error::PriceMoved));
    }
    let Some(instant) = instant else { return Ok(()) };
    if history.standing(kind).any(|version| version.effective_from == instant) {
        return Err(refusal(ledger::Error::Taken("")));
    }
    if history.latest(kind).is_some() && instant < now + LEAD_MIN {
        return Err(refusal(ledger::Error::PriceTooSoon));
    }
    Ok(())
}

async fn publish(submission: &Submission, operator: &Operator, kind: PriceKind, now: DateTime<Utc>) -> Result<Response, Refusal> {
    let (caller, model, tier) = (submission.caller(), submission.text(fields::MODEL), service_tier(submission)?);
    let history = operator.price_history(model, tier).await?;
    let typed_instant = instant(submission.text(fields::EFFECTIVE))?;
    let new = NewPrice {
        id: PriceId::from_uuid(submission.once()?),
        model,
        kind,
        rates: rates(submission, &history)?,
        effective_from: typed_instant.unwrap_or_else(|| soonest(&history, kind, now)),
        actor: caller.actor()?,
        now,
        service_tier: tier,
    };
    let review = Review { revision: revision(submission)?, named: submission.field(fields::NAMED) };
    let outcome = operator.publish_price(new.clone(), review).await;
    // A form that comes a second time publishes nothing, and finds its own version, also when the typed instant has passed meanwhile.
    match operator.price_history(model, tier).await?.version(new.id) {
        Some(version) => is_what_was_asked_for(version, &new, typed_instant)?,
        None => outcome.map_err(refusal)?,
    }
    Ok(see_other(&format!("{}&published={}", address(submission, tier, kind), new.id)))
}

fn address(submission: &Submission, tier: ServiceTier, kind: PriceKind) -> String {
    let unit = fields::unit(&|name| submission.field(name).map(str::to_owned));
    fields::address((submission.text(fields::MODEL), tier), kind, unit)
}

/// The default where a form names none.
pub(in crate::pages) fn service_tier(submission: &Submission) -> Result<ServiceTier, Refusal> {
    submission.field(fields::SERVICE_TIER).map_or(Some(ServiceTier::Default), ServiceTier::named).ok_or_else(incomplete)
}

/// Without it nobody knows what the form was filled from.
fn revision(submission: &Submission) -> Result<i64, Refusal> {
    submission.text(fields::REVISION).parse().map_err(|_| incomplete())
}

fn rates(submission: &Submission, history: &PriceHistory) -> Result<Rates, Refusal> {
    let base = submission.field(fields::BASE).ok_or_else(incomplete)?;
    let base = base.parse().ok().and_then(|id| history.version(id)).map(|version| &version.rates);
    let rates = fields::rates(&|name| submission.field(name).map(str::to_owned), base);
    rates.map_err(|(field, message)| Refusal::field(&field, message))
}

/// If a form that comes a second time says something else, its sender must know. Without an instant, any that was chosen for it is right.
fn is_what_was_asked_for(version: &PriceVersion, asked: &NewPrice<'_>, typed_instant: Option<DateTime<Utc>>) -> Result<(), Refusal> {
    let same_instant = typed_instant.is_none_or(|instant| instant == version.effective_from);
    if same_instant && version.kind == asked.kind && version.rates == asked.rates {
        return Ok(());
    }
    let message = "This form was already sent with other prices or for another instant, and those were published. Look at the history before \
                   you send it again.";
    Err(Refusal::Form(StatusCode::CONFLICT, Problem::new("", message)))
}

fn refusal(error: ledger::Error) -> Refusal {
    let message = match error {
        ledger::Error::PriceTooSoon => {
            "Choose an instant at least a minute ahead, so that every proxy knows the price before it is in force."
        }
        ledger::Error::Taken(_) => "Another version of this price begins at this very instant. Choose another one.",
        ledger::Error::PriceMoved => {
            let message = "Somebody else changed this price since you opened the form. Nothing was published.";
            return Refusal::Form(StatusCode::CONFLICT, Problem::new(fields::REVISION, message));
        }
        ledger::Error::PriceNotAgreed => {
            return Refusal::field(fields::NAMED, "Write the model's name exactly as it stands above to publish this.");
        }
        other => return other.into(),
    };
    Refusal::field(fields::EFFECTIVE, message)
}

/// A `datetime-local` field: without a zone, which is UTC here; with or without seconds.
pub(in crate::pages) fn instant(typed: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
    if typed.is_empty() {
        return Ok(None);
    }
    let parse = |format| NaiveDateTime::parse_from_str(typed, format).ok();
    let local = parse("%Y-%m-%dT%H:%M").or_else(|| parse("%Y-%m-%dT%H:%M:%S")).or_else(|| parse("%Y-%m-%d %H:%M"));
    let local = local.ok_or_else(|| Refusal::field("effective", "This is no date and time: write it like 2027-01-31T12:00."))?;
    Ok(Some(Utc.from_utc_datetime(&local)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::TimeDelta;
    use domain::{id::ModelId, money::Amount};

    use super::*;

    #[test]
    fn an_instant_is_utc_and_nothing_else_is_taken_for_one() {
        let noon: DateTime<Utc> = "2027-01-31T12:00:00Z".parse().unwrap();
        for typed in ["2027-01-31T12:00", "2027-01-31T12:00:00", "2027-01-31 12:00"] {
            assert_eq!(instant(typed).unwrap(), Some(noon), "{typed}");
        }
        assert_eq!(instant("").unwrap(), None);
        for typed in ["tomorrow", "2027-02-30T12:00", "2027-01-31"] {
            assert!(instant(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn a_form_that_comes_again_must_say_the_same() {
        let (now, later) = (DateTime::<Utc>::UNIX_EPOCH, DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(1));
        let id = PriceId::new(now, [1; 10]);
        let rates = Rates::plain("0.1".parse().unwrap(), "0.2".parse().unwrap());
        let asked = NewPrice {
            id,
            model: "m",
            kind: PriceKind::Sale,
            rates: rates.clone(),
            effective_from: now,
            actor: "a",
            now,
            service_tier: ServiceTier::Default,
        };
        let version = PriceVersion {
            id,
            model_id: ModelId::new(now, [2; 10]),
            kind: PriceKind::Sale,
            effective_from: now,
            rates,
            created_at: now,
            created_by: "a".to_owned(),
            service_tier: ServiceTier::Default,
        };
        assert!(is_what_was_asked_for(&version, &asked, Some(now)).is_ok());
        assert!(is_what_was_asked_for(&version, &NewPrice { effective_from: later, ..asked.clone() }, None).is_ok());
        assert!(is_what_was_asked_for(&version, &asked, Some(later)).is_err());
        assert!(is_what_was_asked_for(&version, &NewPrice { kind: PriceKind::Cost, ..asked.clone() }, None).is_err());
        assert!(is_what_was_asked_for(&version, &NewPrice { rates: Rates::plain(Amount::ZERO, Amount::ZERO), ..asked }, None).is_err());
    }
}
