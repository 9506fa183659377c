//! Prices that one customer has agreed on: written against what their writer saw, as everyone's are, and ended while their end lies ahead.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    catalog::{PriceKind, PriceVersion},
    id::{AccountId, ModelId, PriceId},
    own_price::{self, OwnPrice},
    price_change::PriceChange,
    price_history::{LEAD_MIN, PriceHistory},
    pricing::Discount,
    rates::Rates,
    service_tier::ServiceTier,
};
use serde_json::{Value, json};
use sqlx::{PgConnection, types::Json};

use super::{OWN_VERSION, own_seal, price_history, publish::hold};
use crate::{AccountReader, Error, Operator, Result, audit::Line, catalog::PriceRow, encoding};

/// A price of one customer's own to be written.
#[derive(Debug, Clone)]
pub struct NewOwnPrice<'a> {
    /// Its id. The same id again is the same request.
    pub id: PriceId,
    /// Whose.
    pub account: AccountId,
    /// The model's public name.
    pub model: &'a str,
    /// The rates.
    pub rates: Rates,
    /// From when on.
    pub effective_from: DateTime<Utc>,
    /// Who writes it.
    pub actor: &'a str,
    /// When it is written.
    pub now: DateTime<Utc>,
}

/// What the writer of an own price had seen, and agreed to.
#[derive(Debug, Clone, Copy)]
pub struct OwnReview<'a> {
    /// [`own_price::revision`] of the customer's versions for the model as they were read.
    pub revision: i64,
    /// As [`super::Review::named`].
    pub named: Option<&'a str>,
}

impl AccountReader {
    /// The account's own prices, by model, the last to begin first; those that were taken back and those that are over included.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn own_prices(&self) -> Result<Vec<OwnPrice>> {
        stored(&mut *self.database.read().await?, Whose::Account(self.account), None).await
    }
}

impl Operator {
    /// The own prices of an account: see [`AccountReader::own_prices`].
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn own_prices(&self, account: AccountId) -> Result<Vec<OwnPrice>> {
        stored(&mut *self.database.read().await?, Whose::Account(account), None).await
    }

