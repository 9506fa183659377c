//! Payments that an operator must look at.

use domain::{
    audit::{AuditPlace, Operation},
    billing::PostingNumber,
    id::{AccountId, PaymentId},
    money::Amount,
    payment::{Payment, PaymentFilter, PaymentState, Provider, SeenPayment},
};
use serde_json::json;
use sqlx::PgConnection;

use super::{
    PaymentRow,
    movement::{MovementKind, NewMovement},
    news::set,
    read, strays,
};
use crate::{
    Error, Operator, Result,
    audit::{self, Line},
    books::{Books, Lock},
};

/// What an operator decides of a payment that was paid and could not be credited by itself.
#[derive(Debug, Clone, Copy)]
pub struct PaymentCredit<'a> {
    /// How much the account gets; `None` for what was to be paid.
    pub amount: Option<Amount>,
    /// Why, in words.
    pub reason: &'a str,
    /// The problem that was looked at: another one is no reason to credit it.
    pub seen: &'a str,
    /// Who decides.
    pub actor: &'a str,
}

impl Operator {
    /// Payments of every account, newest first: those with a problem, or all.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn payments(&self, all: bool, most: i64) -> Result<Vec<Payment>> {
        let rows = sqlx::query_as!(
            PaymentRow,
            r#"
            select
                account_id as "account: AccountId", payment_id as "id: PaymentId", provider as "provider: Provider", amount as "amount: Amount", minor,
                currency, made_by, made_at, session, state as "state: PaymentState", problem
            from payments where $1 or problem is not null
            order by made_at desc, payment_id desc limit $2
            "#,
            all,
            most
        );
        rows.fetch_all(&mut *self.database.read().await?).await?.into_iter().map(PaymentRow::into_payment).collect()
    }

    /// A page of payments of every account, newest first, with where the next one begins.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn payments_of(
        &self,
        filter: PaymentFilter,
        before: Option<AuditPlace>,
        most: i64,
    ) -> Result<(Vec<SeenPayment>, Option<AuditPlace>)> {
        let mut connection = self.database.read().await?;
        let rows = sqlx::query_as!(
            PaymentRow,
            r#"
            select
                account_id as "account: AccountId", payment_id as "id: PaymentId", provider as "provider: Provider", amount as "amount: Amount", minor,
                currency, made_by, made_at, session, state as "state: PaymentState", problem
            from payments
            where ($1::timestamptz is null or (made_at, payment_id) < ($1, $2::uuid)) and case $3::text
                when 'held' then problem is not null
                when 'all' then true
                else state = $3
            end
            order by made_at desc, payment_id desc limit $4
            "#,
            before.map(|place| place.at),
            before.map(|place| place.id),
            filter.name(),
            most.saturating_add(1)
        );
        let mut rows = rows.fetch_all(&mut *connection).await?;
        let size = usize::try_from(most).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let next = rows.last().filter(|_| more).map(|row| AuditPlace { at: row.made_at, id: row.id.uuid() });
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            all.push(seen(&mut connection, row.into_payment()?).await?);
        }
        Ok((all, next))
    }

    /// One payment, as operators look at it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn payment(&self, id: PaymentId) -> Result<SeenPayment> {
        let account = self.account_of_payment(id).await?;
        let mut connection = self.database.read().await?;
        let payment = read(&mut connection, account, id).await?.ok_or(Error::NotFound)?;
        seen(&mut connection, payment).await
    }

    /// How many payments an operator must look at, those that are nobody's among them.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn payments_to_look_at(&self) -> Result<i64> {
        let mut connection = self.database.read().await?;
        let held = sqlx::query_scalar!(r#"select count(*) as "held!" from payments where problem is not null"#);
        let held = held.fetch_one(&mut *connection).await?;
        Ok(held + strays::how_many(&mut connection).await?)
    }

    /// Credits a payment that was held, once.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a payment that is not held, an amount that is none, a missing reason, or another problem than was seen.
    pub async fn credit_payment(&self, id: PaymentId, credit: PaymentCredit<'_>) -> Result<PostingNumber> {
        let reason = reason(credit.reason)?;
        let account = self.account_of_payment(id).await?;
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let payment = read(&mut tx, account, id).await?.ok_or(Error::NotFound)?;
        if payment.state != PaymentState::Held {
            return Err(Error::invalid("payment", format!("it is {}: only one that is held is credited", payment.state.name())));
        }
        expect_seen(&payment, credit.seen)?;
        let amount = credit.amount.unwrap_or(payment.amount);
        let minor = payment.currency.minor(amount).filter(|minor| *minor > 0);
        let minor = minor.ok_or_else(|| Error::invalid("amount", "write an amount above zero, in the currency's whole smallest units"))?;
        let book = books.of(account)?;
        let (before, now) = (book.balance(), book.now());
        let reference = payment.session.clone().unwrap_or_else(|| id.to_string());
        let movement = NewMovement {
            payment: id,
            kind: MovementKind::Credit,
            amount,
            minor,
            reference: &reference,
            decided_by: Some(credit.actor),
            memo: format!("Stripe payment: {reason}"),
            actor: credit.actor,
            at: now,
        };
        let posting = movement.post(&mut tx, book).await?;
        let after = json!({"balance": book.balance(), "amount": amount, "reason": reason, "posting": posting, "state": "credited"});
        set(&mut tx, &payment, PaymentState::Credited, None, now).await?;
        books.write(&mut tx).await?;
        let name = audit::account_name(&mut tx, account).await?;
        let before = json!({"balance": before, "state": payment.state.name(), "problem": payment.problem});
        tx.commit(Line::new(Operation::PaymentCredit, id, name, Some(before), Some(after)).of(account)).await?;
        Ok(posting)
    }

    /// Says that what was to be looked at, which is the problem that was seen, needs nothing more: what was held is not credited, as after it was paid back by
    /// hand.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a payment without a problem, a missing reason, or another problem than was seen.
    pub async fn dismiss_payment(&self, id: PaymentId, seen: &str, why: &str) -> Result<()> {
        let reason = reason(why)?;
        let account = self.account_of_payment(id).await?;
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let now = books.of(account)?.now();
        let payment = read(&mut tx, account, id).await?.ok_or(Error::NotFound)?;
        if payment.problem.is_none() {
            return Err(Error::invalid("payment", "there is nothing to look at"));
        }
        expect_seen(&payment, seen)?;
        let state = if payment.state == PaymentState::Held { PaymentState::Dismissed } else { payment.state };
        set(&mut tx, &payment, state, None, now).await?;
        let name = audit::account_name(&mut tx, account).await?;
        let before = json!({"state": payment.state.name(), "problem": payment.problem});
        let after = json!({"state": state.name(), "problem": null, "reason": reason});
        tx.commit(Line::new(Operation::PaymentDismiss, id, name, Some(before), Some(after)).of(account)).await
    }

    pub(super) async fn account_of_payment(&self, id: PaymentId) -> Result<AccountId> {
        let account = sqlx::query_scalar!(r#"select account_id as "account: AccountId" from payments where payment_id = $1"#, id.uuid());
        account.fetch_optional(&mut *self.database.read().await?).await?.ok_or(Error::NotFound)
    }
}

