//! Corrections: what changes a call's figures after it was posted. They are rows of their own, beside a call's row that never changes, each with its
//! entry in the journal. A call's figures are its own and those of its corrections.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    billing::JournalKind,
    call::{CorrectionKind, Outcome, UsageSource},
    id::{AccountId, CallId, CorrectionId, GrantId, JournalId, KeyId},
    money::Amount,
    tokens::{CallUsage, Tokens},
};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, types::Json};

use crate::{
    Error, MoneyIn, Operator, Posted, Result, SettledCall,
    encoding::Encoding,
    journal::{self, NewJournal},
    leases::{self, LockedGrant},
    posting,
    rollups::{self, Addition},
    settled::PaidShare,
};

/// The newest encoding, by which corrections are sealed.
const VERSION: u8 = 1;

/// What is posted of a call that a correction rests on.
#[derive(Debug, Clone)]
pub(crate) struct PostedCall {
    pub(crate) call_id: CallId,
    pub(crate) key_id: KeyId,
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) outcome: Outcome,
    pub(crate) source: UsageSource,
    pub(crate) prompt_tokens: Option<Tokens>,
    pub(crate) completion_tokens: Option<Tokens>,
    pub(crate) total_tokens: Option<Tokens>,
    pub(crate) amount: Amount,
    pub(crate) paid_by: Json<Vec<PaidShare>>,
    /// Its settlement came late, and was posted.
    pub(crate) is_settled_late: bool,
}

/// A row of `corrections`.
#[derive(Debug, Clone)]
pub(crate) struct CorrectionRecord {
    pub(crate) account_id: AccountId,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) call_id: CallId,
    pub(crate) correction_id: CorrectionId,
    pub(crate) kind: CorrectionKind,
    /// What it adds to the call's totals; below zero it takes away.
    pub(crate) prompt_tokens: i64,
    pub(crate) completion_tokens: i64,
    pub(crate) total_tokens: i64,
    /// Nanos, likewise.
    pub(crate) amount: i64,
    /// Nanos.
    pub(crate) written_off: i64,
    pub(crate) paid_by: Json<Vec<PaidShare>>,
    /// Of late usage: the settlement that came late ([`SettledCall`] as JSON).
    pub(crate) settlement: Option<String>,
    pub(crate) journal_id: Option<JournalId>,
    pub(crate) posted_at: DateTime<Utc>,
}

impl CorrectionRecord {
    /// A version, and the SHA-256 of every column in an encoding like that of calls.
    pub(crate) fn seal(&self) -> Vec<u8> {
        let mut row = Encoding::new(b"farebox correction 1");
        row.id(self.account_id.uuid());
        row.instant(self.started_at);
        row.id(self.call_id.uuid());
        row.id(self.correction_id.uuid());
        row.text(self.kind.name());
        for number in [self.prompt_tokens, self.completion_tokens, self.total_tokens, self.amount, self.written_off] {
            row.number(number);
        }
        row.shares(&self.paid_by);
        row.maybe(self.settlement.as_deref(), Encoding::text);
        row.maybe(self.journal_id.map(JournalId::uuid), Encoding::id);
        row.instant(self.posted_at);
        [&[VERSION], &row.digest()[..]].concat()
    }

    /// The settlement that came late.
    pub(crate) fn late(&self) -> Result<Option<SettledCall>> {
        let parsed = self.settlement.as_deref().map(serde_json::from_str).transpose();
        parsed.map_err(|error| Error::Corrupt(format!("correction {}: {error}", self.correction_id)))
    }
}

/// A correction that was worked out, with what the sums of its call's hour are kept by.
#[derive(Debug, Clone)]
pub(crate) struct Correction {
    pub(crate) record: CorrectionRecord,
    key_id: KeyId,
    model: String,
    stream: bool,
    outcome: Outcome,
}

