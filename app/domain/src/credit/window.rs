//! The stretches of time that a limit counts over. Everything is UTC.

use chrono::{DateTime, Datelike, Days, Months, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

use crate::period::{Step, start_of};

/// How often a limit begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// At each full minute.
    Minute,
    /// At midnight.
    Day,
    /// On Monday (ISO 8601), at midnight.
    Week,
    /// On the first of the month, at midnight.
    Month,
    /// Never.
    Ever,
}

/// One window: `from` belongs to it, `to` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WindowRange {
    /// First instant inside; with the limit's id it names the window's pool.
    pub from: DateTime<Utc>,
    /// First instant after; `None` if it never ends.
    pub to: Option<DateTime<Utc>>,
}

impl WindowRange {
    /// Whether an instant lies inside.
    #[must_use]
    pub fn contains(self, at: DateTime<Utc>) -> bool {
        self.from <= at && self.to.is_none_or(|to| at < to)
    }
}

impl Window {
    /// Every window, shortest first.
    pub const ALL: [Self; 5] = [Self::Minute, Self::Day, Self::Week, Self::Month, Self::Ever];

    /// Its name in stored rows and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Ever => "ever",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Minute => "Per minute",
            Self::Day => "Per day",
            Self::Week => "Per week",
            Self::Month => "Per month",
            Self::Ever => "In all",
        }
    }

    /// The window that holds an instant.
    ///
    /// The one that never ends begins with Unix time, which every database can store and no call is older than. A window that would end
    /// after the last instant there is never ends either.
    #[must_use]
    pub fn range(self, at: DateTime<Utc>) -> WindowRange {
        let from = self.start(at);
        let to = match self {
            Self::Minute => from.checked_add_signed(TimeDelta::minutes(1)),
            Self::Day => from.checked_add_days(Days::new(1)),
            Self::Week => from.checked_add_days(Days::new(7)),
            Self::Month => from.checked_add_months(Months::new(1)),
            Self::Ever => None,
        };
        WindowRange { from, to }
    }

    fn start(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let day = at.date_naive();
        match self {
            Self::Minute => start_of(day) + TimeDelta::minutes(i64::from(at.hour() * 60 + at.minute())),
            Self::Day => Step::Day.floor(at),
            Self::Week => {
                let since_monday = u64::from(day.weekday().num_days_from_monday());
                day.checked_sub_days(Days::new(since_monday)).map_or(DateTime::<Utc>::MIN_UTC, start_of)
            }
            Self::Month => Step::Month.floor(at),
            Self::Ever => DateTime::UNIX_EPOCH,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn each_window_begins_and_ends_where_the_calendar_says() {
        for (window, now, from, to) in [
            (Window::Minute, "2026-03-01T13:45:59.999Z", "2026-03-01T13:45:00Z", Some("2026-03-01T13:46:00Z")),
            (Window::Minute, "2026-12-31T23:59:00Z", "2026-12-31T23:59:00Z", Some("2027-01-01T00:00:00Z")),
            (Window::Day, "2028-02-28T23:59:59Z", "2028-02-28T00:00:00Z", Some("2028-02-29T00:00:00Z")),
            (Window::Week, "2026-03-01T13:45:00Z", "2026-02-23T00:00:00Z", Some("2026-03-02T00:00:00Z")),
            (Window::Week, "2026-03-02T00:00:00Z", "2026-03-02T00:00:00Z", Some("2026-03-09T00:00:00Z")),
            (Window::Week, "2027-01-01T08:00:00Z", "2026-12-28T00:00:00Z", Some("2027-01-04T00:00:00Z")),
            (Window::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", Some("2027-01-01T00:00:00Z")),
            (Window::Month, "2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z", Some("2026-03-01T00:00:00Z")),
            (Window::Ever, "2026-02-01T00:00:00Z", "1970-01-01T00:00:00Z", None),
        ] {
            assert_eq!(window.range(at(now)), WindowRange { from: at(from), to: to.map(at) }, "{} at {now}", window.name());
        }
    }

    #[test]
    fn the_first_and_the_last_instant_have_windows_too() {
        for window in Window::ALL {
            assert_eq!(window.range(DateTime::<Utc>::MAX_UTC).to, None);
            assert!(window == Window::Ever || window.range(DateTime::<Utc>::MIN_UTC).from <= DateTime::<Utc>::MIN_UTC);
        }
    }

    proptest! {
        #[test]
        fn every_instant_lies_in_one_window_and_the_next_begins_where_it_ends(
            seconds in 0_i64..10_000_000_000,
            nanos in 0_u32..1_000_000_000,
        ) {
            let now = DateTime::from_timestamp(seconds, nanos).unwrap();
            for window in Window::ALL {
                let range = window.range(now);
                prop_assert!(range.contains(now));
                prop_assert_eq!(window.range(range.from), range);
                if let Some(to) = range.to {
                    prop_assert!(!range.contains(to));
                    prop_assert_eq!(window.range(to).from, to);
                    prop_assert_eq!(window.range(to - TimeDelta::nanoseconds(1)), range);
                }
            }
        }
    }
}
