//! The call log and the receipt.

use chrono::{DateTime, Utc};
use domain::{
    billing::GrantKind,
    call::{CallDetail, CallPage, CallRow, Corrected, Correction, CorrectionKind, PaidBy},
    filter::CallFilter,
    id::{AccountId, CallId, GrantId, KeyId},
    money::Amount,
    pricing::{self, Discount},
    rates::Rates,
};
use sqlx::{PgConnection, Row, types::Json};

use crate::{
    AccountReader, Error, Meter, Result,
    corrections::{self, CorrectionRecord},
    database::Database,
    settled::{self, CallRecord},
};

impl AccountReader {
    /// A page of calls, newest first. Pages by key, so that the thousandth costs what the first does.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn calls(&self, filter: &CallFilter, before: Option<CallId>, limit: i64, now: DateTime<Utc>) -> Result<CallPage> {
        let range = filter.period.range(now);
        let cursor = before.and_then(|call| Some((call.started_at()?, call.uuid())));
        let is_narrowed = filter.key.is_some() || filter.model.is_some() || filter.outcome.is_some() || filter.stream.is_some();
        let mut query = sqlx::query(if is_narrowed { include_str!("filtered.sql") } else { include_str!("page.sql") })
            .bind(self.account.uuid())
            .bind(range.from)
            .bind(range.to)
            .bind(cursor.map(|(started_at, _)| started_at))
            .bind(cursor.map(|(_, call)| call))
            .bind(limit.saturating_add(1));
        if is_narrowed {
            query = query.bind(filter.key.map(KeyId::uuid)).bind(&filter.model).bind(filter.outcome).bind(filter.stream);
        }
        let mut calls = query.fetch_all(&mut *self.database.read().await?).await?;
        let more = calls.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        calls.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let calls = calls
            .into_iter()
            .map(|row| {
                let corrected = row.try_get::<Option<i64>, _>("amount")?.map(|amount| {
                    Ok::<_, Error>(Corrected {
                        prompt_tokens: row.try_get("prompt_tokens")?,
                        completion_tokens: row.try_get("completion_tokens")?,
                        total_tokens: row.try_get("total_tokens")?,
                        amount: Amount::from_nanos(amount),
                    })
                });
                Ok(row_of(settled::from_json(row.try_get("record")?)?, row.try_get("key_name")?, corrected.transpose()?))
            })
            .collect::<Result<Vec<_>>>()?;
        let next = calls.last().filter(|_| more).map(|row| row.id);
        Ok(CallPage { calls, next })
    }

    /// One call of this account, with its receipt recomputed from its counts and its price version.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for another account's call.
    pub async fn call(&self, call: CallId) -> Result<CallDetail> {
        detail(&self.database, self.account, call).await
    }
}

impl Meter {
    /// One call, for the holder of one of the account's keys.
    ///
    /// # Errors
    /// As [`AccountReader::call`].
    pub async fn generation(&self, account: AccountId, call: CallId) -> Result<CallDetail> {
        detail(&self.database, account, call).await
    }
}