impl Correction {
    /// The difference between a call that was settled as interrupted and what it came to after all.
    ///
    /// Its hold went back when it was settled, and its credit may be spent: what the account no longer has of a difference is written off.
    pub(crate) fn late_usage(
        call: &SettledCall,
        posted: &PostedCall,
        wallet: GrantId,
        available: Amount,
        posted_at: DateTime<Utc>,
    ) -> Result<Self> {
        let difference = minus(call.amount, posted.amount)?;
        let amount = difference.min(available.max(Amount::ZERO));
        let paid_by = if amount.is_negative() {
            give_back(&net(posted, &[])?, minus(Amount::ZERO, amount)?, wallet, |_| true)?
        } else {
            Vec::from_iter((!amount.is_zero()).then(|| PaidShare { grant_id: wallet, amount: amount.nanos() }))
        };
        let written_off = plus(minus(difference, amount)?, call.written_off)?;
        let settlement = serde_json::to_string(call).map_err(|error| Error::Corrupt(error.to_string()))?;
        let random = identity(call.call_id);
        let more = |late: Option<Tokens>, known: Option<Tokens>| late.map_or(0, Tokens::get) - known.map_or(0, Tokens::get);
        let record = CorrectionRecord {
            account_id: call.account_id,
            started_at: call.started_at()?,
            call_id: call.call_id,
            correction_id: CorrectionId::new(posted_at, random),
            kind: CorrectionKind::LateUsage,
            prompt_tokens: more(call.usage.prompt_tokens, posted.prompt_tokens),
            completion_tokens: more(call.usage.completion_tokens, posted.completion_tokens),
            total_tokens: more(call.usage.total_tokens, posted.total_tokens),
            amount: amount.nanos(),
            written_off: written_off.nanos(),
            journal_id: (!paid_by.is_empty()).then(|| JournalId::new(posted_at, random)),
            paid_by: Json(paid_by),
            settlement: Some(settlement),
            posted_at,
        };
        Ok(Self { record, key_id: posted.key_id, model: posted.model.clone(), stream: posted.stream, outcome: posted.outcome })
    }

    pub(crate) fn shares(&self) -> &[PaidShare] {
        &self.record.paid_by
    }

    /// Writes the row, its journal entry, and what it adds to the sums. Its grants are the caller's to change.
    pub(crate) async fn insert(
        &self,
        connection: &mut PgConnection,
        memo: &str,
        by: Option<&MoneyIn<'_>>,
        digest: Option<&[u8; 32]>,
    ) -> Result<()> {
        let record = &self.record;
        if let Some(journal_id) = record.journal_id {
            let kind = match record.kind {
                CorrectionKind::LateUsage => JournalKind::LateUsage,
                CorrectionKind::Credit => JournalKind::CallCredit,
            };
            let new = NewJournal {
                account: record.account_id,
                id: journal_id,
                kind,
                memo,
                actor: by.map_or("", |money| money.actor),
                request: by.zip(digest).map(|(money, digest)| (money.idempotency_key, digest)),
                event_at: by.map_or(record.started_at, |money| money.now),
                posted_at: record.posted_at,
            };
            let given: Vec<_> = record.paid_by.iter().map(|share| (share.grant_id, -i128::from(share.amount))).collect();
            journal::insert(connection, &new, &given).await?;
        }
        self.insert_row(connection).await?;
        rollups::add(connection, &[self.addition()]).await
    }

