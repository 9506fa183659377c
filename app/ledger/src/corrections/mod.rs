//! Corrections: what changes a call's figures after it was posted. They are rows of their own, beside a call's row that never changes, each with its
//! entry in the journal. A call's figures are its own and those of its corrections.

mod call_credit;
mod record;
mod replay;
mod reprice;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    attribution::Label,
    billing::JournalKind,
    call::{CorrectionKind, Outcome, UsageSource},
    credit::{self, Caller, Quantity, Unit},
    id::{AccountId, CallId, GrantId, KeyId, PriceId, ProjectId, UserId},
    lease::Posted,
    money::Amount,
    pricing::Excess,
    tokens::{CallUsage, Tokens},
};
use sqlx::{FromRow, PgConnection, types::Json};

pub(crate) use self::{
    call_credit::request_digest,
    record::{CorrectionRecord, StoredCorrection, of_account, of_call},
    replay::{charged, price_of},
};
pub use self::{
    call_credit::{CallCredit, CreditedCall},
    replay::Replayable,
    reprice::Reprice,
};
use crate::{
    Error, Result, SettledCall,
    books::{Book, NewPosting, Request},
    limits::Counted,
    rollups::{self, Addition},
    settled::{CallRecord, PaidShare, Payment, paid_in, tokens_counted, tokens_owed},
};

/// What is posted of a call that a correction rests on.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct KnownCall {
    pub(crate) call_id: CallId,
    pub(crate) key_id: KeyId,
    /// The member whose key it is.
    pub(crate) member: Option<UserId>,
    pub(crate) project_id: ProjectId,
    pub(crate) session: Option<Label>,
    pub(crate) client: Option<Label>,
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) outcome: Outcome,
    pub(crate) source: UsageSource,
    pub(crate) prompt_tokens: Option<Tokens>,
    pub(crate) completion_tokens: Option<Tokens>,
    pub(crate) total_tokens: Option<Tokens>,
    pub(crate) amount: Amount,
    pub(crate) tokens_paid: Option<i64>,
    #[sqlx(flatten)]
    pub(crate) paid_by: Payment,
    /// Its settlement came late, and was posted.
    pub(crate) is_settled_late: bool,
}

impl KnownCall {
    /// A call that is being posted, by a key of this member.
    pub(crate) fn from_record(call: &CallRecord, member: Option<UserId>) -> Self {
        Self {
            call_id: call.call_id,
            key_id: call.key_id,
            member,
            project_id: call.project_id,
            session: call.session.clone(),
            client: call.client.clone(),
            model: call.model.clone(),
            stream: call.stream,
            outcome: call.outcome,
            source: call.source,
            prompt_tokens: call.prompt_tokens,
            completion_tokens: call.completion_tokens,
            total_tokens: call.total_tokens,
            amount: Amount::from_nanos(call.amount),
            tokens_paid: call.tokens_paid,
            paid_by: call.paid_by.clone(),
            is_settled_late: false,
        }
    }

    /// What a settlement of it must know.
    pub(crate) fn posted(&self) -> Posted {
        Posted { is_interrupted: self.source == UsageSource::Interrupted, is_corrected: self.is_settled_late }
    }

    /// What it was paid in, and its corrections are.
    const fn unit(&self) -> Unit {
        paid_in(self.tokens_paid)
    }

    /// What was paid for it.
    pub(crate) fn paid(&self) -> i64 {
        self.tokens_paid.unwrap_or(self.amount.nanos())
    }

    fn usage(&self) -> CallUsage {
        CallUsage::of_totals(self.prompt_tokens, self.completion_tokens, self.total_tokens)
    }

    /// The run that it names, if it names one.
    fn run(&self) -> Vec<&str> {
        self.session.iter().map(Label::as_str).collect()
    }

    fn caller(&self) -> Caller {
        Caller { key: self.key_id, project: self.project_id, member: self.member, run: self.session.clone() }
    }
}

/// A correction that was worked out.
#[derive(Debug, Clone)]
pub(crate) struct Correction {
    pub(crate) record: CorrectionRecord,
    of: KnownCall,
    /// What it adds to the tokens that limits count of the call.
    tokens: i64,
}

