//! Ranges of time and the steps they are cut into. Everything is UTC.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

/// A half-open range of time: `from` belongs to it, `to` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// First instant inside.
    pub from: DateTime<Utc>,
    /// First instant after.
    pub to: DateTime<Utc>,
}

impl Range {
    /// The range of equal length that ends where this one begins.
    fn previous(self) -> Self {
        Self { from: self.from - (self.to - self.from), to: self.from }
    }

    /// How many calendar months it is, if it consists of whole ones.
    #[must_use]
    pub fn months(self) -> Option<u32> {
        let starts_month = |at: DateTime<Utc>| Step::Month.floor(at) == at;
        let count = |at: DateTime<Utc>| at.year() * 12 + at.month0().cast_signed();
        let months = u32::try_from(count(self.to) - count(self.from)).ok().filter(|months| *months > 0)?;
        (starts_month(self.from) && starts_month(self.to)).then_some(months)
    }

    /// What figures of this range are compared with at `now`: the range before, and of a range that still runs, as much of it as has passed of this one.
    /// Months are compared with months, whatever their lengths.
    #[must_use]
    pub fn compared(self, now: DateTime<Utc>) -> Self {
        let month_before = self.months().and_then(|months| self.from.checked_sub_months(Months::new(months)));
        let whole = month_before.map_or_else(|| self.previous(), |from| Self { from, to: self.from });
        if self.is_running(now) { Self { to: whole.to.min(whole.from + (now - self.from)), ..whole } } else { whole }
    }

    /// The part of it that lies inside another one, with which it overlaps.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }

    /// Whether `now` lies inside, so that its figures are "so far".
    #[must_use]
    pub fn is_running(self, now: DateTime<Utc>) -> bool {
        self.from <= now && now < self.to
    }

    /// The starts of the steps that cover the range, in order.
    pub fn steps(self, step: Step) -> impl Iterator<Item = DateTime<Utc>> {
        std::iter::successors(Some(step.floor(self.from)), move |start| Some(step.next(*start))).take_while(move |start| *start < self.to)
    }
}

/// The length of one bar of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// One hour.
    Hour,
    /// One day.
    Day,
    /// One calendar month.
    Month,
}

impl Step {
    /// Every step, shortest first.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// Its name in a query string and in SQL's `date_trunc`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The start of the step that holds this instant.
    #[must_use]
    pub fn floor(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let day = start_of(at.date_naive());
        match self {
            Self::Hour => day + TimeDelta::hours(i64::from(at.hour())),
            Self::Day => day,
            Self::Month => start_of(first_of_month(at.date_naive())),
        }
    }

    /// The start of the step after the one that starts here.
    #[must_use]
    pub fn next(self, start: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Hour => start + TimeDelta::hours(1),
            Self::Day => start + TimeDelta::days(1),
            Self::Month => start.checked_add_months(Months::new(1)).unwrap_or(DateTime::<Utc>::MAX_UTC),
        }
    }
}

/// A range as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// The running day.
    Today,
    /// The running day and the six before.
    Last7Days,
    /// The running day and the 29 before.
    Last30Days,
    /// The running calendar month.
    ThisMonth,
    /// The calendar month before.
    LastMonth,
    /// From the first day to the last, both included.
    Custom {
        /// First day.
        from: NaiveDate,
        /// Last day.
        to: NaiveDate,
    },
}

impl Period {
    /// The presets, in the order in which they are offered.
    pub const PRESETS: [Self; 5] = [Self::Today, Self::Last7Days, Self::Last30Days, Self::ThisMonth, Self::LastMonth];

