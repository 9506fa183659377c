//! Rows of `calls` on their way to Postgres: an array for each column, by name, in Postgres' own binary form. A column that is added later keeps its
//! default, and a batch is one statement however large it is.

use domain::{
    call::{Outcome, UsageSource},
    tokens::{Flag, Tokens},
};
use sqlx::{PgConnection, types::Json};

use super::SealedCall;
use crate::Result;

/// Appends new calls, each with its seal.
pub(crate) async fn insert(connection: &mut PgConnection, records: &[SealedCall]) -> Result<()> {
    sqlx::query!(
        r#"
        insert into calls (
            account_id, started_at, call_id, key_id, model, provider, upstream_model, stream, outcome, source,
            prompt_tokens, completion_tokens, total_tokens, input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
            audio_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, flag, price_id, discount_bps,
            amount, held, tokens_held, written_off, paid_by, http_status, latency_ms, first_byte_ms, raw_usage, posted_at, seal
        )
        select * from unnest(
            $1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::boolean[], $9::text[], $10::text[],
            $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
            $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::text[], $23::uuid[], $24::integer[],
            $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], $29::jsonb[], $30::integer[], $31::bigint[], $32::bigint[], $33::text[],
            $34::timestamptz[], $35::bytea[]
        )
        "#,
        &column(records, |call| call.account_id.uuid()),
        &column(records, |call| call.started_at),
        &column(records, |call| call.call_id.uuid()),
        &column(records, |call| call.key_id.uuid()),
        &column(records, |call| call.model.as_str()) as _,
        &column(records, |call| call.provider.as_str()) as _,
        &column(records, |call| call.upstream_model.as_deref()) as _,
        &column(records, |call| call.stream),
        &column(records, |call| Outcome::name(call.outcome)) as _,
        &column(records, |call| UsageSource::name(call.source)) as _,
        &column(records, |call| tokens(call.prompt_tokens)) as _,
        &column(records, |call| tokens(call.completion_tokens)) as _,
        &column(records, |call| tokens(call.total_tokens)) as _,
        &column(records, |call| tokens(call.input_tokens)) as _,
        &column(records, |call| tokens(call.cache_read_tokens)) as _,
        &column(records, |call| tokens(call.cache_write_5m_tokens)) as _,
        &column(records, |call| tokens(call.cache_write_1h_tokens)) as _,
        &column(records, |call| tokens(call.audio_input_tokens)) as _,
        &column(records, |call| tokens(call.output_tokens)) as _,
        &column(records, |call| tokens(call.reasoning_tokens)) as _,
        &column(records, |call| tokens(call.audio_output_tokens)) as _,
        &column(records, |call| call.flag.map(Flag::name)) as _,
        &column(records, |call| call.price_id.uuid()),
        &column(records, |call| call.discount_bps),
        &column(records, |call| call.amount),
        &column(records, |call| call.held),
        &column(records, |call| call.tokens_held),
        &column(records, |call| call.written_off),
        &column(records, |call| Json(&call.paid_by)) as _,
        &column(records, |call| call.http_status) as _,
        &column(records, |call| call.latency_ms),
        &column(records, |call| call.first_byte_ms) as _,
        &column(records, |call| call.raw_usage.as_deref()) as _,
        &column(records, |call| call.posted_at),
        &column(records, |call| call.seal.to_vec())
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn column<'a, T>(records: &'a [SealedCall], value: impl Fn(&'a SealedCall) -> T) -> Vec<T> {
    records.iter().map(value).collect()
}

fn tokens(count: Option<Tokens>) -> Option<i64> {
    count.map(Tokens::get)
}