    async fn insert_row(&self, connection: &mut PgConnection) -> Result<()> {
        let record = &self.record;
        sqlx::query!(
            r#"
            insert into corrections (
                account_id, started_at, call_id, correction_id, kind, prompt_tokens, completion_tokens, total_tokens, amount, written_off, paid_by,
                settlement, journal_id, posted_at, seal
            )
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
            "#,
            record.account_id.uuid(),
            record.started_at,
            record.call_id.uuid(),
            record.correction_id.uuid(),
            record.kind.name(),
            record.prompt_tokens,
            record.completion_tokens,
            record.total_tokens,
            record.amount,
            record.written_off,
            Json(&record.paid_by.0) as _,
            record.settlement,
            record.journal_id.map(JournalId::uuid),
            record.posted_at,
            record.seal()
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    fn addition(&self) -> Addition<'_> {
        let record = &self.record;
        Addition {
            account: record.account_id,
            started_at: record.started_at,
            key: self.key_id,
            model: &self.model,
            stream: self.stream,
            outcome: self.outcome,
            requests: 0,
            prompt_tokens: record.prompt_tokens,
            completion_tokens: record.completion_tokens,
            total_tokens: record.total_tokens,
            amount: record.amount,
            written_off: record.written_off,
        }
    }
}

/// Bits that are not time, for ids that follow from a call: the same settlement handed over twice makes the same ones.
fn identity(call: CallId) -> [u8; 10] {
    let digest = Sha256::new_with_prefix(b"late usage").chain_update(call.uuid().as_bytes()).finalize();
    std::array::from_fn(|place| digest[place])
}

/// What each grant has paid of a call, corrections included, in the order in which they paid.
fn net(posted: &PostedCall, corrections: &[CorrectionRecord]) -> Result<Vec<PaidShare>> {
    let mut shares: Vec<PaidShare> = Vec::new();
    for share in posted.paid_by.iter().chain(corrections.iter().flat_map(|correction| correction.paid_by.iter())) {
        match shares.iter_mut().find(|one| one.grant_id == share.grant_id) {
            Some(one) => one.amount = one.amount.checked_add(share.amount).ok_or_else(overflow)?,
            None => shares.push(*share),
        }
    }
    Ok(shares)
}

/// Gives back to whoever paid last first, each at most what it paid; to the wallet what belongs to a grant that takes nothing any more.
fn give_back(paid: &[PaidShare], amount: Amount, wallet: GrantId, takes: impl Fn(GrantId) -> bool) -> Result<Vec<PaidShare>> {
    let mut rest = amount.nanos();
    let mut back: BTreeMap<GrantId, i64> = BTreeMap::new();
    for share in paid.iter().rev().filter(|share| share.amount > 0) {
        let part = share.amount.min(rest);
        let grant = if takes(share.grant_id) { share.grant_id } else { wallet };
        *back.entry(grant).or_default() -= part;
        rest -= part;
    }
    if rest != 0 {
        return Err(Error::Corrupt("more is given back than was paid".to_owned()));
    }
    Ok(back.into_iter().filter(|(_, amount)| *amount != 0).map(|(grant_id, amount)| PaidShare { grant_id, amount }).collect())
}

impl Operator {
    /// Gives a call back to its customer, in whole or in part: `money.amount`, or without one all that it still costs. Its journal id is the
    /// correction's too.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown call; [`Error::Invalid`] for a missing reason, or for more than the call still costs;
    /// [`Error::IdempotencyConflict`].
    pub async fn credit_call(&self, call: CallId, amount: Option<Amount>, money: MoneyIn<'_>) -> Result<CreditedCall> {
        let money = &MoneyIn { memo: Error::one_line("reason", money.memo)?, ..money };
        if money.memo.is_empty() {
            return Err(Error::invalid("reason", "say why: the customer reads it in the journal"));
        }
        if amount.is_some_and(|amount| amount <= Amount::ZERO) {
            return Err(Error::invalid("amount", "write an amount above zero: it is given back"));
        }
        let mut tx = self.database.write().await?;
        let account = account_of(&mut tx, call).await?;
        let grants = leases::lock_grants(&mut tx, &[account]).await?;
        let wallet = grants.iter().find(|grant| grant.is_wallet).map(|grant| grant.grant).ok_or(Error::NotFound)?;
        if let Some(posted) = posted_before(&mut tx, account, call, amount, money).await? {
            let cost = cost(&mut tx, account, call).await?;
            return Ok(CreditedCall { journal_id: posted.journal_id, replayed: true, cost });
        }
        let posted_at = posting::now_in_postgres(&mut tx).await?;
        let correction = credit(&mut tx, account, call, amount, money, &grants, wallet, posted_at).await?;
        let given = Amount::from_nanos(-correction.record.amount);
        let digest = request_digest(call, given, money.memo, money.actor);
        correction.insert(&mut tx, money.memo, Some(money), Some(&digest)).await?;
        leases::change_grants(&mut tx, account, correction.shares()).await?;
        let cost = cost(&mut tx, account, call).await?;
        tx.commit().await?;
        Ok(CreditedCall { journal_id: money.journal_id, replayed: false, cost })
    }
}

/// What became of a call that was to be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditedCall {
    /// The posting: the first one, if the request was repeated.
    pub journal_id: JournalId,
    /// Whether the same request had been posted before.
    pub replayed: bool,
    /// What the call costs by now.
    pub cost: Amount,
}

/// A call's charge and its corrections.
async fn cost(connection: &mut PgConnection, account: AccountId, call: CallId) -> Result<Amount> {
    let posted = posted_calls(connection, &[(account, call)]).await?.pop().ok_or(Error::NotFound)?;
    cost_of(&posted, &of_call(connection, account, call).await?)
}

fn cost_of(posted: &PostedCall, corrections: &[CorrectionRecord]) -> Result<Amount> {
    corrections.iter().try_fold(posted.amount, |sum, correction| plus(sum, Amount::from_nanos(correction.amount)))
}