    /// What is taken off everyone's prices for an account: the better one of its own discount and its plan's.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn discount(&self, account: AccountId) -> Result<Discount> {
        discount(&mut *self.database.read().await?, account).await
    }

    /// Writes a price of one customer's own, which begins later. The same price again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown account or model; [`Error::PriceMoved`] if the customer's price of the model was written to since it was read;
    /// [`Error::PriceNotAgreed`] for a leap or a loss that nobody agreed to; [`Error::PriceTooSoon`] with less than [`LEAD_MIN`]; [`Error::Invalid`] for
    /// rates that cannot be; [`Error::Taken`] where another one begins at that very instant.
    pub async fn set_own_price(&self, new: NewOwnPrice<'_>, review: OwnReview<'_>) -> Result<()> {
        new.rates.validate().map_err(|error| Error::invalid("price", error.to_string()))?;
        let mut tx = self.database.change().await?;
        let model = hold(&mut tx, new.model).await?;
        let customer = sqlx::query_scalar!("select name from accounts where account_id = $1", new.account.uuid());
        let customer = customer.fetch_optional(&mut *tx).await?.ok_or(Error::NotFound)?;
        let own = stored(&mut tx, Whose::Account(new.account), Some(model)).await?;
        if own.iter().any(|own| own.version.id == new.id) {
            return Ok(());
        }
        if own_price::revision(&own) != review.revision {
            return Err(Error::PriceMoved);
        }
        if new.effective_from < new.now + LEAD_MIN {
            return Err(Error::PriceTooSoon);
        }
        let everyones = price_history(&mut tx, model, ServiceTier::Default).await?;
        let discount = discount(&mut tx, new.account).await?;
        let [paid, cost] = own_price::sides(&own, &everyones, discount, new.effective_from);
        if !PriceChange::of(PriceKind::Sale, paid.as_ref(), &new.rates, cost.as_ref()).is_agreed(new.model, review.named) {
            return Err(Error::PriceNotAgreed);
        }
        let version = PriceVersion {
            id: new.id,
            model_id: model,
            kind: PriceKind::Sale,
            service_tier: ServiceTier::Default,
            effective_from: new.effective_from,
            rates: new.rates.clone(),
            created_at: new.now,
            created_by: new.actor.to_owned(),
        };
        insert(&mut tx, &version, new.account).await?;
        let before = own_price::in_force(&own, new.effective_from).map(in_words);
        let after = json!({"customer": customer, "from": new.effective_from, "rates": new.rates});
        tx.commit(Line::new(Operation::OwnPriceSet, new.id, new.model, before, Some(after)).of(new.account)).await
    }

    /// Ends an own price: one that has begun at this instant or in [`LEAD_MIN`], whichever is later; one that has not never begins. One that is over stays as
    /// it is, and the same again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the account has no such price; [`Error::Invalid`] if another one has taken its place.
    pub async fn end_own_price(
        &self,
        account: AccountId,
        price: PriceId,
        at: DateTime<Utc>,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let mut tx = self.database.change().await?;
        let of_account = |own: Vec<OwnPrice>| own.into_iter().find(|own| own.version.id == price);
        let found = of_account(stored(&mut tx, Whose::Account(account), None).await?).ok_or(Error::NotFound)?;
        let model = hold(&mut tx, &found.model).await?;
        // As it is now that nobody else writes.
        let all = stored(&mut tx, Whose::Account(account), Some(model)).await?;
        let over_at = all.iter().find(|own| own.version.id == price).and_then(|own| own_price::over_at(own, &all));
        let before = of_account(all).ok_or(Error::NotFound)?;
        if before.withdrawn_at.is_some() || before.ends_at.is_some_and(|end| end <= now + LEAD_MIN) {
            return Ok(());
        }
        if over_at.is_some_and(|over_at| over_at <= now + LEAD_MIN) {
            return Err(Error::invalid("price", "another price of this customer has taken its place: end that one"));
        }
        let is_ahead = !PriceHistory::is_settled(&before.version, now);
        let ends_at = at.max(now + LEAD_MIN);
        if is_ahead {
            sqlx::query!("update price_versions set withdrawn_at = $2, withdrawn_by = $3 where price_id = $1", price.uuid(), now, actor)
                .execute(&mut *tx)
                .await?;
        } else {
            // It may begin within the lead: it ends later than that.
            sqlx::query!("update price_versions set ends_at = $2 where price_id = $1", price.uuid(), ends_at).execute(&mut *tx).await?;
        }
        let after = if is_ahead { json!({"withdrawn": now}) } else { json!({"ends": ends_at}) };
        tx.commit(Line::new(Operation::OwnPriceEnd, price, &before.model, Some(in_words(&before)), Some(after)).of(account)).await
    }
}

async fn discount(connection: &mut PgConnection, account: AccountId) -> Result<Discount> {
    let bps = sqlx::query_scalar!(
        r#"
        select greatest(a.discount_bps, (
            select v.discount_bps from subscriptions s join plan_versions v using (plan_id, version)
            where s.account_id = $1 and s.ended_at is null and s.unpaid_since is null
        )) as "bps!"
        from accounts a where a.account_id = $1
        "#,
        account.uuid()
    );
    let bps = bps.fetch_optional(connection).await?.ok_or(Error::NotFound)?;
    Discount::from_bps(bps).map_err(|error| Error::Corrupt(error.to_string()))
}

fn in_words(own: &OwnPrice) -> Value {
    json!({"from": own.version.effective_from, "ends": own.ends_at, "rates": own.version.rates})
}

async fn insert(connection: &mut PgConnection, version: &PriceVersion, account: AccountId) -> Result<()> {
    let insert = sqlx::query!(
        r#"
        insert into price_versions (price_id, model_id, kind, effective_from, rates, created_at, created_by, seal, account_id)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
        version.id.uuid(),
        version.model_id.uuid(),
        version.kind as PriceKind,
        version.effective_from,
        Json(&version.rates) as _,
        version.created_at,
        version.created_by,
        &own_seal(version, account)[..],
        account.uuid()
    );
    insert.execute(connection).await?;
    Ok(())
}

