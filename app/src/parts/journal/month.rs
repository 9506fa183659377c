//! A whole month of a journal: what it did to the balance, and the balances at its ends.

use chrono::{DateTime, Utc};
use domain::{
    billing::{MonthBalance, OpenHour},
    money::Amount,
    month::CalendarMonth,
    period::Step,
};
use leptos::prelude::*;

use crate::parts::{
    figures::{Figure, figures},
    money,
    table::{Row, text},
    time,
};

/// What a month did to the balance: the first three are the last. Short, with every digit below: these add up.
pub(super) fn sums(balance: MonthBalance, month: CalendarMonth, is_open: bool) -> AnyView {
    let MonthBalance { opening, moved, used, closing } = balance;
    let figure = |label, value, exact, note: String| Figure { label, value, exact: Some(exact), note, ..Figure::default() };
    let there = |label, amount, note| figure(label, money::left(amount), money::exact(amount), note);
    let change = |label, amount, note: &str| figure(label, signed_total(amount), money::movement(amount), note.to_owned());
    figures(vec![
        there("Opening balance", opening, format!("before {}", month_name(month))),
        change("Money in and out", moved, "put in, less what was taken back"),
        change("Usage", used, "what calls took, as far as it is posted"),
        there("Closing balance", closing, closing_note(is_open).to_owned()),
    ])
}

/// A movement as a total: `+$25.00`. Of less than a cent it is only said that it is so little.
fn signed_total(amount: Amount) -> String {
    let text = money::total(amount);
    if amount > Amount::ZERO && !text.starts_with('<') { format!("+{text}") } else { text }
}

/// Whether a month's last posting may still come: it runs, or its last hour is not posted yet.
pub(super) fn is_open(month: CalendarMonth, open_hour: Option<&OpenHour>, now: DateTime<Utc>) -> bool {
    month.range().is_running(now) || open_hour.is_some_and(|open| CalendarMonth::of(open.hour) <= month)
}

fn closing_note(is_open: bool) -> &'static str {
    if is_open { "so far, after the newest posting" } else { "the sum of these" }
}

pub(super) fn closing(balance: MonthBalance, month: CalendarMonth, is_open: bool) -> Row {
    let so_far = if is_open { "so far, after the newest posting" } else { "" };
    end(format!("End of {}", month_name(month)), "Closing balance", so_far, balance.closing)
}

pub(super) fn opening(balance: MonthBalance, month: CalendarMonth) -> Row {
    end(format!("Beginning of {}", month_name(month)), "Opening balance", "", balance.opening)
}

/// A balance at an end of a month.
fn end(when: String, what: &'static str, words: &'static str, balance: Amount) -> Row {
    vec![text(when), text(what), text(words), ().into_any(), money::exact_view(balance)].into()
}

pub(super) fn month_name(month: CalendarMonth) -> String {
    time::step(month.range().from, Step::Month)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::billing::StatementLine;

    use super::{
        super::testing::{hour, of},
        *,
    };

    #[test]
    fn a_month_stands_between_its_balances_and_is_their_sum() {
        let hours = || vec![StatementLine::Usage(vec![hour(3, "2026-11-23T13:00:00Z", "4.25"), hour(2, "2026-11-23T10:00:00Z", "4.5")])];
        let whole = of("month=2026-11", hours(), None, false);
        for text in ["before Nov 2026", "$4.75", "−$0.50", "so far, after the newest posting", "End of Nov 2026", "Beginning of Nov 2026"]
        {
            assert!(whole.contains(text), "{text} is missing: {whole}");
        }
        assert!(
            whole.find("End of Nov") < whole.find("No. 2 to 3") && whole.find("No. 2 to 3") < whole.find("Beginning of Nov"),
            "{whole}"
        );
        let older = of("month=2026-11", hours(), None, true);
        assert!(!older.contains("End of Nov") && older.contains("Beginning of Nov"), "the end is on another page: {older}");
        let part = of("month=2026-11&entries=usage", hours(), None, false);
        assert!(
            part.contains("before Nov 2026") && !part.contains("End of Nov"),
            "lines of one kind lead from no balance to the other: {part}"
        );
        assert!(!of("", hours(), None, false).contains("Opening balance"));
    }

    #[test]
    fn a_months_figures_are_short_and_have_every_digit_below() {
        let [opening, moved, used, closing] = ["0.129999999", "25", "-0.505000001", "24.624999998"].map(|text| text.parse().unwrap());
        let month = "2026-11".parse().unwrap();
        let html = Owner::new().with(|| sums(MonthBalance { opening, moved, used, closing }, month, true).to_html());
        for text in [">$0.12<", ">$0.129999999<", ">−$0.51<", ">−$0.505000001<", ">$24.62<", ">$24.624999998<"] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
        assert_eq!(html.matches(">+$25.00<").count(), 1, "where nothing is left out, nothing stands below: {html}");
        assert_eq!([signed_total(Amount::from_nanos(1)), signed_total(Amount::ZERO)], ["< $0.01", "$0.00"]);
    }
}