impl Correction {
    /// The difference between a call that was settled as interrupted and what it came to after all.
    ///
    /// Its hold went back when it was settled, and its credit may be spent: what the account no longer has of a difference is written off, unless it is lenient. What was given
    /// back since is not given back again.
    pub(crate) fn late_usage(call: &SettledCall, known: &KnownCall, before: &[CorrectionRecord], book: &mut Book) -> Result<Self> {
        let unit = known.unit();
        let owed = if unit == Unit::Tokens { tokens_owed(&call.usage, call.tokens_held).get() } else { call.amount.nanos() };
        let difference = owed.checked_sub(known.paid()).ok_or_else(overflow)?;
        let paid_by = if difference < 0 {
            let back = difference.checked_neg().ok_or_else(overflow)?.min(cost_of(known, before)?);
            give_back(&net(known, before)?, back, unit, book)?
        } else {
            let mut paid_by = take(difference, unit, &call.model, book);
            if unit == Unit::Money && call.excess.is_charged() {
                lend(&mut paid_by, difference, book)?;
            }
            paid_by
        };
        let paid = sum(&paid_by)?;
        let not_paid = if difference < 0 { 0 } else { difference.checked_sub(paid).ok_or_else(overflow)? };
        if unit == Unit::Tokens && not_paid > 0 {
            tracing::error!(call = %call.call_id, tokens = not_paid, "a call was settled after its package had been used up: nobody pays the rest");
        }
        let (amount, tokens_paid, written_off) = match unit {
            Unit::Tokens => (0, Some(paid), 0),
            Unit::Money | Unit::Requests => (paid, None, not_paid.checked_add(call.written_off.nanos()).ok_or_else(overflow)?),
        };
        let settlement = serde_json::to_string(call).map_err(|error| Error::Corrupt(error.to_string()))?;
        let [prompt_tokens, completion_tokens, total_tokens] = tokens_between(&call.usage, &known.usage());
        let record = CorrectionRecord {
            account_id: call.account_id,
            started_at: call.started_at()?,
            call_id: call.call_id,
            seq: book.next_number()?,
            kind: CorrectionKind::LateUsage,
            prompt_tokens,
            completion_tokens,
            total_tokens,
            amount,
            tokens_paid,
            written_off,
            paid_by,
            settlement: Some(settlement),
            price_id: None,
            posted_at: book.now(),
        };
        let excess = if unit == Unit::Tokens { Excess::WrittenOff } else { call.excess };
        let of = |usage: &CallUsage| tokens_counted(usage, call.tokens_held, excess);
        let counted = of(&call.usage) - of(&known.usage());
        let correction = Self { record, of: known.clone(), tokens: counted };
        correction.post(book, JournalKind::LateUsage, &format!("call {}", call.call_id), "", None)?;
        Ok(correction)
    }

    fn credit(known: &KnownCall, credit: &CallCredit<'_>, digest: [u8; 32], paid_by: Vec<PaidShare>, book: &mut Book) -> Result<Self> {
        let paid = sum(&paid_by)?;
        let (amount, tokens_paid) = if known.unit() == Unit::Tokens { (0, Some(paid)) } else { (paid, None) };
        let record = CorrectionRecord {
            account_id: book.account,
            started_at: started_at(known.call_id)?,
            call_id: known.call_id,
            seq: book.next_number()?,
            kind: CorrectionKind::Credit,
            prompt_tokens: 0,
            completion_tokens: 0,
            total_tokens: 0,
            amount,
            tokens_paid,
            written_off: 0,
            paid_by,
            settlement: None,
            price_id: None,
            posted_at: book.now(),
        };
        let correction = Self { record, of: known.clone(), tokens: 0 };
        let request = Request { idempotency_key: credit.idempotency_key.to_owned(), digest };
        correction.post(book, JournalKind::CallCredit, credit.memo, credit.actor, Some(request))?;
        Ok(correction)
    }

    /// Posts what it moves; late usage was asked for by nobody, and happened with its call.
    fn post(&self, book: &mut Book, kind: JournalKind, memo: &str, actor: &str, request: Option<Request>) -> Result<()> {
        let record = &self.record;
        let given = record.paid_by.iter().map(|share| Some((share.grant_id, share.amount.checked_neg()?)));
        let posting = NewPosting {
            kind,
            memo: memo.to_owned(),
            actor: actor.to_owned(),
            event_at: if request.is_some() { record.posted_at } else { record.started_at },
            request,
            posted_at: record.posted_at,
            calls: None,
            seals: Some(record.seal().to_vec()),
            grants: given.collect::<Option<_>>().ok_or_else(overflow)?,
        };
        book.post(posting).map(drop)
    }

    /// Writes the row, when its posting is written, and what it adds to the sums.
    pub(crate) async fn insert(&self, connection: &mut PgConnection) -> Result<()> {
        self.insert_row(connection).await?;
        rollups::add(connection, &[self.addition()]).await
    }

