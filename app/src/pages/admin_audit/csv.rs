use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::audit::{AuditFilter, AuditLine};

use crate::{
    parts::time,
    server::{Caller, Console, Visitor, about, csv},
};

const HEADINGS: [&str; 10] = ["at", "operation", "who", "address", "account_id", "object_id", "object", "before", "after", "id"];

/// `GET /admin/audit.csv`: every line that the page of the same query lists, newest first.
pub(crate) async fn download(State(console): State<Console>, visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let operator = match (Caller { console, visitor }).operator().await {
        Ok(operator) => operator,
        Err(error) => return error.into_response(),
    };
    let filter = match AuditFilter::from_query(&query.unwrap_or_default()) {
        Ok(filter) => filter,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{}\n", about(error.field, &error.problem))).into_response(),
    };
    csv::download("attachment; filename=\"audit.csv\"", csv::line(HEADINGS), move |before| {
        let (operator, filter) = (operator.clone(), filter.clone());
        async move {
            let page = operator.audit(&filter, before, csv::CHUNK).await?;
            Ok((page.lines.iter().map(line).collect(), page.next))
        }
    })
}

fn line(line: &AuditLine) -> String {
    let (at, id, account) = (time::iso(line.place.at), line.place.id.to_string(), line.account.map(|account| account.to_string()));
    let or_nothing = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let (address, account, before, after) =
        (or_nothing(&line.address), or_nothing(&account), or_nothing(&line.before), or_nothing(&line.after));
    csv::line([at.as_str(), &line.operation, &line.who, &address, &account, &line.object_id, &line.object, &before, &after, &id])
}
