use axum::response::{IntoResponse, Response};
use domain::{call::CallRow, filter::CallFilter, tokens::Tokens};

use crate::{parts::time, server::csv};

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

/// `GET /calls.csv`, and of a customer for operators `GET /admin/customers/:id/calls.csv`: every call that the page of the same query lists, newest first, corrections included.
pub(crate) async fn download(asked: csv::Asked) -> Response {
    let (reader, filter) = match asked.read(CallFilter::from_query).await {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    // One instant for all chunks: the range must not move on between them.
    let now = asked.caller.visitor.now;
    let range = filter.period.range(now);
    let said = format!("# calls from {} to {}; filter: {}", time::iso(range.from), time::iso(range.to), csv::named(&filter.to_query()));
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

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::{
        call::{Corrected, Outcome, UsageSource},
        id::{CallId, KeyId},
        money::Amount,
        tokens::CallUsage,
    };

    use super::*;

    #[test]
    fn a_line_says_what_a_call_costs_by_now_and_what_it_was_posted_with() {
        let at = DateTime::UNIX_EPOCH;
        let call = CallRow {
            id: CallId::new(at, [1; 10]),
            started_at: at,
            key_id: KeyId::new(at, [2; 10]),
            key_name: "=1+1".to_owned(),
            model: "small".to_owned(),
            stream: true,
            outcome: Outcome::Ok,
            source: UsageSource::Upstream,
            usage: CallUsage::of_totals(Some(Tokens::from_sum(12)), None, None),
            amount: Amount::from_nanos(1_000),
            tokens_paid: None,
            corrected: Some(Corrected { amount: Amount::from_nanos(-400), completion_tokens: 5, ..Corrected::default() }),
            latency_ms: 840,
            first_byte_ms: None,
        };
        let line = line(&call);
        let cells: Vec<_> = line.trim_end().split(',').collect();
        assert_eq!(cells.len(), HEADINGS.len());
        let of = |heading: &str| HEADINGS.iter().position(|one| *one == heading).map(|place| cells[place]);
        assert_eq!((of("cost_usd"), of("cost_as_posted_usd")), (Some("0.0000006"), Some("0.000001")));
        assert_eq!((of("prompt_tokens"), of("completion_tokens"), of("total_tokens")), (Some("12"), Some("5"), Some("")));
        assert_eq!((of("key"), of("tokens_paid"), of("first_byte_ms")), (Some("'=1+1"), Some(""), Some("")));
    }
}
