//! Rows of `calls` on their way to Postgres: an array for each column, by name, in Postgres' own binary form. A column that is added later keeps its
//! default, and a batch is one statement however large it is.

use domain::{
    attribution::Label,
    call::{Outcome, UsageSource},
    id::GrantId,
    service_tier::ServiceTier,
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
            started_at, posted_at, prompt_tokens, completion_tokens, total_tokens, input_tokens, cache_read_tokens, cache_write_5m_tokens,
            cache_write_1h_tokens, audio_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, amount, held, tokens_held,
            written_off, latency_ms, first_byte_ms, discount_bps, http_status, stream, is_lenient, account_id, call_id, key_id, project_id,
            price_id, grant_id, model, provider, upstream_model, outcome, source, flag, end_user, session, client, tags, paid_by, raw_usage,
            seal, tokens_paid, attempts, service_tier, asked_tier
        )
        select * from unnest(
            $1::timestamptz[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
            $17::bigint[], $18::bigint[], $19::bigint[], $20::integer[], $21::integer[], $22::boolean[], $23::boolean[], $24::uuid[],
            $25::uuid[], $26::uuid[], $27::uuid[], $28::uuid[], $29::uuid[], $30::text[], $31::text[], $32::text[], $33::text[],
            $34::text[], $35::text[], $36::text[], $37::text[], $38::text[], $39::jsonb[], $40::jsonb[], $41::bytea[], $42::bytea[],
            $43::bigint[], $44::jsonb[], $45::text[], $46::text[]
        )
        "#,
        &column(records, |call| call.started_at),
        &column(records, |call| call.posted_at),
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
        &column(records, |call| call.amount),
        &column(records, |call| call.held),
        &column(records, |call| call.tokens_held),
        &column(records, |call| call.written_off),
        &column(records, |call| call.latency_ms),
        &column(records, |call| call.first_byte_ms) as _,
        &column(records, |call| call.discount_bps),
        &column(records, |call| call.http_status) as _,
        &column(records, |call| call.stream),
        &column(records, |call| call.is_lenient),
        &column(records, |call| call.account_id.uuid()),
        &column(records, |call| call.call_id.uuid()),
        &column(records, |call| call.key_id.uuid()),
        &column(records, |call| call.project_id.uuid()),
        &column(records, |call| call.price_id.uuid()),
        &column(records, |call| call.paid_by.grant().map(GrantId::uuid)) as _,
        &column(records, |call| call.model.as_str()) as _,
        &column(records, |call| call.provider.as_str()) as _,
        &column(records, |call| call.upstream_model.as_deref()) as _,
        &column(records, |call| Outcome::name(call.outcome)) as _,
        &column(records, |call| UsageSource::name(call.source)) as _,
        &column(records, |call| call.flag.map(Flag::name)) as _,
        &column(records, |call| call.end_user.as_ref().map(Label::as_str)) as _,
        &column(records, |call| call.session.as_ref().map(Label::as_str)) as _,
        &column(records, |call| call.client.as_ref().map(Label::as_str)) as _,
        &column(records, |call| call.tags.as_ref().map(Json)) as _,
        &column(records, |call| call.paid_by.several()) as _,
        &column(records, |call| call.raw_usage.clone()) as _,
        &column(records, |call| call.seal.to_vec()),
        &column(records, |call| call.tokens_paid) as _,
        &column(records, |call| call.attempts.as_ref().map(Json)) as _,
        &column(records, |call| call.service_tier.map(ServiceTier::name)) as _,
        &column(records, |call| call.asked_tier.map(ServiceTier::name)) as _
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