    async fn insert_row(&self, connection: &mut PgConnection) -> Result<()> {
        let record = &self.record;
        sqlx::query!(
            r#"
            insert into corrections (
                account_id, started_at, call_id, seq, kind, prompt_tokens, completion_tokens, total_tokens, amount, tokens_paid, written_off,
                paid_by, settlement, price_id, posted_at, seal
            )
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
            "#,
            record.account_id.uuid(),
            record.started_at,
            record.call_id.uuid(),
            record.seq.get(),
            record.kind.name(),
            record.prompt_tokens,
            record.completion_tokens,
            record.total_tokens,
            record.amount,
            record.tokens_paid,
            record.written_off,
            Json(&record.paid_by) as _,
            record.settlement,
            record.price_id.map(PriceId::uuid),
            record.posted_at,
            &record.seal()[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    /// What limits count of it.
    pub(crate) fn counted(&self) -> Counted {
        let (amount, started_at) = (Amount::from_nanos(self.record.amount), self.record.started_at);
        Counted { caller: self.of.caller(), started_at, amount, tokens: self.tokens, requests: 0 }
    }

    fn addition(&self) -> Addition<'_> {
        let Self { record, of, .. } = self;
        Addition {
            account: record.account_id,
            started_at: record.started_at,
            key: of.key_id,
            model: &of.model,
            stream: of.stream,
            outcome: of.outcome,
            project: of.project_id,
            client: of.client.as_ref().map_or("", Label::as_str),
            requests: 0,
            prompt_tokens: record.prompt_tokens,
            completion_tokens: record.completion_tokens,
            total_tokens: record.total_tokens,
            amount: record.amount,
            written_off: record.written_off,
        }
    }
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

/// Takes what there is, from grants in the order in which they pay.
fn take(wanted: i64, unit: Unit, model: &str, book: &Book) -> Vec<PaidShare> {
    let holds = credit::take(Quantity::from_count(wanted), unit, model, book.grants(), book.now());
    holds.into_iter().filter_map(|hold| PaidShare::of(hold.pool, hold.quantity)).collect()
}

/// Charges the wallet with what others do not pay of an amount in nanos, whatever is in it.
fn lend(paid_by: &mut Vec<PaidShare>, amount: i64, book: &Book) -> Result<()> {
    let wallet = book.wallet()?;
    let rest = amount.checked_sub(sum(paid_by)?).ok_or_else(overflow)?;
    match paid_by.iter_mut().find(|share| share.grant_id == wallet) {
        _ if rest == 0 => {}
        Some(share) => share.amount = share.amount.checked_add(rest).ok_or_else(overflow)?,
        None => paid_by.push(PaidShare { grant_id: wallet, amount: rest }),
    }
    Ok(())
}

/// Gives back to whoever paid last first, each at most what it paid; to the wallet the money of a grant that has expired, also where it pays for no call:
/// it is the customer's. Tokens are gone with their grant: no other one is for the same models as long.
fn give_back(paid: &[PaidShare], quantity: i64, unit: Unit, book: &Book) -> Result<Vec<PaidShare>> {
    let wallet = book.wallet()?;
    let mut rest = quantity;
    let mut back: BTreeMap<GrantId, i64> = BTreeMap::new();
    for share in paid.iter().rev().filter(|share| share.amount > 0) {
        let part = share.amount.min(rest);
        rest -= part;
        // One that paid had begun, also where the clock was set back since.
        let is_there = book.grants().iter().any(|grant| grant.id == share.grant_id && !grant.has_expired(book.now()));
        let to = if is_there { Some(share.grant_id) } else { (unit == Unit::Money).then_some(wallet) };
        if let Some(grant) = to {
            *back.entry(grant).or_default() -= part;
        }
    }
    if rest != 0 {
        return Err(Error::Corrupt("more is given back than was paid".to_owned()));
    }
    Ok(back.into_iter().filter(|(_, amount)| *amount != 0).map(|(grant_id, amount)| PaidShare { grant_id, amount }).collect())
}

/// What is paid for a call by now, with its corrections, in what it was paid in.
fn cost_of(known: &KnownCall, corrections: &[CorrectionRecord]) -> Result<i64> {
    let cost = corrections.iter().try_fold(known.paid(), |sum, correction| sum.checked_add(correction.paid()));
    cost.ok_or_else(overflow)
}

fn sum(shares: &[PaidShare]) -> Result<i64> {
    shares.iter().try_fold(0_i64, |sum, share| sum.checked_add(share.amount)).ok_or_else(overflow)
}

/// A call's id is its start.
fn started_at(call: CallId) -> Result<DateTime<Utc>> {
    call.started_at().ok_or_else(|| Error::Corrupt(format!("call {call}: its id carries no time")))
}

/// Those of these calls that are in the books.
pub(crate) async fn known_calls(connection: &mut PgConnection, calls: &[(AccountId, CallId)]) -> Result<Vec<KnownCall>> {
    let starts = calls.iter().map(|(_, call)| started_at(*call)).collect::<Result<Vec<_>>>()?;
    let known = sqlx::query_as(include_str!("known_calls.sql"))
        .bind(calls.iter().map(|(account, _)| account.uuid()).collect::<Vec<_>>())
        .bind(starts)
        .bind(calls.iter().map(|(_, call)| call.uuid()).collect::<Vec<_>>());
    Ok(known.fetch_all(connection).await?)
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

fn overflow() -> Error {
    Error::Corrupt("a correction overflows".to_owned())
}
