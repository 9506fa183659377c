use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::audit::{AuditFilter, AuditLine, AuditPlace};
use futures_util::stream;
use ledger::Operator;

use crate::{
    parts::time,
    server::{Caller, Console, Visitor, about, csv},
};

/// Lines that are read at a time: the log may be of any length.
const CHUNK: i64 = 500;

const HEADINGS: [&str; 10] = ["at", "operation", "who", "address", "account_id", "object_id", "object", "before", "after", "id"];

/// `GET /admin/audit.csv`: every line that the page of the same query lists, newest first.
pub(crate) async fn download(State(console): State<Console>, visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let operator = match (Caller { console, visitor }).operator().await {
        Ok(operator) => operator,
        Err(error) => return error.into_response(),
    };
    match AuditFilter::from_query(&query.unwrap_or_default()) {
        Ok(filter) => csv::attachment(
            "attachment; filename=\"audit.csv\"",
            Body::from_stream(stream::try_unfold(Rest::Beginning, move |rest| {
                let (operator, filter) = (operator.clone(), filter.clone());
                async move { chunk(&operator, &filter, rest).await }
            })),
        ),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{}\n", about(error.field, &error.problem))).into_response(),
    }
}

/// What is still to be sent.
#[derive(Debug, Clone, Copy)]
enum Rest {
    /// All of it.
    Beginning,
    /// What is older than this.
    After(AuditPlace),
    Nothing,
}

/// The next lines. An error breaks the download off, so that nobody takes a part for the whole.
async fn chunk(operator: &Operator, filter: &AuditFilter, rest: Rest) -> ledger::Result<Option<(String, Rest)>> {
    let (mut text, before) = match rest {
        Rest::Beginning => (csv::line(HEADINGS), None),
        Rest::After(place) => (String::new(), Some(place)),
        Rest::Nothing => return Ok(None),
    };
    let page = operator.audit(filter, before, CHUNK).await?;
    text.extend(page.lines.iter().map(line));
    Ok(Some((text, page.next.map_or(Rest::Nothing, Rest::After))))
}

fn line(line: &AuditLine) -> String {
    let (at, id, account) = (time::iso(line.place.at), line.place.id.to_string(), line.account.map(|account| account.to_string()));
    let or_nothing = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let (address, account, before, after) =
        (or_nothing(&line.address), or_nothing(&account), or_nothing(&line.before), or_nothing(&line.after));
    csv::line([at.as_str(), &line.operation, &line.who, &address, &account, &line.object_id, &line.object, &before, &after, &id])
}
