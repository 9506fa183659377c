//! The rows of a journal: the running hour, a posting, and the usage of a day, which opens to its hours.

use domain::{
    billing::{JournalRow, OpenHour, PostingNumber, StatementLine},
    document::DocumentKind,
    money::Amount,
    period::Step,
};
use leptos::prelude::*;

use crate::parts::{
    layout::foreign,
    money,
    table::{Row, link, opener, text, with_note},
    time,
};

/// The calls that are not posted yet; what is left after them is left now.
pub(super) fn running(open: OpenHour, balance: Amount) -> Row {
    let calls = calls(Some(open.calls));
    let cells = vec![
        time::time_view(open.hour, time::minute(open.hour)),
        text("Usage"),
        text(format!("{calls} since {}: posted when the hour has ended", time::clock(open.hour))),
        moved(open.amount.checked_neg(), open.tokens.checked_neg()),
        money::exact_view(balance),
    ];
    Row { cells, faded: true }
}

/// A line, and the rows that it opens to.
pub(super) fn line(line: StatementLine, documents: Option<&str>) -> Vec<Row> {
    match line {
        StatementLine::Posting(row) => vec![posting(row, documents)],
        StatementLine::Usage(hours) => usage(&hours),
    }
}

fn posting(row: JournalRow, documents: Option<&str>) -> Row {
    let document = documents.zip(DocumentKind::of(row.kind, row.amount));
    let document = document.map(|(path, kind)| view! { " "{link(format!("{path}/{}", row.number), kind.label())} });
    let by = (!row.actor.is_empty()).then(|| view! { <span class="by">"by "{foreign(&row.actor)}</span> });
    let of = row.calls.is_some().then(|| format!("{}: ", calls(row.calls)));
    vec![
        time::time_view(row.event_at, time::minute(row.event_at)),
        with_note(text(row.kind.label()), number(row.number)),
        view! { <span>{of}{foreign(&row.memo)}{document}</span>{by} }.into_any(),
        moved(Some(row.amount), Some(row.tokens)),
        money::exact_view(row.balance_after),
    ]
    .into()
}

/// One hour by itself; several as their sum, which opens to them.
fn usage(hours: &[JournalRow]) -> Vec<Row> {
    match hours {
        [] => vec![],
        [hour] => vec![lone_hour(hour)],
        [newest, .., oldest] => std::iter::once(day(newest, oldest, hours)).chain(hours.iter().map(hour_of_day)).collect(),
    }
}

fn lone_hour(row: &JournalRow) -> Row {
    vec![
        time::time_view(row.event_at, time::minute(row.event_at)),
        with_note(text(row.kind.label()), number(row.number)),
        text(format!("{}, {}", calls(row.calls), time::hour(row.event_at))),
        moved(Some(row.amount), Some(row.tokens)),
        money::exact_view(row.balance_after),
    ]
    .into()
}

fn day(newest: &JournalRow, oldest: &JournalRow, hours: &[JournalRow]) -> Row {
    let start = Step::Day.floor(newest.event_at);
    let count = hours.iter().try_fold(0_i64, |sum, hour| sum.checked_add(hour.calls?));
    vec![
        time::time_view(start, time::day(start)),
        with_note(text(newest.kind.label()), format!("{} to {}", number(oldest.number), newest.number)),
        opener(format!("{}, {}", calls(count), time::hours(oldest.event_at, newest.event_at))),
        moved(
            Amount::checked_sum(hours.iter().map(|hour| hour.amount)),
            hours.iter().try_fold(0_i64, |sum, hour| sum.checked_add(hour.tokens)),
        ),
        money::exact_view(newest.balance_after),
    ]
    .into()
}

/// Below its day, which says the rest.
fn hour_of_day(row: &JournalRow) -> Row {
    vec![
        time::time_view(row.event_at, time::hour(row.event_at)),
        text(number(row.number)),
        text(calls(row.calls)),
        moved(Some(row.amount), Some(row.tokens)),
        money::exact_view(row.balance_after),
    ]
    .into()
}

