//! What an account had, paid and used in a calendar month, as its statement says it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    billing::{JournalKind, PostingNumber},
    money::Amount,
    month::CalendarMonth,
    usage::{Totals, UsageRow},
};

/// What is in all grants of an account together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Holdings {
    /// In money.
    pub money: Amount,
    /// In tokens.
    pub tokens: i64,
}

impl Holdings {
    /// Both together; `None` where that cannot be written down.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self { money: self.money.checked_add(other.money)?, tokens: self.tokens.checked_add(other.tokens)? })
    }
}

/// What the postings of one kind changed in the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindSum {
    /// The kind.
    pub kind: JournalKind,
    /// How many postings.
    pub postings: i64,
    /// What they changed.
    pub change: Holdings,
}

/// A posting that is of no calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// Its number.
    pub number: PostingNumber,
    /// Why it was made.
    pub kind: JournalKind,
    /// In words.
    pub memo: String,
    /// When.
    pub posted_at: DateTime<Utc>,
    /// What it changed.
    pub change: Holdings,
}

/// What calls used, with their corrections. Its parts are sums of the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Used {
    /// Everything.
    pub totals: Totals,
    /// What of their prices nobody paid, since it exceeded what was held.
    pub written_off: Amount,
    /// Per model, dearest first.
    pub by_model: Vec<UsageRow>,
    /// Per key, dearest first.
    pub by_key: Vec<UsageRow>,
    /// Per day on which calls began, oldest first; days without calls are left out.
    pub by_day: Vec<(DateTime<Utc>, Totals)>,
}

/// The statement of a month. `opening + changes = closing`, and what calls used, in the month and late, is what the postings of calls took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthlyStatement {
    /// The month.
    pub month: CalendarMonth,
    /// Whether it is over in the account's books, so that nothing of this changes any more.
    pub is_closed: bool,
    /// What was there when it began.
    pub opening: Holdings,
    /// What was there when it ended; of a month that is not over, after its newest posting.
    pub closing: Holdings,
    /// What changed it, by kind.
    pub changes: Vec<KindSum>,
    /// The first postings that are of no calls, oldest first.
    pub movements: Vec<Movement>,
    /// Whether there are more of these.
    pub has_more: bool,
    /// Calls that began in the month and are in its postings.
    pub used: Used,
    /// Calls that began before the month, as far as they were posted in it: their own settlements, and what was corrected.
    pub late: Used,
}

impl MonthlyStatement {
    /// What is wrong with it, if its parts contradict each other.
    #[must_use]
    pub fn contradiction(&self) -> Option<&'static str> {
        let all = sum(self.changes.iter().map(|sum| sum.change)).and_then(|all| self.opening.checked_add(all));
        if all != Some(self.closing) {
            return Some("what was there and what changed is not what is there");
        }
        let of_calls = sum(self.changes.iter().filter(|sum| sum.kind.is_of_calls()).map(|sum| sum.change));
        let used = self.used.totals.amount.checked_add(self.late.totals.amount);
        if of_calls.and_then(|of_calls| of_calls.money.checked_neg()) != used {
            return Some("what calls cost is not what their postings took");
        }
        None
    }
}

fn sum(mut changes: impl Iterator<Item = Holdings>) -> Option<Holdings> {
    changes.try_fold(Holdings::default(), Holdings::checked_add)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_statement_that_does_not_add_up_says_so() {
        let holdings = |money: &str| Holdings { money: money.parse().unwrap(), tokens: 0 };
        let change = |kind, money| KindSum { kind, postings: 1, change: holdings(money) };
        let used = |money: &str| Used { totals: Totals { amount: money.parse().unwrap(), ..Totals::default() }, ..Used::default() };
        let good = MonthlyStatement {
            month: "2026-11".parse().unwrap(),
            is_closed: true,
            opening: holdings("5"),
            closing: holdings("12"),
            changes: vec![change(JournalKind::TopUp, "10"), change(JournalKind::Usage, "-4"), change(JournalKind::CallCredit, "1")],
            movements: vec![],
            has_more: false,
            used: used("2"),
            late: used("1"),
        };
        assert_eq!(good.contradiction(), None);
        assert!(MonthlyStatement { closing: holdings("13"), ..good.clone() }.contradiction().is_some());
        assert!(MonthlyStatement { late: used("2"), ..good }.contradiction().is_some());
    }
}