/// Nobody decides of what was added while they looked.
fn expect_seen(payment: &Payment, seen: &str) -> Result<()> {
    if payment.problem.as_deref() == Some(seen) { Ok(()) } else { Err(Error::invalid("seen", "something was added meanwhile: look again")) }
}

async fn seen(connection: &mut PgConnection, payment: Payment) -> Result<SeenPayment> {
    let (account_name, left) = (audit::account_name(connection, payment.account).await?, left(connection, &payment).await?);
    Ok(SeenPayment { payment, account_name, left })
}

/// How much of a payment can be paid back yet, in the currency's smallest unit.
pub(super) async fn left(connection: &mut PgConnection, of: &Payment) -> Result<i64> {
    let sums = sqlx::query!(
        r#"
        select
            (
                select coalesce(sum(m.minor) filter (where m.kind = 'credit'), 0)::bigint from payment_movements m
                where m.account_id = $1 and m.payment_id = $2
            ) as "credited!",
            (
                select coalesce(-sum(m.minor) filter (where m.kind <> 'credit'), 0)::bigint from payment_movements m
                where m.account_id = $1 and m.payment_id = $2
            ) as "back!",
            (
                select coalesce(sum(r.minor), 0)::bigint from payment_refunds r
                where r.account_id = $1 and r.payment_id = $2 and r.refused is null
            ) as "asked!"
        "#,
        of.account.uuid(),
        of.id.uuid()
    );
    let sums = sums.fetch_one(connection).await?;
    // What was asked for is among what was paid back once the provider has done it: whichever is more counts.
    Ok(sums.credited.saturating_sub(sums.back.max(sums.asked)).max(0))
}

pub(super) fn reason(text: &str) -> Result<&str> {
    let text = Error::one_line("reason", text)?;
    if text.is_empty() { Err(Error::invalid("reason", "say why")) } else { Ok(text) }
}
