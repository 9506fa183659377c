use axum::{http::StatusCode, response::Response};
use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use domain::{
    catalog::PriceVersion,
    id::PriceId,
    money::Amount,
    rates::{BucketRates, Rates},
};
use ledger::NewPrice;

use super::fields;
use crate::{
    error::ConsoleError,
    parts::form::Problem,
    server::{Refusal, Submission, incomplete, see_other, sentence},
};

/// `POST /admin/pricing`: publishes a new version of a model's price.
pub(crate) async fn publish(submission: Submission) -> Response {
    let outcome = try_publish(&submission).await;
    submission.answer(outcome).await
}

async fn try_publish(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let operator = caller.operator().await?;
    let model = submission.text("model");
    let kind = fields::side(submission.text("kind")).ok_or_else(incomplete)?;
    let typed_instant = instant(submission.text("effective"))?;
    // By either clock: proxies go by the database's.
    let now = submission.console.ledger.clock().await.map_err(ConsoleError::from)?.max(submission.visitor.now);
    let new = NewPrice {
        id: PriceId::from_uuid(submission.once()?),
        model,
        kind,
        rates: rates(submission)?,
        effective_from: typed_instant.unwrap_or(now + NewPrice::LEAD_MIN),
        actor: caller.actor()?,
        now,
    };
    let outcome = operator.publish_price(new.clone()).await;
    // A form that comes a second time publishes nothing, and finds its own version, also when the typed instant has passed meanwhile.
    let history = operator.price_history(model).await?;
    match history.iter().find(|version| version.id == new.id) {
        Some(version) => is_what_was_asked_for(version, &new, typed_instant)?,
        None => outcome.map_err(refusal)?,
    }
    Ok(see_other(&format!("{}&published={}", fields::address(model, kind), new.id)))
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
        // No field of this form is at fault.
        ledger::Error::Invalid { field: "tiers", problem } => {
            return Refusal::Form(StatusCode::UNPROCESSABLE_ENTITY, Problem::new("", sentence(&problem)));
        }
        other => return other.into(),
    };
    Refusal::field("effective", message)
}

fn rates(submission: &Submission) -> Result<Rates, Refusal> {
    let required = |field: &'static str| rate(submission, field)?.ok_or_else(|| Refusal::field(field, "Write a price; zero means free."));
    let base = BucketRates {
        input: required(fields::PROMPT)?,
        output: required(fields::COMPLETION)?,
        cache_read: rate(submission, "cache_read")?,
        cache_write_5m: rate(submission, "cache_write_5m")?,
        cache_write_1h: rate(submission, "cache_write_1h")?,
        reasoning: rate(submission, "reasoning")?,
        audio_input: rate(submission, "audio_input")?,
        audio_output: rate(submission, "audio_output")?,
    };
    Ok(Rates { base, per_call: rate(submission, "per_call")?.unwrap_or_default(), tiers: Vec::new() })
}

fn rate(submission: &Submission, field: &'static str) -> Result<Option<Amount>, Refusal> {
    if submission.text(field).is_empty() {
        return Ok(None);
    }
    let rate = submission.amount(field)?;
    let lone = Rates::plain(rate, Amount::ZERO);
    lone.validate().map_err(|error| Refusal::field(field, sentence(&error.to_string())))?;
    Ok(Some(rate))
}

/// A `datetime-local` field: without a zone, which is UTC here; with or without seconds.
fn instant(typed: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
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
    use domain::{catalog::PriceKind, id::ModelId};

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
        let asked = NewPrice { id, model: "m", kind: PriceKind::Sale, rates: rates.clone(), effective_from: now, actor: "a", now };
        let version = PriceVersion {
            id,
            model_id: ModelId::new(now, [2; 10]),
            kind: PriceKind::Sale,
            effective_from: now,
            rates,
            created_at: now,
            created_by: "a".to_owned(),
        };
        assert!(is_what_was_asked_for(&version, &asked, Some(now)).is_ok());
        assert!(is_what_was_asked_for(&version, &NewPrice { effective_from: later, ..asked.clone() }, None).is_ok());
        assert!(is_what_was_asked_for(&version, &asked, Some(later)).is_err());
        assert!(is_what_was_asked_for(&version, &NewPrice { kind: PriceKind::Cost, ..asked.clone() }, None).is_err());
        assert!(is_what_was_asked_for(&version, &NewPrice { rates: Rates::plain(Amount::ZERO, Amount::ZERO), ..asked }, None).is_err());
    }
}
