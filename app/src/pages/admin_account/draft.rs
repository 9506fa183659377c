//! From what was typed to what is to be set.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone, Utc};
use domain::{
    credit::{CreditLine, Grace, Mode},
    money::Amount,
    pricing::Excess,
};

use super::fields::{GRACE, LENIENT, LENT, MODE, MODES, TERMS, UNTIL};
use crate::{parts::form::Problem, server::sentence};

/// Reads the fields, each by its name.
pub(super) fn read(typed: impl Fn(&str) -> String) -> Result<CreditLine, Problem> {
    let mode = MODES.into_iter().find(|mode| mode.name() == typed(MODE)).unwrap_or_default();
    let lent = amount(LENT, &typed(LENT))?;
    let grace = grace(amount(GRACE, &typed(GRACE))?, &typed(UNTIL))?;
    let excess = Excess::of(typed(TERMS) == LENIENT);
    match mode {
        Mode::Prepaid if !lent.is_zero() => {
            Err(Problem::new(LENT, "A prepaid account is lent nothing for good: leave it empty, or choose postpaid."))
        }
        Mode::Postpaid if lent.is_zero() => {
            Err(Problem::new(LENT, "A postpaid account needs a credit line: write how far below zero it may go."))
        }
        Mode::Quota if !lent.is_zero() => Err(Problem::new(LENT, "An account on quota is lent nothing: its balance pays for no call.")),
        Mode::Quota if grace.is_some() => Err(Problem::new(GRACE, "An account on quota is lent nothing: leave it empty.")),
        Mode::Quota if excess.is_charged() => Err(Problem::new(TERMS, "An account on quota is strict: its balance pays for no call.")),
        _ => Ok(CreditLine { amount: lent, grace, excess, is_quota: mode == Mode::Quota }),
    }
}

/// Empty is nothing.
fn amount(field: &str, text: &str) -> Result<Amount, Problem> {
    if text.trim().is_empty() {
        return Ok(Amount::ZERO);
    }
    let amount: Amount = text.parse().map_err(|error| Problem::new(field, sentence(&format!("this {error}"))))?;
    if amount.is_negative() { Err(Problem::new(field, "Write an amount of 0 or more.")) } else { Ok(amount) }
}

fn grace(amount: Amount, until: &str) -> Result<Option<Grace>, Problem> {
    match (amount.is_zero(), until.trim()) {
        (true, "") => Ok(None),
        (true, _) => Err(Problem::new(GRACE, "Write how much is lent until then, or leave the end empty as well.")),
        (false, "") => Err(Problem::new(UNTIL, "A grace has an end: write when.")),
        (false, until) => instant(until)
            .map(|until| Some(Grace { amount, until }))
            .ok_or_else(|| Problem::new(UNTIL, "This is no date and time: write it like 2027-01-31T12:00.")),
    }
}

/// A day, or a `datetime-local` field: without a zone, which is UTC here.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let local = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let local = local.or_else(|| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0))?;
    Some(Utc.from_utc_datetime(&local))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<CreditLine, String> {
        let typed = |field: &str| fields.iter().find(|(name, _)| *name == field).map_or("", |(_, text)| text).to_owned();
        super::read(typed).map_err(|problem| problem.field)
    }

    #[test]
    fn what_is_typed_is_what_is_set() {
        assert_eq!(read(&[]), Ok(CreditLine::default()));
        let line = read(&[(MODE, "postpaid"), (LENT, "$1,000"), (TERMS, "lenient"), (GRACE, "5"), (UNTIL, "2027-01-31T12:00")]).unwrap();
        assert_eq!((line.amount, line.excess.is_charged(), line.mode()), ("1000".parse().unwrap(), true, Mode::Postpaid));
        assert_eq!(line.grace, Some(Grace { amount: "5".parse().unwrap(), until: "2027-01-31T12:00:00Z".parse().unwrap() }));
        assert_eq!(instant("2027-01-31"), Some("2027-01-31T00:00:00Z".parse().unwrap()));
        assert!(read(&[(MODE, "quota")]).unwrap().is_quota);
    }

    #[test]
    fn what_does_not_go_together_is_said_at_its_field() {
        for (fields, at) in [
            (&[(LENT, "1")][..], LENT),
            (&[(MODE, "postpaid")], LENT),
            (&[(MODE, "quota"), (LENT, "1")], LENT),
            (&[(MODE, "quota"), (GRACE, "1"), (UNTIL, "2099-01-01")], GRACE),
            (&[(MODE, "quota"), (TERMS, "lenient")], TERMS),
            (&[(MODE, "postpaid"), (LENT, "-1")], LENT),
            (&[(GRACE, "1")], UNTIL),
            (&[(GRACE, "1"), (UNTIL, "soon")], UNTIL),
            (&[(UNTIL, "2099-01-01")], GRACE),
        ] {
            assert_eq!(read(fields), Err(at.to_owned()), "{fields:?}");
        }
    }
}
