//! Refunds that operators start: written down before the provider is asked, which is asked again until it says that it has taken it. What it does then is
//! told as of every refund, and posted by that.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    audit::Operation,
    id::{AccountId, PaymentId},
    money::Amount,
    payment::{Payment, PaymentState, Provider, Sum},
};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    ASKED_AGAIN_FOR, TOGETHER_MAX,
    news::hold,
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
    /// Whether the provider has said that it took it: then it is not asked again, since it forgets by and by that it was.
    pub is_taken: bool,
}

impl Operator {
    /// Writes down a refund of a payment, the whole of it or a part. The same again is the one that was begun; where the provider has refused it, it is asked
    /// for anew.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a payment that is not in the books, more than is left of it, a missing reason, or the same again of which
    /// it is not known whether the provider did it, and that it must not be asked for any more;
    /// [`Error::IdempotencyConflict`] when this id was another refund's.
    pub async fn begin_refund(&self, new: NewRefund<'_>) -> Result<AskedRefund> {
        let reason = reason(new.reason)?;
        let account = self.account_of_payment(new.payment).await?;
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?;
        let now = books.of(account)?.now();
        let payment = read(&mut tx, account, new.payment).await?.ok_or(Error::NotFound)?;
        let minor = minor_of(&payment, new.amount)?;
        let intent = match before(&mut tx, account, new.id).await? {
            None if payment.provider == Provider::Bank => {
                return Err(Error::invalid("payment", "it came by bank transfer, which no provider pays back"));
            }
            None => intent_of(&mut tx, account, new.payment).await?,
            Some(before) if (before.payment, before.minor) != (new.payment, minor) => return Err(Error::IdempotencyConflict),
            Some(before) if before.refused.is_some() => before.intent,
            Some(before) => {
                let sum = Sum { minor, currency: payment.currency.code().to_owned() };
                let is_taken = before.taken_at.is_some();
                if !is_taken && now - before.asked_at >= ASKED_AGAIN_FOR {
                    return Err(Error::invalid("payment", unknown(new.id, &sum, before.asked_at)));
                }
                return Ok(AskedRefund { id: new.id, account, intent: before.intent, minor, is_taken });
            }
        };
        if payment.state != PaymentState::Credited {
            return Err(Error::invalid("payment", format!("it is {}: only one that is credited is refunded here", payment.state.name())));
        }
        expect_left(&mut tx, &payment, minor).await?;
        insert_refund(&mut tx, account, &new, (&intent, minor, reason), (now, None)).await?;
        let name = audit::account_name(&mut tx, account).await?;
        let said = json!({"amount": new.amount, "reason": reason, "refund": new.id});
        tx.commit(Line::new(Operation::PaymentRefund, new.payment, name, None, Some(said)).of(account)).await?;
        Ok(AskedRefund { id: new.id, account, intent, minor, is_taken: false })
    }
}

/// How much of a payment it is, in the currency's smallest unit.
pub(super) fn minor_of(payment: &Payment, amount: Amount) -> Result<i64> {
    let minor = payment.currency.minor(amount).filter(|minor| *minor > 0);
    minor.ok_or_else(|| Error::invalid("amount", "write an amount above zero, in the currency's whole smallest units"))
}

/// No more goes back of a payment than is left of it.
pub(super) async fn expect_left(connection: &mut PgConnection, payment: &Payment, minor: i64) -> Result<()> {
    let left = left(connection, payment).await?;
    if minor <= left {
        return Ok(());
    }
    let most = payment.currency.amount(left).unwrap_or_default();
    Err(Error::invalid("amount", format!("write at most {most}, which is left of the payment")))
}

