//! Calendar months, UTC: what a statement is of, and a page of a journal.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::period::{Range, start_of};

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

    /// The months from `since` to this one, newest first.
    pub fn back_to(self, since: Self) -> impl Iterator<Item = Self> {
        let before = |month: &Self| month.0.checked_sub_months(Months::new(1)).map(Self);
        std::iter::successors(Some(self), before).take_while(move |month| *month >= since)
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_month_is_read_as_it_is_written_and_nothing_else_is_one() {
        let month: CalendarMonth = "2026-12".parse().unwrap();
        assert_eq!((month.to_string().as_str(), month.next().to_string().as_str()), ("2026-12", "2027-01"));
        let january: CalendarMonth = "2025-01".parse().unwrap();
        let months: Vec<_> = january.back_to("2024-11".parse().unwrap()).map(|month| month.to_string()).collect();
        assert_eq!(months, ["2025-01", "2024-12", "2024-11"]);
        let february: CalendarMonth = "2024-02".parse().unwrap();
        assert_eq!((february.range().to - february.range().from).num_days(), 29);
        assert_eq!(february.back_to(january).count(), 0);
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
}