    /// Its name in a query string.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Last7Days => "7d",
            Self::Last30Days => "30d",
            Self::ThisMonth => "month",
            Self::LastMonth => "last-month",
            Self::Custom { .. } => "custom",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Today => "Today",
            Self::Last7Days => "7 days",
            Self::Last30Days => "30 days",
            Self::ThisMonth => "This month",
            Self::LastMonth => "Last month",
            Self::Custom { .. } => "Custom",
        }
    }

    /// The range that it means now.
    #[must_use]
    pub fn range(self, now: DateTime<Utc>) -> Range {
        let today = now.date_naive();
        let tomorrow = day_after(today);
        let month = first_of_month(today);
        let (from, to) = match self {
            Self::Today => (today, tomorrow),
            Self::Last7Days => (today.checked_sub_days(Days::new(6)).unwrap_or(today), tomorrow),
            Self::Last30Days => (today.checked_sub_days(Days::new(29)).unwrap_or(today), tomorrow),
            Self::ThisMonth => (month, month.checked_add_months(Months::new(1)).unwrap_or(tomorrow)),
            Self::LastMonth => (month.checked_sub_months(Months::new(1)).unwrap_or(month), month),
            Self::Custom { from, to } => (from, day_after(to)),
        };
        Range { from: start_of(from), to: start_of(to) }
    }
}

/// Midnight, UTC.
#[must_use]
pub fn start_of(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

fn day_after(day: NaiveDate) -> NaiveDate {
    day.checked_add_days(Days::new(1)).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_preset_means_whole_days() {
        let now = at("2026-03-01T13:45:00Z");
        let seven = Period::Last7Days.range(now);
        assert_eq!((seven.from, seven.to), (at("2026-02-23T00:00:00Z"), at("2026-03-02T00:00:00Z")));
        assert_eq!(seven.steps(Step::Day).count(), 7);
        let last = Period::LastMonth.range(now);
        assert_eq!((last.from, last.to), (at("2026-02-01T00:00:00Z"), at("2026-03-01T00:00:00Z")));
        assert!(!last.is_running(now) && seven.is_running(now));
    }

    #[test]
    fn the_range_before_is_as_long_and_adjoins() {
        let range = Period::Last30Days.range(at("2026-03-01T13:45:00Z"));
        let before = range.previous();
        assert_eq!((before.to, before.to - before.from), (range.from, range.to - range.from));
    }

    #[test]
    fn what_still_runs_is_compared_with_the_same_part_of_the_time_before() {
        for (now, period, from, to) in [
            ("2026-03-02T13:45:00Z", Period::Today, "2026-03-01T00:00:00Z", "2026-03-01T13:45:00Z"),
            ("2026-03-10T06:00:00Z", Period::Last7Days, "2026-02-25T00:00:00Z", "2026-03-03T06:00:00Z"),
            ("2026-03-10T06:00:00Z", Period::ThisMonth, "2026-02-01T00:00:00Z", "2026-02-10T06:00:00Z"),
            // February has no thirtieth: then it is all of it.
            ("2026-03-30T06:00:00Z", Period::ThisMonth, "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("2026-03-10T06:00:00Z", Period::LastMonth, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ] {
            let now = at(now);
            assert_eq!(period.range(now).compared(now), Range { from: at(from), to: at(to) }, "{period:?}");
        }
    }

    #[test]
    fn what_is_over_is_compared_with_all_of_the_time_before() {
        let now = at("2027-01-01T00:00:00Z");
        for (from, to, before) in [
            ("2026-03-05T00:00:00Z", "2026-03-08T00:00:00Z", "2026-03-02T00:00:00Z"),
            // A quarter with the quarter before, though that is two days shorter.
            ("2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ] {
            let range = Range { from: at(from), to: at(to) };
            assert_eq!(range.compared(now), Range { from: at(before), to: at(from) });
        }
    }

    #[test]
    fn months_step_by_calendar() {
        let year = Range { from: at("2026-01-15T00:00:00Z"), to: at("2026-04-01T00:00:00Z") };
        let starts: Vec<_> = year.steps(Step::Month).map(|start| start.month()).collect();
        assert_eq!(starts, [1, 2, 3]);
    }
}
