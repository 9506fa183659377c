//! From what was typed to the codes that are to be made.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    code::{BatchTerms, CodeKind},
    payment::Currency,
};

use super::fields::{AMOUNT, CODES, CREDIT_DAYS, EXPIRES, KIND, NAME, SEVERAL, SOLE, USES};
use crate::{parts::form::Problem, server::sentence};

/// Reads the fields, each by its name.
pub(super) fn read(typed: impl Fn(&str) -> String, now: DateTime<Utc>) -> Result<BatchTerms, Problem> {
    let amount = typed(AMOUNT).parse().map_err(|error| Problem::new(AMOUNT, sentence(&format!("this {error}"))))?;
    let terms = BatchTerms {
        name: typed(NAME).trim().to_owned(),
        amount,
        currency: Currency::USD,
        kind: if typed(KIND) == CodeKind::Paid.name() { CodeKind::Paid } else { CodeKind::Promo },
        codes: count(CODES, &typed(CODES))?,
        uses: count(USES, &typed(USES))?,
        is_sole: typed(SOLE) != SEVERAL,
        expires_at: expiry(&typed(EXPIRES))?,
        credit_days: days(&typed(CREDIT_DAYS))?,
    };
    terms.check(now).map_err(|error| Problem::new(error.field, sentence(error.problem)))?;
    Ok(terms)
}

/// A whole number, as pages write them.
fn count(field: &str, text: &str) -> Result<i64, Problem> {
    text.trim().replace(',', "").parse().map_err(|_| Problem::new(field, "Write a whole number, such as 100."))
}

/// They are redeemed through the day that is typed.
fn expiry(text: &str) -> Result<Option<DateTime<Utc>>, Problem> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let after = text.trim().parse::<NaiveDate>().ok().and_then(|day| day.succ_opt());
    let after = after.ok_or_else(|| Problem::new(EXPIRES, "This is not a date: write it like 2027-01-31."))?;
    Ok(Some(domain::period::start_of(after)))
}

fn days(text: &str) -> Result<Option<u32>, Problem> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let days = text.trim().parse().map_err(|_| Problem::new(CREDIT_DAYS, "Write for how many days it lasts, such as 90, or nothing."));
    days.map(Some)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn read_with(changed: &[(&str, &str)]) -> Result<BatchTerms, String> {
        let codes = [(NAME, "Winter"), (AMOUNT, "10"), (CODES, "1,000"), (USES, "1")];
        let typed = |field: &str| {
            let found = changed.iter().chain(&codes).find(|(name, _)| *name == field);
            found.map_or("", |(_, text)| text).to_owned()
        };
        read(typed, "2026-11-23T10:04:05Z".parse().unwrap()).map_err(|problem| problem.field)
    }

    #[test]
    fn what_is_typed_is_what_is_made() {
        let terms = read_with(&[(EXPIRES, "2026-12-31"), (CREDIT_DAYS, "90")]).unwrap();
        assert_eq!((terms.codes, terms.uses, terms.is_sole, terms.kind), (1_000, 1, true, CodeKind::Promo));
        assert_eq!((terms.expires_at, terms.credit_days), (Some("2027-01-01T00:00:00Z".parse().unwrap()), Some(90)));
        let paid = read_with(&[(KIND, "paid"), (SOLE, SEVERAL)]).unwrap();
        assert_eq!((paid.kind, paid.is_sole, paid.expires_at, paid.credit_days), (CodeKind::Paid, false, None, None));
    }

    #[test]
    fn what_cannot_be_is_said_at_its_field() {
        for (field, text) in [
            (NAME, " "),
            (AMOUNT, "much"),
            (AMOUNT, "0"),
            (CODES, ""),
            (CODES, "10001"),
            (USES, "1.5"),
            (EXPIRES, "tomorrow"),
            (EXPIRES, "2026-11-22"),
            (CREDIT_DAYS, "0"),
            (CREDIT_DAYS, "long"),
        ] {
            assert_eq!(read_with(&[(field, text)]), Err(field.to_owned()), "{text}");
        }
        assert_eq!(read_with(&[(KIND, "paid"), (CREDIT_DAYS, "90")]), Err(CREDIT_DAYS.to_owned()));
    }
}
