//! Corrections: what changes a call's figures after it was posted. They are rows of their own, beside a call's row that never changes, each with its
//! entry in the journal. A call's figures are its own and those of its corrections.

mod call_credit;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    billing::JournalKind,
    call::{CorrectionKind, Outcome, UsageSource},
    credit::{self, Demand},
    id::{AccountId, CallId, CorrectionId, GrantId, JournalId, KeyId},
    money::Amount,
    tokens::{CallUsage, Tokens},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

pub(crate) use self::call_credit::request_digest;
pub use self::call_credit::{CallCredit, CreditedCall};
use crate::{
    Error, Result, SettledCall,
    encoding::Encoding,
    grants,
    journal::{self, NewJournal},
    leases::Share,
    rollups::{self, Addition},
    settled::{self, CallRecord, PaidShare},
};

/// The newest encoding, by which corrections are sealed.
const VERSION: u8 = 1;

/// What is posted of a call that a correction rests on.
#[derive(Debug, Clone)]
pub(crate) struct KnownCall {
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

impl KnownCall {
    fn usage(&self) -> CallUsage {
        CallUsage::of_totals(self.prompt_tokens, self.completion_tokens, self.total_tokens)
    }
}

/// A row of `corrections`.
#[derive(Debug, Clone, Deserialize)]
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
    pub(crate) paid_by: Vec<PaidShare>,
    /// Of late usage: the settlement that came late ([`SettledCall`] as JSON).
    pub(crate) settlement: Option<String>,
    pub(crate) journal_id: Option<JournalId>,
    pub(crate) posted_at: DateTime<Utc>,
}

impl CorrectionRecord {
    /// The seal to post it under: a version, and the SHA-256 of every column in an encoding like that of calls.
    pub(crate) fn seal(&self) -> Vec<u8> {
        [&[VERSION], &self.digest_1()[..]].concat()
    }

    /// Whether this is the row that was sealed so. `None` if a later version of Farebox sealed it.
    pub(crate) fn fits(&self, seal: &[u8]) -> Option<bool> {
        match seal.first()? {
            1 => Some(seal[1..] == self.digest_1()),
            _ => None,
        }
    }

