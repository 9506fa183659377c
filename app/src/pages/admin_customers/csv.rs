use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{account::Customer, customers::CustomerFilter};

use crate::{
    parts::time,
    server::{Caller, Console, Visitor, about, csv},
};

const HEADINGS: [&str; 10] = [
    "account_id",
    "customer",
    "owner",
    "state",
    "plan",
    "since",
    "balance_usd",
    "reserved_usd",
    "spent_30_days_usd",
    "written_off_30_days_usd",
];

/// `GET /admin/customers.csv`: every customer that the page of the same query lists, in its order, for operators.
pub(crate) async fn download(State(console): State<Console>, visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let now = visitor.now;
    let operator = match (Caller { console, visitor }).operator().await {
        Ok(operator) => operator,
        Err(error) => return error.into_response(),
    };
    let filter = match CustomerFilter::from_query(&query.unwrap_or_default()) {
        Ok(filter) => filter,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{}\n", about(error.field, &error.problem))).into_response(),
    };
    let said = format!("# customers at {}; filter: {}", time::iso(now), csv::named(&filter.to_query()));
    let head = csv::line([said.as_str()]) + &csv::line(HEADINGS);
    csv::download("attachment; filename=\"customers.csv\"", head, move |after| {
        let (operator, filter) = (operator.clone(), filter.clone());
        async move {
            let page = operator.customers(&filter, after.as_ref(), csv::CHUNK, now).await?;
            Ok((page.customers.iter().map(line).collect(), page.next))
        }
    })
}

fn line(customer: &Customer) -> String {
    let cells = [
        customer.id.to_string(),
        customer.name.clone(),
        customer.owner_email.clone().unwrap_or_default(),
        customer.state.name().to_owned(),
        customer.plan.clone().unwrap_or_default(),
        time::iso(customer.created_at),
        customer.balance.to_string(),
        customer.reserved.to_string(),
        customer.spent_30_days.to_string(),
        customer.written_off_30_days.to_string(),
    ];
    csv::line(cells.iter().map(String::as_str))
}