/// Writes a refund down, anew where it was refused: of what, how much and why; when it is asked for, and when it was taken.
pub(super) async fn insert_refund(
    connection: &mut PgConnection,
    account: AccountId,
    new: &NewRefund<'_>,
    (of, minor, reason): (&str, i64, &str),
    (asked_at, taken_at): (DateTime<Utc>, Option<DateTime<Utc>>),
) -> Result<()> {
    sqlx::query!(
        r#"
        insert into payment_refunds (account_id, refund_id, payment_id, intent, minor, reason, asked_by, asked_at, taken_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (account_id, refund_id) do update set
            reason = excluded.reason, asked_by = excluded.asked_by, asked_at = excluded.asked_at, refused = null, unknown_at = null
        "#,
        account.uuid(),
        new.id,
        new.payment.uuid(),
        of,
        minor,
        reason,
        new.actor,
        asked_at,
        taken_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A refund that was written down.
pub(super) struct Before {
    pub(super) payment: PaymentId,
    intent: String,
    pub(super) minor: i64,
    asked_at: DateTime<Utc>,
    taken_at: Option<DateTime<Utc>>,
    refused: Option<String>,
}

pub(super) async fn before(connection: &mut PgConnection, account: AccountId, id: Uuid) -> Result<Option<Before>> {
    let row = sqlx::query_as!(
        Before,
        r#"
        select payment_id as "payment: PaymentId", intent, minor, asked_at, taken_at, refused from payment_refunds
        where account_id = $1 and refund_id = $2
        "#,
        account.uuid(),
        id
    );
    Ok(row.fetch_optional(connection).await?)
}

/// What an operator reads of a refund that was asked for too long ago. Its id stands beside it at the provider, where it is looked for by that.
fn unknown(id: Uuid, sum: &Sum, asked_at: DateTime<Utc>) -> String {
    let at = asked_at.format("%Y-%m-%d %H:%M");
    format!("a refund of {sum} was asked for on {at} UTC, and it is not known whether Stripe did it: look there for farebox_refund {id}")
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
    /// Refunds that were asked for so long ago at least, and of which the provider has not said that it took or refuses them, oldest first. In the same words
    /// they are the same refunds, for as long as the provider knows these: none older than that is among them.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn refunds_to_ask(&self, asked_for: TimeDelta) -> Result<Vec<AskedRefund>> {
        let mut connection = self.database.read().await?;
        let now = self.database.dated.unwrap_or(crate::clock(&mut connection).await?);
        let rows = sqlx::query!(
            r#"
            select account_id as "account: AccountId", refund_id, intent, minor from payment_refunds
            where taken_at is null and refused is null and asked_at > $1 and asked_at <= $2
            order by asked_at, refund_id limit $3
            "#,
            now - ASKED_AGAIN_FOR,
            now - asked_for,
            TOGETHER_MAX
        );
        let rows = rows.fetch_all(&mut *connection).await?.into_iter();
        let asked =
            rows.map(|row| AskedRefund { id: row.refund_id, account: row.account, intent: row.intent, minor: row.minor, is_taken: false });
        Ok(asked.collect())
    }

    /// Leaves to an operator, once, every refund that must not be asked for any more and of which it is not known whether the provider did it. Returns the
    /// payments.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn give_up_refunds(&self) -> Result<Vec<PaymentId>> {
        let mut connection = self.database.read().await?;
        let now = self.database.dated.unwrap_or(crate::clock(&mut connection).await?);
        let rows = sqlx::query!(
            r#"
            select account_id as "account: AccountId", refund_id, payment_id as "payment: PaymentId", minor, asked_at from payment_refunds
            where taken_at is null and refused is null and unknown_at is null and asked_at <= $1
            order by asked_at, refund_id limit $2
            "#,
            now - ASKED_AGAIN_FOR,
            TOGETHER_MAX
        );
        let rows = rows.fetch_all(&mut *connection).await?;
        drop(connection);
        let mut given_up = Vec::new();
        for row in rows {
            let mut tx = self.database.write().await?;
            let mut books = Books::lock(&mut tx, &[row.account], Lock::Wait, self.database.dated).await?;
            let now = books.of(row.account)?.now();
            let noted = sqlx::query!(
                r#"
                update payment_refunds set unknown_at = $3
                where account_id = $1 and refund_id = $2 and taken_at is null and refused is null and unknown_at is null and asked_at = $4
                "#,
                row.account.uuid(),
                row.refund_id,
                now,
                row.asked_at
            );
            if noted.execute(&mut *tx).await?.rows_affected() == 0 {
                continue;
            }
            let payment = read(&mut tx, row.account, row.payment).await?.ok_or(Error::NotFound)?;
            let sum = Sum { minor: row.minor, currency: payment.currency.code().to_owned() };
            hold(&mut tx, &payment, &unknown(row.refund_id, &sum, row.asked_at), now).await?;
            tx.commit().await?;
            given_up.push(row.payment);
        }
        Ok(given_up)
    }

    /// Notes that the provider has taken it: it is not asked again.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn note_taken_refund(&self, refund: &AskedRefund) -> Result<()> {
        let mut tx = self.database.write().await?;
        let now = self.database.dated.unwrap_or(crate::clock(&mut tx).await?);
        sqlx::query!(
            "update payment_refunds set taken_at = coalesce(taken_at, $3), refused = null where account_id = $1 and refund_id = $2",
            refund.account.uuid(),
            refund.id,
            now
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Notes that the provider does not do it, and why: so much is left again. What it has said that it took stays taken.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn note_refused_refund(&self, refund: &AskedRefund, why: &str) -> Result<()> {
        let mut tx = self.database.write().await?;
        sqlx::query!(
            "update payment_refunds set refused = $3 where account_id = $1 and refund_id = $2 and taken_at is null",
            refund.account.uuid(),
            refund.id,
            why
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}