    fn digest_1(&self) -> [u8; 32] {
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
        row.digest()
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
    /// Its hold went back when it was settled, and its credit may be spent: what the account no longer has of a difference is written off. What was given
    /// back since is not given back again.
    pub(crate) fn late_usage(
        call: &SettledCall,
        known: &KnownCall,
        before: &[CorrectionRecord],
        grants: &[credit::Grant],
        posted_at: DateTime<Utc>,
    ) -> Result<Self> {
        let difference = minus(call.amount, known.amount)?;
        let paid_by = if difference.is_negative() {
            let back = minus(Amount::ZERO, difference)?.min(cost_of(known, before)?);
            give_back(&net(known, before)?, back, grants, posted_at)?
        } else {
            take(difference, &call.model, grants, posted_at)
        };
        let amount = Amount::checked_sum(paid_by.iter().map(|share| Amount::from_nanos(share.amount))).ok_or_else(overflow)?;
        let written_off = if difference.is_negative() { call.written_off } else { plus(minus(difference, amount)?, call.written_off)? };
        let settlement = serde_json::to_string(call).map_err(|error| Error::Corrupt(error.to_string()))?;
        let random = identity(call.call_id);
        let [prompt_tokens, completion_tokens, total_tokens] = tokens_between(&call.usage, &known.usage());
        let record = CorrectionRecord {
            account_id: call.account_id,
            started_at: call.started_at()?,
            call_id: call.call_id,
            correction_id: CorrectionId::new(posted_at, random),
            kind: CorrectionKind::LateUsage,
            prompt_tokens,
            completion_tokens,
            total_tokens,
            amount: amount.nanos(),
            written_off: written_off.nanos(),
            journal_id: (!paid_by.is_empty()).then(|| JournalId::new(posted_at, random)),
            paid_by,
            settlement: Some(settlement),
            posted_at,
        };
        Ok(Self { record, key_id: known.key_id, model: known.model.clone(), stream: known.stream, outcome: known.outcome })
    }

    fn credit(
        known: KnownCall,
        credit: &CallCredit<'_>,
        (account_id, call_id): (AccountId, CallId),
        paid_by: Vec<PaidShare>,
        posted_at: DateTime<Utc>,
    ) -> Result<Self> {
        let record = CorrectionRecord {
            account_id,
            started_at: started_at(call_id)?,
            call_id,
            correction_id: CorrectionId::from_uuid(credit.journal_id.uuid()),
            kind: CorrectionKind::Credit,
            prompt_tokens: 0,
            completion_tokens: 0,
            total_tokens: 0,
            amount: paid_by.iter().map(|share| share.amount).sum(),
            written_off: 0,
            paid_by,
            settlement: None,
            journal_id: Some(credit.journal_id),
            posted_at,
        };
        Ok(Self { record, key_id: known.key_id, model: known.model, stream: known.stream, outcome: known.outcome })
    }

    pub(crate) fn shares(&self) -> &[PaidShare] {
        &self.record.paid_by
    }

    /// Writes the row, its journal entry, and what it adds to the sums. Its grants are the caller's to change. A credit comes with the digest of what
    /// was asked for; late usage was asked for by nobody.
    pub(crate) async fn insert(&self, connection: &mut PgConnection, asked: Option<(&CallCredit<'_>, &[u8; 32])>) -> Result<()> {
        let record = &self.record;
        if let Some(journal_id) = record.journal_id {
            let kind = match record.kind {
                CorrectionKind::LateUsage => JournalKind::LateUsage,
                CorrectionKind::Credit => JournalKind::CallCredit,
            };
            let late = format!("call {}", record.call_id);
            let new = NewJournal {
                account: record.account_id,
                id: journal_id,
                kind,
                memo: asked.map_or(&late, |(credit, _)| credit.memo),
                actor: asked.map_or("", |(credit, _)| credit.actor),
                request: asked.map(|(credit, digest)| (credit.idempotency_key, digest)),
                event_at: if asked.is_some() { record.posted_at } else { record.started_at },
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
            Json(&record.paid_by) as _,
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

/// Bits that are not time, for the ids of late usage, which nobody asks for and so nobody names. A call has one at most.
fn identity(call: CallId) -> [u8; 10] {
    let digest = Sha256::new_with_prefix(b"late usage").chain_update(call.uuid().as_bytes()).finalize();
    std::array::from_fn(|place| digest[place])
}

/// What each grant has paid of a call, corrections included, in the order in which they paid.
fn net(known: &KnownCall, corrections: &[CorrectionRecord]) -> Result<Vec<PaidShare>> {
    let mut shares: Vec<PaidShare> = Vec::new();
    for share in known.paid_by.iter().chain(corrections.iter().flat_map(|correction| correction.paid_by.iter())) {
        match shares.iter_mut().find(|one| one.grant_id == share.grant_id) {
            Some(one) => one.amount = one.amount.checked_add(share.amount).ok_or_else(overflow)?,
            None => shares.push(*share),
        }
    }
    Ok(shares)
}

/// Takes what there is of an amount, from grants in the order in which they pay.
fn take(amount: Amount, model: &str, grants: &[credit::Grant], now: DateTime<Utc>) -> Vec<PaidShare> {
    let pay = |money| credit::pay(Demand { money, ..Demand::NOTHING }, model, grants, now);
    // What a refusal calls available can be had.
    let holds = pay(amount).or_else(|exhausted| pay(Amount::from_nanos(exhausted.available.get()))).unwrap_or_default();
    holds.into_iter().filter_map(Share::of).map(|share| PaidShare { grant_id: share.grant, amount: share.amount.nanos() }).collect()
}

/// Gives back to whoever paid last first, each at most what it paid; to the wallet what belongs to a grant that has expired.
fn give_back(paid: &[PaidShare], amount: Amount, grants: &[credit::Grant], now: DateTime<Utc>) -> Result<Vec<PaidShare>> {
    let wallet = grants::wallet_of(grants)?;
    let mut rest = amount.nanos();
    let mut back: BTreeMap<GrantId, i64> = BTreeMap::new();
    for share in paid.iter().rev().filter(|share| share.amount > 0) {
        let part = share.amount.min(rest);
        let is_there = grants.iter().any(|grant| grant.id == share.grant_id && grant.in_force(now));
        *back.entry(if is_there { share.grant_id } else { wallet }).or_default() -= part;
        rest -= part;
    }
    if rest != 0 {
        return Err(Error::Corrupt("more is given back than was paid".to_owned()));
    }
    Ok(back.into_iter().filter(|(_, amount)| *amount != 0).map(|(grant_id, amount)| PaidShare { grant_id, amount }).collect())
}

/// A call's charge and its corrections.
fn cost_of(known: &KnownCall, corrections: &[CorrectionRecord]) -> Result<Amount> {
    corrections.iter().try_fold(known.amount, |sum, correction| plus(sum, Amount::from_nanos(correction.amount)))
}

/// A call's id is its start.
fn started_at(call: CallId) -> Result<DateTime<Utc>> {
    call.started_at().ok_or_else(|| Error::Corrupt(format!("call {call}: its id carries no time")))
}

/// Those of these calls that are in the books.
pub(crate) async fn known_calls(connection: &mut PgConnection, calls: &[(AccountId, CallId)]) -> Result<Vec<KnownCall>> {
    let starts = calls.iter().map(|(_, call)| started_at(*call)).collect::<Result<Vec<_>>>()?;
    let posted = sqlx::query_as!(
        KnownCall,
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
    let rows = sqlx::query_scalar!(
        r#"select to_jsonb(x) as "record!" from corrections x where account_id = $1 and call_id = $2 order by posted_at, correction_id"#,
        account.uuid(),
        call.uuid()
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(from_json).collect()
}

/// A row from what PostgreSQL's `to_jsonb` makes of it, so that the column list is in one place, [`CorrectionRecord`].
fn from_json(row: serde_json::Value) -> Result<CorrectionRecord> {
    serde_json::from_value(row).map_err(|error| Error::Corrupt(format!("corrections: {error}")))
}

/// A correction as the proof finds it.
pub(crate) struct StoredCorrection {
    pub(crate) id: Uuid,
    pub(crate) call: CallId,
    /// `None` if its call is gone, or cannot be read.
    pub(crate) of: Option<CallRecord>,
    pub(crate) record: Result<CorrectionRecord>,
    pub(crate) seal: Vec<u8>,
}

/// Every correction, those of a call together and oldest first. There are few: each is a dead proxy that was not, or an operator's apology.
pub(crate) async fn all(connection: &mut PgConnection) -> Result<Vec<StoredCorrection>> {
    let rows = sqlx::query!(
        r#"
        select x.correction_id, x.call_id as "call: CallId", to_jsonb(x) as "record!", x.seal, to_jsonb(c) as called
        from corrections x
        left join calls c using (account_id, started_at, call_id)
        order by x.account_id, x.call_id, x.posted_at, x.correction_id
        "#
    )
    .fetch_all(connection)
    .await?;
    let stored = rows.into_iter().map(|row| StoredCorrection {
        id: row.correction_id,
        call: row.call,
        of: row.called.and_then(|call| settled::from_json(call).ok()),
        record: from_json(row.record),
        seal: row.seal,
    });
    Ok(stored.collect())
}

/// What a later count adds to an earlier one: prompt, completion and total tokens.
pub(crate) fn tokens_between(late: &CallUsage, known: &CallUsage) -> [i64; 3] {
    let more = |late: Option<Tokens>, known: Option<Tokens>| late.map_or(0, Tokens::get) - known.map_or(0, Tokens::get);
    [
        more(late.prompt_tokens, known.prompt_tokens),
        more(late.completion_tokens, known.completion_tokens),
        more(late.total_tokens, known.total_tokens),
    ]
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