async fn detail(database: &Database, account: AccountId, call: CallId) -> Result<CallDetail> {
    let started_at = call.started_at().ok_or(Error::NotFound)?;
    let mut connection = database.read().await?;
    let row = sqlx::query!(
        r#"
        select
            to_jsonb(c) as "record!", coalesce(k.name, '') as "key_name!",
            exists (
                select from heads h where h.account_id = c.account_id and h.hour = date_trunc('hour', c.posted_at, 'UTC')
            ) as "hour_is_open!",
            v.rates as "rates: Json<Rates>", v.effective_from
        from calls c
        join price_versions v using (price_id)
        left join api_keys k using (account_id, key_id)
        where c.account_id = $1 and c.started_at = $2 and c.call_id = $3
        "#,
        account.uuid(),
        started_at,
        call.uuid()
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or(Error::NotFound)?;
    let record = settled::from_json(row.record)?;
    let discount = Discount::from_bps(record.discount_bps).map_err(|error| Error::Corrupt(error.to_string()))?;
    let receipt = pricing::price(&record.usage(), &row.rates, discount).map_err(|error| Error::Corrupt(error.to_string()))?;
    let paid_by = paid_by(&mut connection, account, &record).await?;
    let corrections = corrections::of_call(&mut connection, account, call).await?;
    let corrected = corrected(&corrections);
    Ok(CallDetail {
        provider: record.provider.clone(),
        upstream_model: record.upstream_model.clone(),
        http_status: record.http_status,
        receipt,
        price_id: record.price_id,
        price_effective_from: row.effective_from,
        held: Amount::from_nanos(record.held),
        written_off: record.charge().written_off,
        paid_by,
        posted_at: record.posted_at,
        hour_is_open: row.hour_is_open,
        raw_usage: record.raw_usage.clone(),
        row: row_of(record, row.key_name, corrected),
        corrections: in_words(&mut connection, account, corrections).await?,
    })
}

async fn paid_by(connection: &mut PgConnection, account: AccountId, record: &CallRecord) -> Result<Vec<PaidBy>> {
    let grants: Vec<_> = record.paid_by.iter().map(|share| share.grant_id.uuid()).collect();
    let kinds = sqlx::query!(
        r#"
        select grant_id as "grant: GrantId", kind as "kind: GrantKind" from grants where account_id = $1 and grant_id = any($2)
        "#,
        account.uuid(),
        &grants
    )
    .fetch_all(connection)
    .await?;
    let shares = record.paid_by.iter().filter_map(|share| {
        let kind = kinds.iter().find(|row| row.grant == share.grant_id)?.kind;
        Some(PaidBy { grant: share.grant_id, kind, amount: Amount::from_nanos(share.amount) })
    });
    Ok(shares.collect())
}

/// Corrections as people see them, with the words of their postings.
async fn in_words(connection: &mut PgConnection, account: AccountId, records: Vec<CorrectionRecord>) -> Result<Vec<Correction>> {
    let mut corrections = Vec::with_capacity(records.len());
    for record in records {
        let words = sqlx::query!("select memo, actor from journal where account_id = $1 and seq = $2", account.uuid(), record.seq.get())
            .fetch_optional(&mut *connection)
            .await?;
        let (memo, actor) =
            words.filter(|_| record.kind == CorrectionKind::Credit).map_or_else(Default::default, |words| (words.memo, words.actor));
        corrections.push(Correction {
            posting: record.seq,
            kind: record.kind,
            usage: record.late()?.map(|call| call.usage),
            amount: Amount::from_nanos(record.amount),
            written_off: Amount::from_nanos(record.written_off),
            memo,
            actor,
            posted_at: record.posted_at,
        });
    }
    Ok(corrections)
}

/// What corrections add to their call together.
fn corrected(records: &[CorrectionRecord]) -> Option<Corrected> {
    (!records.is_empty()).then(|| Corrected {
        prompt_tokens: records.iter().map(|record| record.prompt_tokens).sum(),
        completion_tokens: records.iter().map(|record| record.completion_tokens).sum(),
        total_tokens: records.iter().map(|record| record.total_tokens).sum(),
        amount: Amount::from_nanos(records.iter().map(|record| record.amount).sum()),
    })
}

fn row_of(record: CallRecord, key_name: String, corrected: Option<Corrected>) -> CallRow {
    CallRow {
        id: record.call_id,
        started_at: record.started_at,
        key_id: record.key_id,
        key_name,
        stream: record.stream,
        outcome: record.outcome,
        source: record.source,
        usage: record.usage(),
        amount: record.charge().amount,
        corrected,
        latency_ms: record.latency_ms,
        first_byte_ms: record.first_byte_ms,
        model: record.model,
    }
}
