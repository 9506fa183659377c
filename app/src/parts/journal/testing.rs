//! Journals to draw.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::{
    billing::{Balance, JournalKind, JournalPage, JournalRow, MonthBalance, OpenHour, PostingNumber, Statement, StatementLine},
    journal::JournalFilter,
};
use leptos::prelude::*;

use super::Journal;

/// Two calls that cost 25 cents.
pub(super) fn hour(number: i64, event_at: &str, balance_after: &str) -> JournalRow {
    let event_at = event_at.parse().unwrap();
    JournalRow {
        number: PostingNumber::from_count(number),
        kind: JournalKind::Usage,
        calls: Some(2),
        memo: String::new(),
        actor: String::new(),
        event_at,
        posted_at: event_at,
        amount: "-0.25".parse().unwrap(),
        tokens: 0,
        balance_after: balance_after.parse().unwrap(),
    }
}

pub(super) fn html(lines: Vec<StatementLine>, open_hour: Option<OpenHour>, has_newer: bool) -> String {
    of("", lines, open_hour, has_newer)
}

/// Of a journal that began in October 2026, asked for by a query in the November after.
pub(super) fn of(query: &str, lines: Vec<StatementLine>, open_hour: Option<OpenHour>, has_newer: bool) -> String {
    let filter = JournalFilter::from_query(query).unwrap();
    let [opening, moved, used, closing] = ["4.75", "0", "-0.5", "4.25"].map(|text| text.parse().unwrap());
    let statement = Statement {
        balance: Balance { balance: "4.125".parse().unwrap(), ..Balance::default() },
        open_hour,
        journal: JournalPage { lines, next: None },
        since: Some("2026-10-31T23:59:59Z".parse().unwrap()),
        month: filter.month.map(|_| MonthBalance { opening, moved, used, closing }),
    };
    let (path, file, now) = ("/billing".to_owned(), "/billing.csv".to_owned(), "2026-11-23T14:30:00Z".parse().unwrap());
    Owner::new()
        .with(|| Journal { statement, filter, has_newer, path, file, documents: Some("/billing/documents".to_owned()), now }.draw())
        .replace("<!>", "")
}

pub(super) fn open_hour() -> OpenHour {
    OpenHour { hour: "2026-11-23T14:00:00Z".parse().unwrap(), calls: 1, amount: "0.125".parse().unwrap(), tokens: 0 }
}
