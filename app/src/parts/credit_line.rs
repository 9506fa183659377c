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
