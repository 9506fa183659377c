use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use domain::billing::JournalRow;

use crate::{
    parts::time,
    server::{Caller, Console, Visitor, csv},
};

const HEADINGS: [&str; 10] = ["posting", "at", "posted_at", "kind", "what_for", "by", "calls", "amount_usd", "tokens", "balance_after_usd"];

/// `GET /billing.csv`: the whole journal of the visitor's account, posting by posting, newest first. The running hour is no posting yet.
pub(crate) async fn download(State(console): State<Console>, visitor: Visitor) -> Response {
    file(Caller { console, visitor }, "").await
}

/// `GET /admin/customers/:id/billing.csv`: the same of a customer's, for operators.
pub(crate) async fn of_customer(State(console): State<Console>, visitor: Visitor, Path(account): Path<String>) -> Response {
    file(Caller { console, visitor }, &account).await
}

async fn file(caller: Caller, account: &str) -> Response {
    let reader = match caller.seen(account).await {
        Ok(seen) => seen.reader,
        Err(error) => return error.into_response(),
    };
    let now = caller.visitor.now;
    csv::download("attachment; filename=\"journal.csv\"", csv::line(HEADINGS), move |before| {
        let reader = reader.clone();
        async move {
            let page = reader.statement(before, csv::CHUNK, now).await?.journal;
            Ok((page.lines.iter().flat_map(|of| of.rows()).map(line).collect(), page.next))
        }
    })
}

fn line(row: &JournalRow) -> String {
    let cells = [
        row.number.to_string(),
        time::iso(row.event_at),
        time::iso(row.posted_at),
        row.kind.name().to_owned(),
        row.memo.clone(),
        row.actor.clone(),
        row.calls.map(|calls| calls.to_string()).unwrap_or_default(),
        row.amount.to_string(),
        row.tokens.to_string(),
        row.balance_after.to_string(),
    ];
    csv::line(cells.iter().map(String::as_str))
}
