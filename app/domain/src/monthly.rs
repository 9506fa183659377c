//! What an account had, paid and used in a calendar month, as its statement says it.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    billing::{JournalKind, PostingNumber},
    money::Amount,
    period::{Range, start_of},
    usage::{Totals, UsageRow},
};

/// A calendar month, UTC: `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CalendarMonth(NaiveDate);

/// A text is no calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a month like 2026-11")]
pub struct CalendarMonthError;

impl CalendarMonth {
    /// The month that holds this instant.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        let day = at.date_naive();
        Self(day.with_day(1).unwrap_or(day))
    }

    /// From its first instant to the first one after it.
    #[must_use]
    pub fn range(self) -> Range {
        Range { from: start_of(self.0), to: start_of(self.next().0) }
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add_months(Months::new(1)).unwrap_or(self.0))
    }

    /// The month before it.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.checked_sub_months(Months::new(1)).unwrap_or(self.0))
    }
}

impl fmt::Display for CalendarMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for CalendarMonth {
    type Err = CalendarMonthError;

    fn from_str(text: &str) -> Result<Self, CalendarMonthError> {
        let (year, month) = text.split_once('-').ok_or(CalendarMonthError)?;
        let is_number = |digits: &str, count: usize| digits.len() == count && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number(year, 4) || !is_number(month, 2) {
            return Err(CalendarMonthError);
        }
        format!("{text}-01").parse().map(Self).map_err(|_| CalendarMonthError)
    }
}

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
    fn a_month_is_read_as_it_is_written_and_nothing_else_is_one() {
        let month: CalendarMonth = "2026-12".parse().unwrap();
        assert_eq!((month.to_string().as_str(), month.next().to_string().as_str()), ("2026-12", "2027-01"));
        assert_eq!(month.previous().next(), month);
        let range = month.range();
        assert_eq!(
            (range.from.to_rfc3339(), range.to.to_rfc3339()),
            ("2026-12-01T00:00:00+00:00".to_owned(), "2027-01-01T00:00:00+00:00".to_owned())
        );
        assert_eq!(CalendarMonth::of("2026-12-31T23:59:59.999999Z".parse().unwrap()), month);
        for wrong in ["", "2026", "2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", "+026-11", "2026-11 "] {
            assert!(wrong.parse::<CalendarMonth>().is_err(), "{wrong}");
        }
    }

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