/// Whose own prices are read.
#[derive(Clone, Copy)]
enum Whose {
    Account(AccountId),
    /// Everybody's that calls may still be charged by that are admitted from this instant on.
    Since(DateTime<Utc>),
}

/// An own price as it is stored.
struct Stored {
    model_id: ModelId,
    account: AccountId,
    /// `None` if it cannot be read, which the operator is told.
    price: Option<OwnPrice>,
}

/// Own prices by model, the last to begin first. One that cannot be read is left out.
async fn stored(connection: &mut PgConnection, whose: Whose, model: Option<ModelId>) -> Result<Vec<OwnPrice>> {
    Ok(rows(connection, whose, model).await?.into_iter().filter_map(|stored| stored.price).collect())
}

async fn rows(connection: &mut PgConnection, whose: Whose, model: Option<ModelId>) -> Result<Vec<Stored>> {
    let (account, since) = match whose {
        Whose::Account(account) => (Some(account), None),
        Whose::Since(since) => (None, Some(since)),
    };
    let rows = sqlx::query!(
        r#"
        select
            price_id as "id: PriceId", model_id as "model_id: ModelId", kind as "kind: PriceKind", service_tier as "service_tier: ServiceTier",
            effective_from, rates as "rates: Json<serde_json::Value>", v.created_at, created_by, account_id as "account!: AccountId", ends_at, withdrawn_at, m.name as model
        from price_versions v join models m using (model_id)
        where account_id is not null and ($1::uuid is null or account_id = $1) and ($2::uuid is null or model_id = $2)
        -- What has ended is charged to nobody, and what it had taken the place of does not come back.
        and ($3::timestamptz is null or withdrawn_at is null and (ends_at is null or ends_at > $3) and effective_from >= coalesce(
            (
                select max(effective_from) from price_versions o
                where o.account_id = v.account_id and o.model_id = v.model_id and o.withdrawn_at is null and o.effective_from <= $3
            ),
            '-infinity'
        ))
        order by m.name, effective_from desc, v.created_at desc
        "#,
        account.map(AccountId::uuid),
        model.map(ModelId::uuid),
        since
    );
    let rows = rows.fetch_all(connection).await?.into_iter().map(|row| {
        let version = PriceRow {
            id: row.id,
            model_id: row.model_id,
            kind: row.kind,
            service_tier: row.service_tier,
            effective_from: row.effective_from,
            rates: row.rates,
            created_at: row.created_at,
            created_by: row.created_by,
        };
        let price = version.readable().map(|version| OwnPrice {
            version,
            model: row.model,
            account: row.account,
            ends_at: row.ends_at,
            withdrawn_at: row.withdrawn_at,
        });
        Stored { model_id: row.model_id, account: row.account, price }
    });
    Ok(rows.collect())
}

/// What one customer pays for one model, as far as calls may still be charged by it; `None` if something of that cannot be read: it costs them what nobody
/// knows, and not what everyone pays.
pub type OwnPrices = Option<Vec<OwnPrice>>;

/// Own prices by model and account, as far as calls may still be charged by them that are admitted from this instant on.
pub(crate) async fn own_since(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<HashMap<ModelId, HashMap<AccountId, OwnPrices>>> {
    let mut by_model: HashMap<_, HashMap<_, OwnPrices>> = HashMap::new();
    for Stored { model_id, account, price } in rows(connection, Whose::Since(since), None).await? {
        let own = by_model.entry(model_id).or_default().entry(account).or_insert_with(|| Some(Vec::new()));
        match price {
            Some(price) => own.iter_mut().for_each(|own| own.push(price.clone())),
            None => *own = None,
        }
    }
    Ok(by_model)
}

/// Whether this is the own price that was sealed so. `None` if a later version of Farebox sealed it.
pub(crate) fn own_fits(price: &PriceVersion, account: AccountId, seal: &[u8]) -> Option<bool> {
    encoding::fits(seal, |version| (version == OWN_VERSION).then(|| super::own_digest(price, account)))
}
