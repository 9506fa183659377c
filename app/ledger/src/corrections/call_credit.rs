//! A call that is given back to its customer, in whole or in part.

use domain::{
    audit::Operation,
    billing::{JournalKind, PostingNumber},
    credit::{Quantity, Unit},
    id::{AccountId, CallId},
    money::Amount,
};
use serde_json::json;
use sqlx::PgConnection;

use super::{Correction, CorrectionRecord, KnownCall, cost_of, give_back, known_calls, net, of_call, overflow, sum};
use crate::{
    Error, Operator, Result,
    audit::{self, Line},
    books::{Books, Lock},
    limits, money,
};

/// A call that is to be given back.
#[derive(Debug, Clone)]
pub struct CallCredit<'a> {
    /// How much of it, above zero; `None` for all that it still costs. Of a call that was paid in tokens, all.
    pub amount: Option<Amount>,
    /// The same key again is the same request, however often it arrives.
    pub idempotency_key: &'a str,
    /// Why, in words.
    pub memo: &'a str,
    /// Who asks.
    pub actor: &'a str,
}

impl Operator {
    /// Gives a call back to its customer, in whole or in part.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown call; [`Error::Invalid`] for a missing reason or key, or for more than the call still costs;
    /// [`Error::IdempotencyConflict`].
    pub async fn credit_call(&self, call: CallId, credit: CallCredit<'_>) -> Result<CreditedCall> {
        let credit = &CallCredit { memo: Error::one_line("reason", credit.memo)?, ..credit };
        if credit.memo.is_empty() {
            return Err(Error::invalid("reason", "say why: the customer reads it in the journal"));
        }
        if credit.idempotency_key.is_empty() {
            return Err(Error::invalid("idempotency key", "send one"));
        }
        if credit.amount.is_some_and(|amount| amount <= Amount::ZERO) {
            return Err(Error::invalid("amount", "write an amount above zero: it is given back"));
        }
        let mut tx = self.database.change().await?;
        let account = account_of(&mut tx, call).await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let book = books.of(account)?;
        let known = known_calls(&mut tx, &[(account, call)]).await?.pop().ok_or(Error::NotFound)?;
        let before = of_call(&mut tx, account, call).await?;
        let cost = cost_of(&known, &before)?;
        if let Some(posting) = posted_before(&mut tx, (account, &known), credit, &before).await? {
            return Ok(CreditedCall { posting, replayed: true, cost: Quantity::from_count(cost), unit: known.unit() });
        }
        let wanted = wanted(credit, cost, known.unit())?;
        let paid_by = give_back(&net(&known, &before)?, wanted, known.unit(), book)?;
        let given = sum(&paid_by)?.checked_neg().filter(|given| *given > 0).ok_or_else(|| {
            Error::invalid("call", "the credit that paid for it has ended: give new credit instead, with `farebox grant add --unit tokens`")
        })?;
        let digest = request_digest(call, given, known.unit(), credit.amount.is_none(), credit.memo, credit.actor);
        let correction = Correction::credit(&known, credit, digest, paid_by, book)?;
        if book.is_limited {
            let limits: Vec<_> = limits::in_force(&mut tx, &[account], &known.run()).await?.into_iter().map(|(_, limit)| limit).collect();
            limits::count(correction.counted(), &limits, book)?;
        }
        books.write(&mut tx).await?;
        correction.insert(&mut tx).await?;
        let (was, cost) = (Quantity::from_count(cost), Quantity::from_count(cost.checked_sub(given).ok_or_else(overflow)?));
        let before = json!({"cost": was.in_words(known.unit())});
        let after = json!({"cost": cost.in_words(known.unit()), "reason": credit.memo, "posting": correction.record.seq});
        let name = audit::account_name(&mut tx, account).await?;
        tx.commit(Line::new(Operation::CallCredit, call, name, Some(before), Some(after)).of(account)).await?;
        Ok(CreditedCall { posting: correction.record.seq, replayed: false, cost, unit: known.unit() })
    }
}

/// What became of a call that was to be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditedCall {
    /// The posting: the first one, if the request was repeated.
    pub posting: PostingNumber,
    /// Whether the same request had been posted before.
    pub replayed: bool,
    /// What the call costs by now.
    pub cost: Quantity,
    /// What it is paid in.
    pub unit: Unit,
}

/// How much is to be given back of what a call costs.
fn wanted(credit: &CallCredit<'_>, cost: i64, unit: Unit) -> Result<i64> {
    let in_words = Quantity::from_count(cost).in_words(unit);
    match credit.amount {
        _ if cost <= 0 => Err(Error::invalid("amount", "the call costs nothing by now: there is nothing to give back")),
        Some(_) if unit == Unit::Tokens => {
            Err(Error::invalid("amount", format!("the call was paid with {in_words}: leave the amount out to give all of it back")))
        }
        Some(amount) if amount.nanos() > cost => {
            Err(Error::invalid("amount", format!("the call costs {in_words} by now: no more than that can be given back")))
        }
        amount => Ok(amount.map_or(cost, Amount::nanos)),
    }
}

/// What was asked for under an idempotency key: which call, how much of it or all of it, by whom and why.
pub(crate) fn request_digest(call: CallId, given: i64, unit: Unit, all: bool, memo: &str, actor: &str) -> [u8; 32] {
    let what = if all { "all of it" } else { "so much" };
    let given = if unit == Unit::Tokens { format!("{given} tokens") } else { Amount::from_nanos(given).to_string() };
    money::request_digest(JournalKind::CallCredit, &given, &format!("{what} {call} {memo}"), actor)
}

/// The posting of the same request, if it was made before.
async fn posted_before(
    connection: &mut PgConnection,
    (account, known): (AccountId, &KnownCall),
    credit: &CallCredit<'_>,
    before: &[CorrectionRecord],
) -> Result<Option<PostingNumber>> {
    let Some((posting, digest)) = money::of_key(connection, account, credit.idempotency_key).await? else { return Ok(None) };
    let posted = before.iter().find(|correction| correction.seq == posting).ok_or(Error::IdempotencyConflict)?;
    // All of a call was what it cost then.
    let given = credit.amount.map_or(posted.paid().saturating_neg(), Amount::nanos);
    if request_digest(known.call_id, given, known.unit(), credit.amount.is_none(), credit.memo, credit.actor)[..] == digest {
        Ok(Some(posting))
    } else {
        Err(Error::IdempotencyConflict)
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
