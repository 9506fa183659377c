//! Refunds that operators start: written down before the provider is asked. What it does then is told as of every refund, and posted by that.

use domain::{
    audit::Operation,
    id::{AccountId, PaymentId},
    money::Amount,
    payment::PaymentState,
};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    queue::{left, reason},
    read,
};
use crate::{
    Error, Operator, Result, System,
    audit::{self, Line},
    books::{Books, Lock},
};

/// A refund that an operator starts.
#[derive(Debug, Clone, Copy)]
pub struct NewRefund<'a> {
    /// Its id. The same again is the same refund, however often it arrives.
    pub id: Uuid,
    /// Of which payment.
    pub payment: PaymentId,
    /// How much of it.
    pub amount: Amount,
    /// Why, in words.
    pub reason: &'a str,
    /// Who starts it.
    pub actor: &'a str,
}

/// A refund that the provider is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedRefund {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub account: AccountId,
    /// Of what, as the provider calls it.
    pub intent: String,
    /// How much, in the currency's smallest unit.
    pub minor: i64,
}

impl Operator {
    /// Writes down a refund of a payment, the whole of it or a part.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a payment that is not in the books, more than is left of it, or a missing reason;
    /// [`Error::IdempotencyConflict`] when this id was another refund's.
    pub async fn begin_refund(&self, new: NewRefund<'_>) -> Result<AskedRefund> {
        let reason = reason(new.reason)?;
        let account = self.account_of_payment(new.payment).await?;
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let now = books.of(account)?.now();
        let payment = read(&mut tx, account, new.payment).await?.ok_or(Error::NotFound)?;
        let minor = payment.currency.minor(new.amount).filter(|minor| *minor > 0);
        let minor = minor.ok_or_else(|| Error::invalid("amount", "write an amount above zero, in the currency's whole smallest units"))?;
        let intent = intent_of(&mut tx, account, new.payment).await?;
        let asked = AskedRefund { id: new.id, account, intent, minor };
        let before = sqlx::query!(
            r#"select payment_id as "payment: PaymentId", minor from payment_refunds where account_id = $1 and refund_id = $2"#,
            account.uuid(),
            new.id
        );
        if let Some(before) = before.fetch_optional(&mut *tx).await? {
            let is_same = (before.payment, before.minor) == (new.payment, minor);
            return if is_same { Ok(asked) } else { Err(Error::IdempotencyConflict) };
        }
        if payment.state != PaymentState::Credited {
            return Err(Error::invalid("payment", format!("it is {}: only one that is credited is refunded here", payment.state.name())));
        }
        let left = left(&mut tx, &payment).await?;
        if minor > left {
            let most = payment.currency.amount(left).unwrap_or_default();
            return Err(Error::invalid("amount", format!("write at most {most}, which is left of the payment")));
        }
        sqlx::query!(
            r#"
            insert into payment_refunds (account_id, refund_id, payment_id, minor, reason, asked_by, asked_at) values ($1, $2, $3, $4, $5, $6, $7)
            "#,
            account.uuid(),
            new.id,
            new.payment.uuid(),
            minor,
            reason,
            new.actor,
            now
        )
        .execute(&mut *tx)
        .await?;
        let name = audit::account_name(&mut tx, account).await?;
        let said = json!({"amount": new.amount, "reason": reason, "refund": new.id});
        tx.commit(Line::new(Operation::PaymentRefund, new.payment, name, None, Some(said)).of(account)).await?;
        Ok(asked)
    }
}

/// What the provider calls the payment itself.
async fn intent_of(connection: &mut PgConnection, account: AccountId, payment: PaymentId) -> Result<String> {
    let intent = sqlx::query_scalar!(
        "select reference from payment_references where account_id = $1 and payment_id = $2 and reference like 'pi\\_%' order by reference limit 1",
        account.uuid(),
        payment.uuid()
    );
    let problem = "Stripe has not said yet what it calls this payment: refund it in Stripe's dashboard";
    intent.fetch_optional(connection).await?.ok_or_else(|| Error::invalid("payment", problem))
}

impl System {
    /// Notes that the provider does not do it, and why: so much is left again.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn note_refused_refund(&self, refund: &AskedRefund, why: &str) -> Result<()> {
        let mut tx = self.database.write().await?;
        sqlx::query!(
            "update payment_refunds set refused = $3 where account_id = $1 and refund_id = $2",
            refund.account.uuid(),
            refund.id,
            why
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}
