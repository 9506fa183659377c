//! Payments that an operator must look at.

use domain::{
    audit::Operation,
    billing::PostingNumber,
    id::{AccountId, PaymentId},
    money::Amount,
    payment::{Payment, PaymentState},
};
use serde_json::json;

use super::{
    PaymentRow,
    movement::{MovementKind, NewMovement},
    news::set,
    read,
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
                account_id as "account: AccountId", payment_id as "id: PaymentId", amount as "amount: Amount", minor, currency, made_by, made_at,
                session, state as "state: PaymentState", problem
            from payments where $1 or problem is not null
            order by made_at desc, payment_id desc limit $2
            "#,
            all,
            most
        );
        rows.fetch_all(&mut *self.database.read().await?).await?.into_iter().map(PaymentRow::into_payment).collect()
    }

    /// Credits a payment that was held, once.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a payment that is not held, an amount that is none, or a missing reason.
    pub async fn credit_payment(&self, id: PaymentId, credit: PaymentCredit<'_>) -> Result<PostingNumber> {
        let reason = reason(credit.reason)?;
        let account = self.account_of_payment(id).await?;
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let payment = read(&mut tx, account, id).await?.ok_or(Error::NotFound)?;
        if payment.state != PaymentState::Held {
            return Err(Error::invalid("payment", format!("it is {}: only one that is held is credited", payment.state.name())));
        }
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

    /// Says that what was to be looked at needs nothing more: what was held is not credited, as after it was paid back by hand.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a payment without a problem, or a missing reason.
    pub async fn dismiss_payment(&self, id: PaymentId, why: &str) -> Result<()> {
        let reason = reason(why)?;
        let account = self.account_of_payment(id).await?;
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let now = books.of(account)?.now();
        let payment = read(&mut tx, account, id).await?.ok_or(Error::NotFound)?;
        if payment.problem.is_none() {
            return Err(Error::invalid("payment", "there is nothing to look at"));
        }
        let state = if payment.state == PaymentState::Held { PaymentState::Dismissed } else { payment.state };
        set(&mut tx, &payment, state, None, now).await?;
        let name = audit::account_name(&mut tx, account).await?;
        let before = json!({"state": payment.state.name(), "problem": payment.problem});
        let after = json!({"state": state.name(), "problem": null, "reason": reason});
        tx.commit(Line::new(Operation::PaymentDismiss, id, name, Some(before), Some(after)).of(account)).await
    }

    async fn account_of_payment(&self, id: PaymentId) -> Result<AccountId> {
        let account = sqlx::query_scalar!(r#"select account_id as "account: AccountId" from payments where payment_id = $1"#, id.uuid());
        account.fetch_optional(&mut *self.database.read().await?).await?.ok_or(Error::NotFound)
    }
}

fn reason(text: &str) -> Result<&str> {
    let text = Error::one_line("reason", text)?;
    if text.is_empty() { Err(Error::invalid("reason", "say why")) } else { Ok(text) }
}