#[expect(clippy::too_many_arguments, reason = "what one locked look at an account has found")]
async fn credit(
    connection: &mut PgConnection,
    account: AccountId,
    call: CallId,
    amount: Option<Amount>,
    money: &MoneyIn<'_>,
    grants: &[LockedGrant],
    wallet: GrantId,
    posted_at: DateTime<Utc>,
) -> Result<Correction> {
    let posted = posted_calls(connection, &[(account, call)]).await?.pop().ok_or(Error::NotFound)?;
    let corrections = of_call(connection, account, call).await?;
    let cost = cost_of(&posted, &corrections)?;
    let given = amount.unwrap_or(cost);
    if given > cost || cost <= Amount::ZERO {
        return Err(Error::invalid("amount", format!("the call costs {cost} by now: no more than that can be given back")));
    }
    let takes = |grant: GrantId| grants.iter().any(|one| one.grant == grant && one.expires_at.is_none_or(|expiry| posted_at < expiry));
    let paid_by = give_back(&net(&posted, &corrections)?, given, wallet, takes)?;
    let record = CorrectionRecord {
        account_id: account,
        started_at: call.started_at().ok_or(Error::NotFound)?,
        call_id: call,
        correction_id: CorrectionId::from_uuid(money.journal_id.uuid()),
        kind: CorrectionKind::Credit,
        prompt_tokens: 0,
        completion_tokens: 0,
        total_tokens: 0,
        amount: -given.nanos(),
        written_off: 0,
        paid_by: Json(paid_by),
        settlement: None,
        journal_id: Some(money.journal_id),
        posted_at,
    };
    Ok(Correction { record, key_id: posted.key_id, model: posted.model, stream: posted.stream, outcome: posted.outcome })
}

/// What was asked for under an idempotency key: which call, how much of it, by whom and why.
pub(crate) fn request_digest(call: CallId, given: Amount, memo: &str, actor: &str) -> [u8; 32] {
    journal::request_digest(JournalKind::CallCredit, given, &format!("{call} {memo}"), actor)
}

/// The same request again is the same correction. One that asked for all of it asked for what it was given.
async fn posted_before(
    connection: &mut PgConnection,
    account: AccountId,
    call: CallId,
    amount: Option<Amount>,
    money: &MoneyIn<'_>,
) -> Result<Option<Posted>> {
    let Some((journal_id, digest)) = journal::of_key(connection, account, money.idempotency_key).await? else { return Ok(None) };
    let given = sqlx::query_scalar!(
        r#"select (-amount)::bigint as "given!: Amount" from corrections where account_id = $1 and call_id = $2 and journal_id = $3"#,
        account.uuid(),
        call.uuid(),
        journal_id.uuid()
    )
    .fetch_optional(connection)
    .await?;
    match given {
        Some(given) if request_digest(call, amount.unwrap_or(given), money.memo, money.actor)[..] == digest => {
            Ok(Some(Posted { journal_id, replayed: true }))
        }
        _ => Err(Error::IdempotencyConflict),
    }
}

/// Whose call it is. An operator knows its id alone.
async fn account_of(connection: &mut PgConnection, call: CallId) -> Result<AccountId> {
    let started_at = call.started_at().ok_or(Error::NotFound)?;
    sqlx::query_scalar!(
        r#"select account_id as "account_id: AccountId" from calls where started_at = $1 and call_id = $2"#,
        started_at,
        call.uuid()
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::NotFound)
}

/// A call's id is its start.
fn started_at(call: CallId) -> Result<DateTime<Utc>> {
    call.started_at().ok_or_else(|| Error::Corrupt(format!("call {call}: its id carries no time")))
}

