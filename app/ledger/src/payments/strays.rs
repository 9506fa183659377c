//! What was paid, and names no payment of ours.

use domain::{
    audit::Operation,
    payment::{StrayPayment, Sum},
};
use serde_json::json;
use sqlx::PgConnection;

use super::queue::reason;
use crate::{Error, Operator, Result, System, audit::Line};

impl System {
    /// Writes down something that was paid and is nobody's, for an operator. The same again changes nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn note_stray(&self, reference: &str, sum: &Sum) -> Result<()> {
        let mut tx = self.database.write().await?;
        sqlx::query!(
            "insert into stray_payments (reference, minor, currency, heard_at) values ($1, $2, $3, clock_timestamp()) on conflict do nothing",
            reference,
            sum.minor,
            sum.currency
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}

impl Operator {
    /// What was paid, is nobody's, and was not dismissed, newest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn stray_payments(&self, most: i64) -> Result<Vec<StrayPayment>> {
        let rows = sqlx::query!(
            "select reference, minor, currency, heard_at from stray_payments where dismissed_at is null order by heard_at desc, reference limit $1",
            most
        );
        let rows = rows.fetch_all(&mut *self.database.read().await?).await?;
        let strays = rows.into_iter().map(|row| StrayPayment {
            reference: row.reference,
            sum: Sum { minor: row.minor, currency: row.currency },
            heard_at: row.heard_at,
        });
        Ok(strays.collect())
    }

    /// One of these.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for what was dismissed.
    pub async fn stray_payment(&self, reference: &str) -> Result<StrayPayment> {
        let row = sqlx::query!(
            "select reference, minor, currency, heard_at from stray_payments where reference = $1 and dismissed_at is null",
            reference
        );
        let row = row.fetch_optional(&mut *self.database.read().await?).await?.ok_or(Error::NotFound)?;
        Ok(StrayPayment { reference: row.reference, sum: Sum { minor: row.minor, currency: row.currency }, heard_at: row.heard_at })
    }

    /// How many of these there are.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn strays_to_look_at(&self) -> Result<i64> {
        how_many(&mut *self.database.read().await?).await
    }

    /// Says that it needs nothing more: it was credited by hand, or paid back.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for what was dismissed before; [`Error::Invalid`] for a missing reason.
    pub async fn dismiss_stray(&self, reference: &str, why: &str) -> Result<()> {
        let reason = reason(why)?;
        let mut tx = self.database.change().await?;
        let dismissed = sqlx::query!(
            "update stray_payments set dismissed_at = clock_timestamp() where reference = $1 and dismissed_at is null",
            reference
        );
        if dismissed.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(Error::NotFound);
        }
        let (before, after) = (json!({"dismissed": false}), json!({"dismissed": true, "reason": reason}));
        tx.commit(Line::new(Operation::PaymentDismiss, reference, reference, Some(before), Some(after))).await
    }
}

/// How many wait for an operator.
pub(super) async fn how_many(connection: &mut PgConnection) -> Result<i64> {
    let count = sqlx::query_scalar!(r#"select count(*) as "count!" from stray_payments where dismissed_at is null"#);
    Ok(count.fetch_one(connection).await?)
}
