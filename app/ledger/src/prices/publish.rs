//! A price is written against what its writer saw of the model's others, and one that has not begun can be taken back.
//!
//! Both hold the model's row while they look at its versions: what two operators do at once is done one after the other, and the second one is told.

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    id::{ModelId, PriceId},
    price_change::PriceChange,
    price_history::{LEAD_MIN, PriceHistory},
    service_tier::ServiceTier,
};
use serde_json::json;
use sqlx::PgConnection;

use super::{NewPrice, expect_valid, in_words, insert_in, price_history};
use crate::{Error, Operator, Result, audit::Line};

/// What the writer of a price had seen, and agreed to.
#[derive(Debug, Clone, Copy)]
pub struct Review<'a> {
    /// [`PriceHistory::revision`] of the side of the service tier as it was read.
    pub revision: i64,
    /// The model's name, if the writer wrote it: that agrees to a change which [`PriceChange`] asks about.
    pub named: Option<&'a str>,
}

impl Operator {
    /// Writes a price that begins later; the first one of a side may begin at any instant, since nobody was ever charged by one that did not exist. The
    /// same price again changes nothing, whatever was written since.
    ///
    /// # Errors
    /// [`Error::PriceMoved`] if the side was written to since it was read, [`Error::PriceNotAgreed`] for a leap or a loss that nobody agreed to,
    /// [`Error::PriceTooSoon`] with less than [`LEAD_MIN`], else as [`crate::System::import_price`].
    pub async fn publish_price(&self, new: NewPrice<'_>, review: Review<'_>) -> Result<()> {
        expect_valid(&new)?;
        let mut tx = self.database.change().await?;
        let model = hold(&mut tx, new.model).await?;
        let history = price_history(&mut tx, model, new.service_tier).await?;
        if history.version(new.id).is_some() {
            return Ok(());
        }
        expect_reviewed(&history, &new, review)?;
        match insert_in(&mut tx, &new).await? {
            Some(line) => tx.commit(line).await,
            None => Ok(()),
        }
    }

    /// Takes a version back before it begins. The same again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the model has no such version at this service tier, [`Error::PriceTooSoon`] if it has begun or does within [`LEAD_MIN`].
    pub async fn withdraw_price(
        &self,
        (name, service_tier): (&str, ServiceTier),
        price: PriceId,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let mut tx = self.database.change().await?;
        let model = hold(&mut tx, name).await?;
        let history = price_history(&mut tx, model, service_tier).await?;
        let version = history.version(price).ok_or(Error::NotFound)?;
        if history.withdrawal(price).is_some() {
            return Ok(());
        }
        if PriceHistory::is_settled(version, now) {
            return Err(Error::PriceTooSoon);
        }
        sqlx::query!(
            "update price_versions set withdrawn_at = $2, withdrawn_by = $3 where price_id = $1 and withdrawn_at is null",
            price.uuid(),
            now,
            actor
        )
        .execute(&mut *tx)
        .await?;
        let side = (version.kind, version.service_tier);
        let before = in_words(side, json!({"from": version.effective_from, "rates": version.rates}));
        let after = in_words(side, json!({"withdrawn": now}));
        tx.commit(Line::new(Operation::PriceWithdraw, price, name, Some(before), Some(after))).await
    }
}

fn expect_reviewed(history: &PriceHistory, new: &NewPrice<'_>, review: Review<'_>) -> Result<()> {
    if history.revision(new.kind) != review.revision {
        return Err(Error::PriceMoved);
    }
    let is_first = history.latest(new.kind).is_none();
    if !is_first && new.effective_from < new.now + LEAD_MIN {
        return Err(Error::PriceTooSoon);
    }
    let [old, beside] = [history.at(new.kind, new.effective_from), history.beside(new.kind, new.effective_from)];
    let change = PriceChange::of(new.kind, old.map(|version| &version.rates), &new.rates, beside.map(|version| &version.rates));
    if change.is_agreed(new.model, review.named) { Ok(()) } else { Err(Error::PriceNotAgreed) }
}

/// The model of this name, whose prices nobody else writes meanwhile.
pub(super) async fn hold(connection: &mut PgConnection, name: &str) -> Result<ModelId> {
    let model = sqlx::query_scalar!(r#"select model_id as "model_id: ModelId" from models where name = $1 for no key update"#, name);
    model.fetch_optional(connection).await?.ok_or(Error::NotFound)
}