/// Those of these calls that are in the books.
pub(crate) async fn posted_calls(connection: &mut PgConnection, calls: &[(AccountId, CallId)]) -> Result<Vec<PostedCall>> {
    let starts = calls.iter().map(|(_, call)| started_at(*call)).collect::<Result<Vec<_>>>()?;
    let posted = sqlx::query_as!(
        PostedCall,
        r#"
        select
            c.call_id as "call_id: CallId", c.key_id as "key_id: KeyId", c.model, c.stream,
            c.outcome as "outcome: Outcome", c.source as "source: UsageSource", c.prompt_tokens as "prompt_tokens: Tokens",
            c.completion_tokens as "completion_tokens: Tokens", c.total_tokens as "total_tokens: Tokens", c.amount as "amount: Amount",
            c.paid_by as "paid_by: Json<Vec<PaidShare>>",
            exists (
                select from corrections k where k.account_id = c.account_id and k.call_id = c.call_id and k.kind = 'late_usage'
            ) as "is_settled_late!"
        from unnest($1::uuid[], $2::timestamptz[], $3::uuid[]) b (account_id, started_at, call_id)
        join calls c on c.account_id = b.account_id and c.started_at = b.started_at and c.call_id = b.call_id
        "#,
        &calls.iter().map(|(account, _)| account.uuid()).collect::<Vec<_>>(),
        &starts,
        &calls.iter().map(|(_, call)| call.uuid()).collect::<Vec<_>>()
    )
    .fetch_all(connection)
    .await?;
    Ok(posted)
}

/// The corrections of a call, oldest first.
pub(crate) async fn of_call(connection: &mut PgConnection, account: AccountId, call: CallId) -> Result<Vec<CorrectionRecord>> {
    let records = sqlx::query_as!(
        CorrectionRecord,
        r#"
        select
            account_id as "account_id: AccountId", started_at, call_id as "call_id: CallId", correction_id as "correction_id: CorrectionId",
            kind as "kind: CorrectionKind", prompt_tokens, completion_tokens, total_tokens, amount, written_off,
            paid_by as "paid_by: Json<Vec<PaidShare>>", settlement, journal_id as "journal_id: JournalId", posted_at
        from corrections
        where account_id = $1 and call_id = $2
        order by posted_at, correction_id
        "#,
        account.uuid(),
        call.uuid()
    )
    .fetch_all(connection)
    .await?;
    Ok(records)
}

/// A call that was corrected, with the seals of its corrections.
pub(crate) struct CorrectedCall {
    pub(crate) call: CallId,
    /// Its charge as it was posted, in nanos.
    pub(crate) amount: i64,
    pub(crate) corrections: Vec<(CorrectionRecord, Vec<u8>)>,
}

/// Every call that was corrected. There are few: each is a dead proxy that was not, or an operator's apology.
pub(crate) async fn all(connection: &mut PgConnection) -> Result<Vec<CorrectedCall>> {
    let rows = sqlx::query!(
        r#"
        select
            x.account_id as "account_id: AccountId", x.started_at, x.call_id as "call_id: CallId", x.correction_id as "correction_id: CorrectionId",
            x.kind as "kind: CorrectionKind", x.prompt_tokens, x.completion_tokens, x.total_tokens, x.amount, x.written_off,
            x.paid_by as "paid_by: Json<Vec<PaidShare>>", x.settlement, x.journal_id as "journal_id: JournalId", x.posted_at, x.seal,
            c.amount as charged
        from corrections x
        join calls c using (account_id, started_at, call_id)
        order by x.account_id, x.call_id, x.posted_at, x.correction_id
        "#
    )
    .fetch_all(connection)
    .await?;
    let mut calls: Vec<CorrectedCall> = Vec::new();
    for row in rows {
        let record = CorrectionRecord {
            account_id: row.account_id,
            started_at: row.started_at,
            call_id: row.call_id,
            correction_id: row.correction_id,
            kind: row.kind,
            prompt_tokens: row.prompt_tokens,
            completion_tokens: row.completion_tokens,
            total_tokens: row.total_tokens,
            amount: row.amount,
            written_off: row.written_off,
            paid_by: row.paid_by,
            settlement: row.settlement,
            journal_id: row.journal_id,
            posted_at: row.posted_at,
        };
        match calls.last_mut().filter(|call| call.call == row.call_id) {
            Some(call) => call.corrections.push((record, row.seal)),
            None => calls.push(CorrectedCall { call: row.call_id, amount: row.charged, corrections: vec![(record, row.seal)] }),
        }
    }
    Ok(calls)
}

/// What the upstream counted of a call whose settlement came late.
pub(crate) fn late_usage(record: &CorrectionRecord) -> Result<Option<CallUsage>> {
    Ok(record.late()?.map(|call| call.usage))
}

fn plus(a: Amount, b: Amount) -> Result<Amount> {
    a.checked_add(b).ok_or_else(overflow)
}

fn minus(a: Amount, b: Amount) -> Result<Amount> {
    a.checked_sub(b).ok_or_else(overflow)
}

fn overflow() -> Error {
    Error::Corrupt("a correction overflows".to_owned())
}
