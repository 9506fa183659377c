//! How an account's calls are paid, in words: the same for its people as for the operator.

use chrono::{DateTime, Utc};
use domain::{
    credit::{CreditLine, Grace, Mode},
    money::Amount,
};

use crate::parts::{money, time};

/// What is set at an instant, a name and a sentence each.
pub(crate) fn rules(line: &CreditLine, now: DateTime<Utc>) -> [(&'static str, String); 3] {
    [("Mode", mode(line.mode()).to_owned()), ("Below zero", below_zero(line, now)), ("Terms", terms(line).to_owned())]
}

/// That no grace may begin before then, where one has begun this month.
pub(crate) fn next_grace(next: Option<DateTime<Utc>>) -> Option<(&'static str, String)> {
    next.map(|next| ("Grace", format!("Used this month; the next one can be given from {} on.", time::day(next))))
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Prepaid => "Prepaid: calls are paid from the balance, after any plan, package or promotional credit is used up.",
        Mode::Postpaid => "Postpaid: once the balance is used up, calls go on within what is lent to this account.",
        Mode::Quota => "Quota: calls are paid from plans, packages and promotional credit alone. The balance pays for none.",
    }
}

fn below_zero(line: &CreditLine, now: DateTime<Utc>) -> String {
    let grace = line.grace.filter(|grace| now < grace.until);
    match (line.amount.is_zero(), grace) {
        (true, None) => "The balance does not go below zero: nothing is lent.".to_owned(),
        (false, None) => format!("The balance may go down to {}.", owed(line.lent(now))),
        (_, Some(Grace { amount, until })) => {
            let (to, after) = (owed(line.lent(now)), if line.amount.is_zero() { "zero".to_owned() } else { owed(line.amount) });
            format!(
                "The balance may go down to {to}, {} of it as a grace until {} UTC. After that no call starts below {after}; what is owed stays owed.",
                money::exact(amount),
                time::minute(until)
            )
        }
    }
}

/// What is lent as the balance that it leads to.
fn owed(lent: Amount) -> String {
    money::exact(lent.checked_neg().unwrap_or(Amount::MAX))
}

const fn terms(line: &CreditLine) -> &'static str {
    if line.excess.is_charged() {
        "Lenient: a call is charged what it comes to, also beyond what was held for it, which can take the balance lower than that."
    } else {
        "Strict: a call is never charged more than what was held for it when it started."
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::pricing::Excess;

    use super::*;

    #[test]
    fn how_far_below_zero_and_until_when_is_said() {
        let (now, until) = ("2026-11-23T10:00:00Z".parse().unwrap(), "2026-12-01T08:00:00Z".parse().unwrap());
        let [ten, two] = ["10", "2"].map(|text| text.parse().unwrap());
        let none = CreditLine::default();
        let lent = CreditLine { amount: ten, ..none };
        let grace = Some(Grace { amount: two, until });
        for (line, at, words) in [
            (none, now, "The balance does not go below zero: nothing is lent."),
            (lent, now, "The balance may go down to −$10.00."),
            (CreditLine { grace, ..lent }, until, "The balance may go down to −$10.00."),
            (CreditLine { grace, ..none }, until, "The balance does not go below zero: nothing is lent."),
        ] {
            assert_eq!(below_zero(&line, at), words);
        }
        let both = below_zero(&CreditLine { grace, ..lent }, now);
        assert!(
            both.contains("down to −$12.00, $2.00 of it as a grace until 1 Dec 2026, 08:00 UTC. After that no call starts below −$10.00"),
            "{both}"
        );
        let grace = below_zero(&CreditLine { grace, ..none }, now);
        assert!(grace.contains("down to −$2.00") && grace.contains("no call starts below zero"), "{grace}");
    }

    #[test]
    fn every_mode_and_every_term_has_its_own_words() {
        let now = DateTime::UNIX_EPOCH;
        let words = |line: CreditLine| rules(&line, now).map(|(_, words)| words);
        let [mode, _, terms] = words(CreditLine::default());
        assert!(mode.starts_with("Prepaid") && terms.starts_with("Strict"), "{mode} {terms}");
        let [mode, _, terms] = words(CreditLine { amount: "1".parse().unwrap(), excess: Excess::Charged, ..CreditLine::default() });
        assert!(mode.starts_with("Postpaid") && terms.starts_with("Lenient"), "{mode} {terms}");
        assert!(words(CreditLine { is_quota: true, ..CreditLine::default() })[0].starts_with("Quota"));
    }
}
