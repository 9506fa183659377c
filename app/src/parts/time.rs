//! How instants and spans are written. Everything is UTC; the browser's own zone never enters.

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use domain::period::{Range, Step};
use leptos::prelude::*;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `23 Nov 2026`.
pub(crate) fn day(at: DateTime<Utc>) -> String {
    format!("{} {}", day_of_month(at), at.year())
}

/// `23 Nov`.
fn day_of_month(at: DateTime<Utc>) -> String {
    format!("{} {}", at.day(), month_name(at))
}

/// `10:00 to 11:00`: the hour that begins here.
pub(crate) fn hour(start: DateTime<Utc>) -> String {
    hours(start, start)
}

/// `10:00 to 14:00`: the hours of one day from that which begins first to the end of that which begins last, `24:00` for the day's.
pub(crate) fn hours(first: DateTime<Utc>, last: DateTime<Utc>) -> String {
    format!("{:02}:00 to {:02}:00", first.hour(), last.hour() + 1)
}

/// `10:04`.
pub(crate) fn clock(at: DateTime<Utc>) -> String {
    format!("{:02}:{:02}", at.hour(), at.minute())
}

/// `23 Nov 2026, 10:04`.
pub(crate) fn minute(at: DateTime<Utc>) -> String {
    format!("{}, {}", day(at), clock(at))
}

/// `23 Nov 2026, 10:04:05`.
pub(crate) fn second(at: DateTime<Utc>) -> String {
    format!("{}:{:02}", minute(at), at.second())
}

/// The instant for machines, to the millisecond.
pub(crate) fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A step's whole name: `23 Nov 2026`, with the hour or without the day as the step has it.
pub(crate) fn step(start: DateTime<Utc>, step: Step) -> String {
    match step {
        Step::Hour => minute(start),
        Step::Day => day(start),
        Step::Month => format!("{} {}", month_name(start), start.year()),
    }
}

/// A step's name on an axis, where the one beside it says the rest.
pub(crate) fn step_short(start: DateTime<Utc>, step: Step) -> String {
    match step {
        Step::Hour if start.hour() == 0 => day_of_month(start),
        Step::Hour => format!("{:02}:00", start.hour()),
        Step::Day => day_of_month(start),
        Step::Month => format!("{} {}", month_name(start), start.year()),
    }
}

/// `1 Nov 2026 – 23 Nov 2026`: the first and the last day inside.
pub(crate) fn days(range: Range) -> String {
    let last = range.to - chrono::TimeDelta::milliseconds(1);
    if range.from.date_naive() == last.date_naive() { day(last) } else { format!("{} – {}", day(range.from), day(last)) }
}

/// `23 Nov 2026, 00:00 – 23 Nov 2026, 10:04`: its first instant, and the first after it.
pub(crate) fn span_of(range: Range) -> String {
    format!("{} – {}", minute(range.from), minute(range.to))
}

/// A span: `840 ms`, `1.24 s`, `2 min 5 s`.
pub(crate) fn span(milliseconds: i64) -> String {
    match milliseconds {
        ..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{:02} s", milliseconds / 1_000, milliseconds % 1_000 / 10),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1_000),
    }
}

/// A `<time>` with the exact instant for machines and on hover.
pub(crate) fn time_view(at: DateTime<Utc>, text: String) -> AnyView {
    let exact = iso(at);
    view! { <time datetime=exact.clone() title=exact>{text}</time> }.into_any()
}

fn month_name(at: DateTime<Utc>) -> &'static str {
    MONTHS[at.month0() as usize]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn instants_are_written_in_utc() {
        let instant = at("2026-11-03T10:04:05.678Z");
        assert_eq!(second(instant), "3 Nov 2026, 10:04:05");
        assert_eq!(iso(instant), "2026-11-03T10:04:05.678Z");
        assert_eq!(step(instant, Step::Month), "Nov 2026");
        assert_eq!(step_short(at("2026-11-03T00:00:00Z"), Step::Hour), "3 Nov");
    }

    #[test]
    fn hours_end_where_the_next_one_begins() {
        assert_eq!(hour(at("2026-11-03T10:00:00Z")), "10:00 to 11:00");
        assert_eq!(hours(at("2026-11-03T08:00:00Z"), at("2026-11-03T23:00:00Z")), "08:00 to 24:00");
    }

    #[test]
    fn a_range_names_its_last_day() {
        let range = Range { from: at("2026-11-01T00:00:00Z"), to: at("2026-11-03T00:00:00Z") };
        assert_eq!(days(range), "1 Nov 2026 – 2 Nov 2026");
    }

    #[test]
    fn spans_choose_their_unit() {
        assert_eq!([span(840), span(1_249), span(125_000)], ["840 ms", "1.24 s", "2 min 5 s"]);
    }
}
