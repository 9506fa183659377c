//! What is lent to an account, as it is written: in words, and in JSON.

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use domain::{
    credit::{CreditLine, Grace},
    pricing::Excess,
};
use serde::Serialize;
use serde_json::{Value, json};

/// Who bears what a call costs beyond what was held for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Terms {
    /// A call is never charged more than was held for it: how every account begins
    Strict,
    /// It pays what a call came to, also beyond what was held for it; where the client names no cap on the output, and there was room for the whole
    /// hold, there is none
    Lenient,
}

impl From<Terms> for Excess {
    fn from(terms: Terms) -> Self {
        Self::of(terms == Terms::Lenient)
    }
}

impl From<Excess> for Terms {
    fn from(excess: Excess) -> Self {
        if excess.is_charged() { Self::Lenient } else { Self::Strict }
    }
}

pub(super) fn line_json(line: &CreditLine) -> Value {
    json!({ "mode": line.mode(), "amount": line.amount, "grace": line.grace, "terms": Terms::from(line.excess) })
}

/// `5, and 2 more until 2026-12-01 00:00:00 UTC`.
pub(super) fn lent(line: &CreditLine) -> String {
    match (line.amount.is_zero(), line.grace) {
        (true, None) => "nothing".to_owned(),
        (false, None) => line.amount.to_string(),
        (true, Some(Grace { amount, until })) => format!("{amount} until {until}"),
        (false, Some(Grace { amount, until })) => format!("{}, and {amount} more until {until}", line.amount),
    }
}

pub(super) fn grace_of(line: &CreditLine, now: DateTime<Utc>) -> String {
    match line.grace {
        None => "none".to_owned(),
        Some(Grace { amount, until }) if now < until => format!("{amount} until {until}"),
        Some(Grace { amount, until }) => format!("ended: {amount} until {until}"),
    }
}

/// Their name, and what they mean.
pub(super) const fn terms(excess: Excess) -> &'static str {
    match excess {
        Excess::WrittenOff => "strict: a call is never charged more than was held for it",
        Excess::Charged => "lenient: it pays what a call came to",
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use domain::money::Amount;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn line(until: DateTime<Utc>) -> CreditLine {
        let [amount, more] = [5_000_000_000, 2_500_000_000].map(Amount::from_nanos);
        CreditLine { amount, grace: Some(Grace { amount: more, until }), excess: Excess::Charged, is_quota: false }
    }

    #[test]
    fn terms_have_the_same_name_wherever_they_stand() {
        for (excess, name) in [(Excess::WrittenOff, "strict"), (Excess::Charged, "lenient")] {
            let line = CreditLine { excess, ..CreditLine::default() };
            assert_eq!(line_json(&line)["terms"], name);
            assert!(terms(excess).starts_with(name));
            assert_eq!(Terms::from_str(name, false).map(Excess::from), Ok(excess));
        }
    }

    #[test]
    fn what_is_lent_is_said_in_words() {
        let both = line(NOW);
        for (line, words) in [
            (both, "5, and 2.5 more until 1970-01-01 00:00:00 UTC"),
            (CreditLine { amount: Amount::ZERO, ..both }, "2.5 until 1970-01-01 00:00:00 UTC"),
            (CreditLine { grace: None, ..both }, "5"),
            (CreditLine::default(), "nothing"),
        ] {
            assert_eq!(lent(&line), words);
        }
        assert_eq!(grace_of(&both, NOW), "ended: 2.5 until 1970-01-01 00:00:00 UTC");
        assert_eq!(grace_of(&both, NOW - TimeDelta::seconds(1)), "2.5 until 1970-01-01 00:00:00 UTC");
    }
}
