//! The answers, in OpenAI's shape: <https://platform.openai.com/docs/api-reference/usage>. What the gateway does not keep is null, as it is there.

use domain::{money::Amount, period::Range};
use ledger::BucketRow;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

/// Buckets, and where the next page begins.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    object: &'static str,
    data: Vec<Bucket<T>>,
    has_more: bool,
    next_page: Option<String>,
}

impl<T> Page<T> {
    pub(super) fn of(data: Vec<Bucket<T>>, next_page: Option<String>) -> Self {
        Self { object: "page", data, has_more: next_page.is_some(), next_page }
    }
}

/// An hour or a day: Unix seconds.
#[derive(Debug, Serialize)]
pub(super) struct Bucket<T> {
    object: &'static str,
    start_time: i64,
    end_time: i64,
    results: Vec<T>,
}

impl<T> Bucket<T> {
    pub(super) fn of(span: Range, results: Vec<T>) -> Self {
        Self { object: "bucket", start_time: span.from.timestamp(), end_time: span.to.timestamp(), results }
    }
}

/// What was used in it.
#[derive(Debug, Serialize)]
pub(super) struct Used {
    object: &'static str,
    input_tokens: i64,
    output_tokens: i64,
    /// As the upstreams count them: a model may have a total that is more than both.
    total_tokens: i64,
    input_cached_tokens: Value,
    input_audio_tokens: Value,
    output_audio_tokens: Value,
    num_model_requests: i64,
    project_id: Value,
    user_id: Value,
    api_key_id: Value,
    model: Option<String>,
    batch: Value,
    service_tier: Value,
}

pub(super) fn usage(row: BucketRow) -> Used {
    Used {
        object: "organization.usage.completions.result",
        input_tokens: row.totals.prompt_tokens.get(),
        output_tokens: row.totals.completion_tokens.get(),
        total_tokens: row.totals.total_tokens.get(),
        input_cached_tokens: Value::Null,
        input_audio_tokens: Value::Null,
        output_audio_tokens: Value::Null,
        num_model_requests: row.totals.requests,
        project_id: id(row.project),
        user_id: Value::Null,
        api_key_id: id(row.key),
        model: row.model,
        batch: Value::Null,
        service_tier: Value::Null,
    }
}

/// What it cost.
#[derive(Debug, Serialize)]
pub(super) struct Cost {
    object: &'static str,
    amount: Money,
    /// The model, if that is what costs are told apart by.
    line_item: Option<String>,
    project_id: Value,
    api_key_id: Value,
    quantity: Value,
}

pub(super) fn cost(row: BucketRow, currency: &str) -> Cost {
    Cost {
        object: "organization.costs.result",
        amount: Money { value: number(row.totals.amount), exact: row.totals.amount, currency: currency.to_owned() },
        line_item: row.model,
        project_id: id(row.project),
        api_key_id: id(row.key),
        quantity: Value::Null,
    }
}

/// An amount: as the number that OpenAI's clients expect, and as a decimal string, for whoever reads numbers as floats.
#[derive(Debug, Serialize)]
struct Money {
    value: Box<RawValue>,
    exact: Amount,
    currency: String,
}

/// The decimal itself as JSON's number, which has no digits that it leaves out.
fn number(amount: Amount) -> Box<RawValue> {
    RawValue::from_string(amount.to_string()).unwrap_or_default()
}

fn id(id: Option<impl ToString>) -> Value {
    id.map_or(Value::Null, |id| Value::String(id.to_string()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::DateTime;
    use domain::usage::Totals;

    use super::*;

    #[test]
    fn an_amount_keeps_each_of_its_digits() {
        for (nanos, written) in [(1, "0.000000001"), (i64::MAX, "9223372036.854775807"), (-20_000_000, "-0.02"), (0, "0")] {
            let totals = Totals { amount: Amount::from_nanos(nanos), ..Totals::default() };
            let row = BucketRow { start: DateTime::UNIX_EPOCH, key: None, project: None, model: None, totals };
            let json = serde_json::to_string(&cost(row, "usd")).unwrap();
            assert!(json.contains(&format!(r#""amount":{{"value":{written},"exact":"{written}","currency":"usd"}}"#)), "{json}");
        }
    }
}
