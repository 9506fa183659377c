//! The call log and the receipt.

use chrono::{DateTime, Utc};
use domain::{
    account::Project,
    billing::GrantKind,
    call::{CallDetail, CallPage, CallRow, Corrected, Correction, CorrectionKind, PaidBy, Reckoning},
    credit::{Quantity, Unit},
    filter::CallFilter,
    id::{AccountId, CallId, GrantId},
    money::Amount,
    pricing::{self, Discount, Excess},
    rates::Rates,
    service_tier::ServiceTier,
    tokens::Tokens,
};
use sqlx::{FromRow, PgConnection, types::Json};

use crate::{
    AccountReader, Error, Meter, Result, SettledCall,
    corrections::{self, CorrectionRecord},
    database::Database,
    narrow::{self, Said},
    page::cut,
    settled::{CallRecord, tokens_owed},
};

/// A row of a page of the log.
#[derive(FromRow)]
struct LoggedCall {
    #[sqlx(flatten)]
    record: CallRecord,
    key_name: String,
    /// What corrections add, if there are any.
    more_prompt_tokens: Option<i64>,
    more_completion_tokens: Option<i64>,
    more_total_tokens: Option<i64>,
    more_amount: Option<i64>,
}

impl From<LoggedCall> for CallRow {
    fn from(row: LoggedCall) -> Self {
        let corrected = row.more_amount.map(|amount| Corrected {
            prompt_tokens: row.more_prompt_tokens.unwrap_or_default(),
            completion_tokens: row.more_completion_tokens.unwrap_or_default(),
            total_tokens: row.more_total_tokens.unwrap_or_default(),
            amount: Amount::from_nanos(amount),
        });
        row_of(row.record, row.key_name, corrected)
    }
}

/// A call with what its receipt rests on.
#[derive(FromRow)]
struct DetailedCall {
    #[sqlx(flatten)]
    record: CallRecord,
    key_name: String,
    project_name: String,
    project_created_at: DateTime<Utc>,
    hour_is_open: bool,
    #[sqlx(json)]
    rates: Rates,
    effective_from: DateTime<Utc>,
    price_tier: ServiceTier,
}

impl AccountReader {
    /// A page of calls, newest first. Pages by key, so that the thousandth costs what the first does.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn calls(&self, filter: &CallFilter, before: Option<CallId>, limit: i64, now: DateTime<Utc>) -> Result<CallPage> {
        let range = filter.period.range(now);
        let cursor = before.and_then(|call| Some((call.started_at()?, call.uuid())));
        let said = Said::of(filter);
        let text = match (&said, filter.is_narrowed()) {
            (Some(_), _) => concat!(include_str!("../days.sql"), include_str!("said.sql"), include_str!("logged.sql")),
            (None, true) => concat!(include_str!("filtered.sql"), include_str!("logged.sql")),
            (None, false) => concat!(include_str!("page.sql"), include_str!("logged.sql")),
        };
        let mut query = sqlx::query(text)
            .bind(self.account.uuid())
            .bind(range.from)
            .bind(range.to)
            .bind(cursor.map(|(started_at, _)| started_at))
            .bind(cursor.map(|(_, call)| call))
            .bind(limit.saturating_add(1));
        if filter.is_narrowed() {
            query = narrow::bind(query, filter);
        }
        if let Some(said) = said {
            query = said.bind(query);
        }
        let rows = query.persistent(false).fetch_all(&mut *self.database.read().await?).await?;
        let logged = rows.iter().map(LoggedCall::from_row).collect::<sqlx::Result<Vec<_>>>()?;
        let mut calls: Vec<_> = logged.into_iter().map(CallRow::from).collect();
        let more = cut(&mut calls, limit);
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
    let row: DetailedCall = sqlx::query_as(include_str!("detail.sql"))
        .bind(account.uuid())
        .bind(started_at)
        .bind(call.uuid())
        .fetch_optional(&mut *connection)
        .await?
        .ok_or(Error::NotFound)?;
    let record = row.record;
    let discount = Discount::from_bps(record.discount_bps).map_err(|error| Error::Corrupt(error.to_string()))?;
    let receipt = pricing::price(&record.usage(), &row.rates, discount).map_err(|error| Error::Corrupt(error.to_string()))?;
    let paid_by = paid_by(&mut connection, account, &record).await?;
    let corrections = corrections::of_call(&mut connection, account, call).await?;
    let corrected = corrected(&corrections);
    Ok(CallDetail {
        project: Project { id: record.project_id, name: row.project_name, created_at: row.project_created_at },
        attribution: record.attribution(),
        provider: record.provider.clone(),
        attempts: record.attempts.clone().unwrap_or_default(),
        upstream_model: record.upstream_model.clone(),
        http_status: record.http_status,
        receipt,
        price_id: record.price_id,
        price_effective_from: row.effective_from,
        price_tier: row.price_tier,
        service_tier: record.served_at(),
        asked_tier: record.asked_for(),
        held: Amount::from_nanos(record.held),
        tokens_held: Tokens::from_sum(record.tokens_held),
        excess: Excess::of(record.is_lenient),
        written_off: record.charge().written_off,
        paid_by,
        posted_at: record.posted_at,
        hour_is_open: row.hour_is_open,
        raw_usage: record.raw_usage.as_deref().map(str::to_owned),
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
        Some(PaidBy { grant: share.grant_id, kind, quantity: Quantity::from_count(share.amount) })
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
            words.filter(|_| record.kind != CorrectionKind::LateUsage).map_or_else(Default::default, |words| (words.memo, words.actor));
        let late = match record.late()? {
            Some(late) => Some(reckoned(connection, late, record.unit()).await?),
            None => None,
        };
        corrections.push(Correction {
            posting: record.seq,
            kind: record.kind,
            late,
            amount: Amount::from_nanos(record.amount),
            tokens_paid: record.tokens_paid,
            written_off: Amount::from_nanos(record.written_off),
            memo,
            actor,
            posted_at: record.posted_at,
        });
    }
    Ok(corrections)
}

/// What a settlement that came late comes to, of a call that is paid in this, recomputed from its own counts and its own price version.
async fn reckoned(connection: &mut PgConnection, late: SettledCall, unit: Unit) -> Result<Reckoning> {
    let price = sqlx::query!(
        r#"
        select rates as "rates: Json<Rates>", effective_from, service_tier as "service_tier: ServiceTier"
        from price_versions where price_id = $1
        "#,
        late.price_id.uuid()
    );
    let price = price.fetch_optional(connection).await?;
    let price = price.ok_or_else(|| Error::Corrupt(format!("call {}: its price {} is gone", late.call_id, late.price_id)))?;
    let receipt = pricing::price(&late.usage, &price.rates, late.discount).map_err(|error| Error::Corrupt(error.to_string()))?;
    let tokens = (unit == Unit::Tokens).then(|| tokens_owed(&late.usage, late.tokens_held));
    let (amount, written_off) = if tokens.is_some() { (Amount::ZERO, Amount::ZERO) } else { (late.amount, late.written_off) };
    Ok(Reckoning {
        source: late.source,
        usage: late.usage,
        receipt,
        price_id: late.price_id,
        price_effective_from: price.effective_from,
        price_tier: price.service_tier,
        service_tier: late.served_tier.unwrap_or(late.asked_tier),
        amount,
        tokens,
        written_off,
        upstream_model: late.upstream_model,
        raw_usage: late.raw_usage,
    })
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
        tokens_paid: record.tokens_paid.map(Tokens::from_sum),
        corrected,
        latency_ms: record.latency_ms,
        first_byte_ms: record.first_byte_ms,
        model: record.model,
    }
}
