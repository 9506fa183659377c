use axum::{
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{call::CallRow, filter::CallFilter, tokens::Tokens};

use crate::{
    parts::time,
    server::{Caller, Console, Visitor, about, csv},
};

const HEADINGS: [&str; 16] = [
    "started_at",
    "id",
    "key",
    "key_id",
    "model",
    "stream",
    "outcome",
    "usage_from",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost_usd",
    "cost_as_posted_usd",
    "tokens_paid",
    "latency_ms",
    "first_byte_ms",
];

/// `GET /calls.csv`: every call that the page of the same query lists, newest first, corrections included.
pub(crate) async fn download(State(console): State<Console>, visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    file(Caller { console, visitor }, "", &query.unwrap_or_default()).await
}

/// `GET /admin/customers/:id/calls.csv`: the same of a customer's, for operators.
pub(crate) async fn of_customer(
    State(console): State<Console>,
    visitor: Visitor,
    Path(account): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    file(Caller { console, visitor }, &account, &query.unwrap_or_default()).await
}

async fn file(caller: Caller, account: &str, query: &str) -> Response {
    let reader = match caller.seen(account).await {
        Ok(seen) => seen.reader,
        Err(error) => return error.into_response(),
    };
    let filter = match CallFilter::from_query(query) {
        Ok(filter) => filter,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{}\n", about(error.field, &error.problem))).into_response(),
    };
    // One instant for all chunks: the range must not move on between them.
    let now = caller.visitor.now;
    let range = filter.period.range(now);
    let said = format!("# calls from {} to {}; filter: {}", time::iso(range.from), time::iso(range.to), filter.to_query());
    let head = csv::line([said.as_str()]) + &csv::line(HEADINGS);
    csv::download("attachment; filename=\"calls.csv\"", head, move |before| {
        let (reader, filter) = (reader.clone(), filter.clone());
        async move {
            let page = reader.calls(&filter, before, csv::CHUNK, now).await?;
            Ok((page.calls.iter().map(line).collect(), page.next))
        }
    })
}

fn line(call: &CallRow) -> String {
    let count = |tokens: Option<Tokens>| tokens.map(|tokens| tokens.to_string()).unwrap_or_default();
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    let cells = [
        time::iso(call.started_at),
        call.id.to_string(),
        call.key_name.clone(),
        call.key_id.to_string(),
        call.model.clone(),
        call.stream.to_string(),
        call.outcome.name().to_owned(),
        call.source.name().to_owned(),
        count(call.prompt_tokens()),
        count(call.completion_tokens()),
        count(call.total_tokens()),
        call.cost().to_string(),
        call.amount.to_string(),
        count(call.tokens_paid),
        call.latency_ms.to_string(),
        number(call.first_byte_ms),
    ];
    csv::line(cells.iter().map(String::as_str))
}
