//! An account's books as a statement: each posting with the balance after it.

use domain::billing::{Balance, Grant, JournalPage, JournalRow};
use leptos::prelude::*;

use crate::parts::{
    figures::{Figure, figures},
    layout::{empty, stack},
    money,
    pager::pager,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, link, table, text, with_note,
    },
    time,
};

/// Balance, what is reserved right now, and what is left for new calls.
pub(crate) fn balance(balance: &Balance) -> AnyView {
    let figure =
        |label, amount, note: &str| Figure { label, value: money::total(amount), exact: Some(money::exact(amount)), note: note.to_owned() };
    figures(vec![
        figure("Balance", balance.balance, "what the journal adds up to"),
        figure("Reserved now", balance.reserved, "held by calls that are running"),
        figure("Available", balance.available, "what new calls can use"),
    ])
}

/// The pools that the balance consists of.
pub(crate) fn grants(grants: &[Grant]) -> AnyView {
    const COLUMNS: [Column; 4] =
        [Column("Credit", Words), Column("Remaining", Figures), Column("Reserved now", Figures), Column("Expires", Figures)];
    let rows = grants.iter().map(|grant| {
        let expires = grant.expires_at.map_or_else(|| "never".to_owned(), |at| format!("{} UTC", time::minute(at)));
        vec![text(grant.kind.label()), money::total_view(grant.posted), money::total_view(grant.leased), text(expires)].into()
    });
    table("cards", &COLUMNS, rows.collect(), None)
}

/// The postings, newest first.
pub(crate) fn journal(page: JournalPage, has_newer: bool, path: &str) -> AnyView {
    const COLUMNS: [Column; 5] = [
        Column("When", Words),
        Column("Entry", Words),
        Column("What for", Words),
        Column("Amount", Figures),
        Column("Balance after", Figures),
    ];
    let first = link(path.to_owned(), "The newest entries");
    if page.rows.is_empty() {
        return if has_newer { empty("There are no older entries.", first) } else { empty("Nothing has been posted yet.", ()) };
    }
    let newest = has_newer.then(|| path.to_owned());
    let older = page.next.map(|next| format!("{path}?before={next}"));
    stack(vec![table("cards", &COLUMNS, page.rows.into_iter().map(row).collect(), None), pager(newest, older)])
}

fn row(row: JournalRow) -> Row {
    let by = if row.actor.is_empty() { String::new() } else { format!("by {}", row.actor) };
    vec![
        time::time_view(row.event_at, time::minute(row.event_at)),
        text(row.kind.label()),
        with_note(text(row.memo), by),
        money::movement_view(row.amount),
        money::exact_view(row.balance_after),
    ]
    .into()
}
