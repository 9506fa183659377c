use axum::{http::StatusCode, response::Response};
use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use domain::{
    catalog::PriceKind,
    id::PriceId,
    money::{Amount, AmountError},
    rates::{BucketRates, Rates},
};
use ledger::{NewPrice, Operator};

use super::fields;
use crate::{
    parts::form::Problem,
    server::{Posting, Refusal, see_other, sentence},
};

/// When a price takes effect that names no instant.
const DEFAULT_LEAD: TimeDelta = TimeDelta::minutes(1);

/// `POST /admin/pricing`: publishes a new version of a model's price.
pub(crate) async fn publish(posting: Posting) -> Response {
    let outcome = try_publish(&posting).await;
    posting.answer(outcome).await
}

async fn try_publish(posting: &Posting) -> Result<Response, Refusal> {
    let caller = posting.caller();
    let operator = caller.operator().await?;
    let model = posting.text("model");
    let kind = [PriceKind::Sale, PriceKind::Cost].into_iter().find(|kind| kind.name() == posting.text("kind"));
    let rates = rates(posting)?;
    let new = NewPrice {
        id: PriceId::from_uuid(posting.once()?),
        model,
        kind: kind.ok_or_else(|| Refusal::field("kind", "Choose sale or cost."))?,
        rates: rates.clone(),
        effective_from: effective_from(posting.text("effective"), posting.visitor.now)?,
        actor: caller.actor()?,
        now: posting.visitor.now,
    };
    let (id, kind) = (new.id, new.kind);
    match operator.publish_price(new).await {
        Err(ledger::Error::PriceTooSoon) => {
            return Err(Refusal::field(
                "effective",
                "Choose an instant at least 10 seconds ahead, so that every proxy knows the price before it is in force.",
            ));
        }
        Err(ledger::Error::Taken(_)) => {
            return Err(Refusal::field("effective", "Another version of this price begins at this very instant. Choose another one."));
        }
        answer => answer?,
    }
    is_what_was_published(&operator, model, id, kind, &rates).await?;
    Ok(see_other(&format!("/admin/pricing?{}", fields::query(&[("model", model), ("published", &id.to_string())]))))
}

/// A form that comes a second time publishes nothing; if it then says something else, its sender must know.
async fn is_what_was_published(operator: &Operator, model: &str, id: PriceId, kind: PriceKind, rates: &Rates) -> Result<(), Refusal> {
    let history = operator.price_history(model).await?;
    if history.iter().any(|version| version.id == id && version.kind == kind && version.rates == *rates) {
        return Ok(());
    }
    Err(Refusal::Form(
        StatusCode::CONFLICT,
        Problem::new(
            "",
            "This form was already sent with other prices, and those were published. Look at the history before you send it again.",
        ),
    ))
}

fn rates(posting: &Posting) -> Result<Rates, Refusal> {
    let required = |field: &'static str| rate(posting, field)?.ok_or_else(|| Refusal::field(field, "Write a price; zero means free."));
    let base = BucketRates {
        input: required(fields::PROMPT)?,
        output: required(fields::COMPLETION)?,
        cache_read: rate(posting, "cache_read")?,
        cache_write_5m: rate(posting, "cache_write_5m")?,
        cache_write_1h: rate(posting, "cache_write_1h")?,
        reasoning: rate(posting, "reasoning")?,
        audio_input: rate(posting, "audio_input")?,
        audio_output: rate(posting, "audio_output")?,
    };
    Ok(Rates { base, per_call: rate(posting, "per_call")?.unwrap_or_default(), tiers: Vec::new() })
}

fn rate(posting: &Posting, field: &'static str) -> Result<Option<Amount>, Refusal> {
    let typed = posting.text(field);
    if typed.is_empty() {
        return Ok(None);
    }
    let rate: Amount = typed.parse().map_err(|error: AmountError| Refusal::field(field, sentence(&format!("this {error}"))))?;
    let lone = Rates::plain(rate, Amount::ZERO);
    lone.validate().map_err(|error| Refusal::field(field, sentence(&error.to_string())))?;
    Ok(Some(rate))
}

/// A `datetime-local` field: without a zone, which is UTC here; with or without seconds.
fn effective_from(typed: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
    if typed.is_empty() {
        return Ok(now + DEFAULT_LEAD);
    }
    let parse = |format| NaiveDateTime::parse_from_str(typed, format).ok();
    let local = parse("%Y-%m-%dT%H:%M").or_else(|| parse("%Y-%m-%dT%H:%M:%S")).or_else(|| parse("%Y-%m-%d %H:%M"));
    let instant = local.map(|local| Utc.from_utc_datetime(&local));
    instant.ok_or_else(|| Refusal::field("effective", "This is no date and time: write it like 2027-01-31T12:00."))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn an_instant_is_utc_and_nothing_else_is_taken_for_one() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let noon: DateTime<Utc> = "2027-01-31T12:00:00Z".parse().unwrap();
        for typed in ["2027-01-31T12:00", "2027-01-31T12:00:00", "2027-01-31 12:00"] {
            assert_eq!(effective_from(typed, now).unwrap(), noon, "{typed}");
        }
        assert_eq!(effective_from("", now).unwrap(), now + DEFAULT_LEAD);
        for typed in ["tomorrow", "2027-02-30T12:00", "2027-01-31"] {
            assert!(effective_from(typed, now).is_err(), "{typed}");
        }
    }
}
