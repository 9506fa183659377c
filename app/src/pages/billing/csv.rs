use axum::response::{IntoResponse, Response};
use domain::{billing::JournalRow, journal::JournalFilter};
use ledger::JournalSlice;

use crate::{parts::time, server::csv};

const HEADINGS: [&str; 10] = ["posting", "at", "posted_at", "kind", "what_for", "by", "calls", "amount_usd", "tokens", "balance_after_usd"];

/// `GET /billing.csv`, and of a customer for operators `GET /admin/customers/:id/billing.csv`: the journal of the visitor's account as the page of the same query lists it, but posting by posting, newest first. The running hour is
/// no posting yet.
pub(crate) async fn download(asked: csv::Asked) -> Response {
    let (reader, filter) = match asked.read(JournalFilter::from_query).await {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let now = asked.caller.visitor.now;
    let head = csv::line([said(filter).as_str()]) + &csv::line(HEADINGS);
    csv::download("attachment; filename=\"journal.csv\"", head, move |before| {
        let reader = reader.clone();
        async move {
            let page = reader.statement_of(JournalSlice { filter, before, lines: csv::CHUNK }, now).await?.journal;
            Ok((page.lines.iter().flat_map(|of| of.rows()).map(line).collect(), page.next))
        }
    })
}

/// What the file holds.
fn said(filter: JournalFilter) -> String {
    let posted = filter.month.map(|month| month.range());
    let posted = posted.map(|range| format!(" from {} to {}", time::iso(range.from), time::iso(range.to)));
    format!("# postings{}; filter: {}", posted.unwrap_or_default(), csv::named(&filter.to_query()))
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