fn number(number: PostingNumber) -> String {
    format!("No. {number}")
}

fn calls(count: Option<i64>) -> String {
    match count {
        Some(1) => "1 call".to_owned(),
        Some(count) => format!("{} calls", money::grouped(count)),
        None => "Calls".to_owned(),
    }
}

/// What moved of money and of tokens, as far as the sums can be written down. Where both did, the tokens stand below.
fn moved(amount: Option<Amount>, tokens: Option<i64>) -> AnyView {
    let of_money = || amount.map_or_else(|| text(money::ABSENT), money::movement_view);
    let of_tokens = || tokens.map_or_else(|| format!("{} tokens", money::ABSENT), money::tokens_moved);
    match (amount, tokens) {
        (_, Some(0)) => of_money(),
        (Some(Amount::ZERO), _) => text(of_tokens()),
        _ => with_note(of_money(), of_tokens()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::billing::JournalKind;

    use super::{
        super::testing::{hour, html, open_hour},
        *,
    };

    #[test]
    fn what_was_paid_in_tokens_stands_in_tokens() {
        let hour = |tokens, amount: &str| JournalRow { tokens, amount: amount.parse().unwrap(), ..hour(2, "2026-11-23T10:00:00Z", "4.5") };
        let alone = html(vec![StatementLine::Usage(vec![hour(-1_500, "0")])], None, false);
        assert!(alone.contains(">−1,500 tokens<") && !alone.contains("$0.00"), "{alone}");
        let both = html(vec![StatementLine::Usage(vec![hour(-1_500, "-0.25"), hour(-1, "0")])], None, false);
        for text in ["−$0.25", "−1,501 tokens", "−1,500 tokens", "−1 token"] {
            assert!(both.contains(text), "{text} is missing: {both}");
        }
        let given = JournalRow { kind: JournalKind::Package, calls: None, ..hour(2_000_000, "0") };
        assert!(html(vec![StatementLine::Posting(given)], None, false).contains(">+2,000,000 tokens<"));
        let running = OpenHour { amount: Amount::ZERO, tokens: 40, ..open_hour() };
        assert!(html(vec![], Some(running), false).contains("−40 tokens"));
    }

    #[test]
    fn a_day_is_the_sum_of_its_hours_and_opens_to_them() {
        let hours = vec![hour(3, "2026-11-23T13:00:00Z", "4.25"), hour(2, "2026-11-23T10:00:00Z", "4.5")];
        let html = html(vec![StatementLine::Usage(hours)], None, false);
        for text in ["<summary>4 calls, 10:00 to 14:00", "No. 2 to 3", "−$0.50", "13:00 to 14:00", "10:00 to 11:00", "$4.50"] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
        assert_eq!(html.matches(">−$0.25<").count(), 2, "{html}");
        assert_eq!(html.matches(">$4.25<").count(), 2, "the day ends as its newest hour does: {html}");
    }

    #[test]
    fn a_lone_hour_is_an_ordinary_line() {
        let html = html(vec![StatementLine::Usage(vec![hour(2, "2026-11-23T10:00:00Z", "4.5")])], None, false);
        assert!(html.contains("2 calls, 10:00 to 11:00") && html.contains("No. 2") && !html.contains("<details"), "{html}");
    }

    #[test]
    fn sums_that_cannot_be_written_down_are_not_made_up() {
        let most = JournalRow { calls: Some(i64::MAX), amount: Amount::from_nanos(i64::MIN), ..hour(1, "2026-11-23T10:00:00Z", "0") };
        let html = html(vec![StatementLine::Usage(vec![most.clone(), most])], None, false);
        assert!(html.contains("<summary>Calls, 10:00 to 11:00") && html.contains(money::ABSENT), "{html}");
    }
}
