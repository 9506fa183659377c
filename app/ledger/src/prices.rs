//! Prices: immutable versions, in force from an instant on.

mod own;
mod publish;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    catalog::{PriceKind, PriceVersion, PricedModel, PricedTier},
    id::{AccountId, ModelId, PriceId},
    money::Amount,
    price_history::{PriceHistory, Withdrawal},
    rates::{BucketRates, Rates},
    service_tier::ServiceTier,
};
use serde_json::{Value, json};
use sqlx::{PgConnection, types::Json};

pub(crate) use self::own::{own_fits, own_since};
pub use self::{
    own::{NewOwnPrice, OwnPrices, OwnReview},
    publish::Review,
};
use crate::{
    Error, Ledger, Meter, Operator, Result, System,
    audit::Line,
    catalog::{PriceRow, current_and_scheduled, disabled_models, models},
    encoding::{self, Encoding, Seal},
};

/// A price to be written.
#[derive(Debug, Clone)]
pub struct NewPrice<'a> {
    /// Its id. The same id again is the same request.
    pub id: PriceId,
    /// The model's public name.
    pub model: &'a str,
    /// Which side.
    pub kind: PriceKind,
    /// At which service tier.
    pub service_tier: ServiceTier,
    /// The rates.
    pub rates: Rates,
    /// From when on.
    pub effective_from: DateTime<Utc>,
    /// Who writes it.
    pub actor: &'a str,
    /// When it is written.
    pub now: DateTime<Utc>,
}

impl Ledger {
    /// What customers pay: every model that can be called and has a sale price in force or scheduled. Costs are nobody's business here.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn price_list(&self, now: DateTime<Utc>) -> Result<Vec<PricedModel>> {
        let connection = &mut *self.database.read().await?;
        let disabled = disabled_models(connection).await?;
        let models = priced_models(connection, now).await?.into_iter().filter(|priced| !disabled.contains(&priced.model.id));
        let public = models.filter(|model| model.sale.is_some() || !model.scheduled.is_empty());
        Ok(public.map(without_costs).collect())
    }
}

impl Operator {
    /// Every model with both sides of its price.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn priced_models(&self, now: DateTime<Utc>) -> Result<Vec<PricedModel>> {
        priced_models(&mut *self.database.read().await?, now).await
    }

    /// Every price that a model ever had at a service tier, will have, or was to have.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown model.
    pub async fn price_history(&self, model: &str, service_tier: ServiceTier) -> Result<PriceHistory> {
        Ok(of_tier(histories_of(&mut *self.database.read().await?, model).await?, service_tier))
    }
}

impl Meter {
    /// The price version of this id, whenever it was in force.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn price(&self, id: PriceId) -> Result<PriceVersion> {
        let row = sqlx::query_as!(
            PriceRow,
            r#"
            select
                price_id as "id: PriceId", model_id as "model_id: ModelId", kind as "kind: PriceKind",
                service_tier as "service_tier: ServiceTier", effective_from, rates as "rates: Json<serde_json::Value>", created_at, created_by
            from price_versions
            where price_id = $1
            "#,
            id.uuid()
        )
        .fetch_optional(&mut *self.database.read().await?)
        .await?;
        row.ok_or(Error::NotFound)?.try_into()
    }
}

impl System {
    /// Writes a price that began before it was written: the first one of a model that nobody could call until now, or history that comes
    /// from elsewhere. Calls keep the version that they were admitted under.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown model, [`Error::Invalid`] for rates that cannot be, [`Error::Taken`] when a version begins at that
    /// very instant.
    pub async fn import_price(&self, new: NewPrice<'_>) -> Result<()> {
        let mut tx = self.database.change().await?;
        match insert_in(&mut tx, &new).await? {
            Some(line) => tx.commit(line).await,
            None => Ok(()),
        }
    }
}

fn expect_valid(new: &NewPrice<'_>) -> Result<()> {
    new.rates.validate().map_err(|error| Error::invalid("price", error.to_string()))
}

/// Writes a price in a transaction that may write others too. Returns its line for the log; the same request again writes no second version.
pub(crate) async fn insert_in(connection: &mut PgConnection, new: &NewPrice<'_>) -> Result<Option<Line>> {
    expect_valid(new)?;
    let model = model_id(connection, new.model).await?;
    let version = PriceVersion {
        id: new.id,
        model_id: model,
        kind: new.kind,
        service_tier: new.service_tier,
        effective_from: new.effective_from,
        rates: new.rates.clone(),
        created_at: new.now,
        created_by: new.actor.to_owned(),
    };
    let before = followed(connection, &version).await?;
    let inserted = sqlx::query!(
        r#"
        insert into price_versions (price_id, model_id, kind, service_tier, effective_from, rates, created_at, created_by, seal)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (price_id) do nothing
        "#,
        new.id.uuid(),
        model.uuid(),
        new.kind as PriceKind,
        new.service_tier as ServiceTier,
        new.effective_from,
        Json(&new.rates) as _,
        new.now,
        new.actor,
        &seal(&version)[..]
    )
    .execute(connection)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(None);
    }
    let after = in_words((new.kind, new.service_tier), json!({"from": new.effective_from, "rates": new.rates}));
    Ok(Some(Line::new(Operation::PriceSet, new.id, new.model, before, Some(after))))
}

/// What the audit log says of a version: its side, its service tier unless that is the default, and this.
fn in_words((kind, service_tier): (PriceKind, ServiceTier), mut said: Value) -> Value {
    said["kind"] = json!(kind.name());
    if let Some(tier) = service_tier.other() {
        said["service_tier"] = json!(tier.name());
    }
    said
}

/// The version that another one follows, as the audit log has it.
async fn followed(connection: &mut PgConnection, next: &PriceVersion) -> Result<Option<Value>> {
    let before = sqlx::query!(
        r#"
        select effective_from, rates as "rates: Json<Value>" from price_versions
        where model_id = $1 and kind = $2 and service_tier = $3 and effective_from < $4 and withdrawn_at is null and account_id is null
        order by effective_from desc limit 1
        "#,
        next.model_id.uuid(),
        next.kind as PriceKind,
        next.service_tier as ServiceTier,
        next.effective_from
    );
    let before = before.fetch_optional(connection).await?;
    Ok(before.map(|row| in_words((next.kind, next.service_tier), json!({"from": row.effective_from, "rates": row.rates.0}))))
}

/// What the model of this name costs everyone, at each service tier that ever had a price.
pub(crate) async fn histories_of(connection: &mut PgConnection, model: &str) -> Result<HashMap<ServiceTier, PriceHistory>> {
    let model = model_id(connection, model).await?;
    histories(connection, model).await
}

async fn histories(connection: &mut PgConnection, model: ModelId) -> Result<HashMap<ServiceTier, PriceHistory>> {
    let mut histories: HashMap<_, PriceHistory> = HashMap::new();
    for (row, withdrawal) in rows(connection, Some(model)).await?.into_iter().rev() {
        if let Some(version) = row.readable() {
            let history = histories.entry(version.service_tier).or_default();
            history.versions.push(version);
            history.withdrawn.extend(withdrawal);
        }
    }
    Ok(histories)
}

async fn price_history(connection: &mut PgConnection, model: ModelId, service_tier: ServiceTier) -> Result<PriceHistory> {
    Ok(of_tier(histories(connection, model).await?, service_tier))
}

fn of_tier(mut histories: HashMap<ServiceTier, PriceHistory>, service_tier: ServiceTier) -> PriceHistory {
    let history = histories.remove(&service_tier).unwrap_or_default();
    let default = histories.get(&ServiceTier::Default).into_iter();
    let default_costs = default.flat_map(|default| default.standing(PriceKind::Cost)).cloned().collect();
    PriceHistory { default_costs, ..history }
}

/// Every version of what everyone pays for a model, or for all models, and of what that costs, the first to begin first, and which of them were withdrawn.
pub(crate) async fn rows(connection: &mut PgConnection, model: Option<ModelId>) -> Result<Vec<(PriceRow, Option<Withdrawal>)>> {
    let rows = sqlx::query!(
        r#"
        select
            price_id as "id: PriceId", model_id as "model_id: ModelId", kind as "kind: PriceKind", service_tier as "service_tier: ServiceTier",
            effective_from, rates as "rates: Json<serde_json::Value>", created_at, created_by, withdrawn_at, withdrawn_by
        from price_versions
        where account_id is null and ($1::uuid is null or model_id = $1)
        order by effective_from, kind, created_at
        "#,
        model.map(ModelId::uuid)
    );
    let rows = rows.fetch_all(connection).await?.into_iter().map(|row| {
        let withdrawal = row.withdrawn_at.zip(row.withdrawn_by).map(|(at, by)| Withdrawal { price: row.id, at, by });
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
        (version, withdrawal)
    });
    Ok(rows.collect())
}

/// The newest encoding, by which prices are sealed.
const VERSION: u8 = 1;

/// The seal to write a price under: a version, and the SHA-256 of every column in an encoding like that of calls.
fn seal(price: &PriceVersion) -> Seal {
    encoding::seal(VERSION, digest_1(price))
}

/// Whether this is the price that was sealed so. `None` if a later version of Farebox sealed it.
pub(crate) fn fits(price: &PriceVersion, seal: &[u8]) -> Option<bool> {
    encoding::fits(seal, |version| (version == VERSION).then(|| digest_1(price)))
}

/// The newest encoding, by which customers' own prices are sealed.
const OWN_VERSION: u8 = 1;

fn own_seal(price: &PriceVersion, account: AccountId) -> Seal {
    encoding::seal(OWN_VERSION, own_digest(price, account))
}

fn own_digest(price: &PriceVersion, account: AccountId) -> [u8; 32] {
    let mut row = Encoding::new(b"farebox own price 1");
    row.id(account.uuid());
    price_columns(&mut row, price);
    row.digest()
}

/// Prices of service tiers seal by words of their own: the encoding of the default's is older.
fn digest_1(version: &PriceVersion) -> [u8; 32] {
    let mut row = match version.service_tier.other() {
        None => Encoding::new(b"farebox price 1"),
        Some(tier) => {
            let mut row = Encoding::new(b"farebox service tier price 1");
            row.text(tier.name());
            row
        }
    };
    price_columns(&mut row, version);
    row.digest()
}

fn price_columns(row: &mut Encoding, version: &PriceVersion) {
    fn rates_of(row: &mut Encoding, rates: &BucketRates) {
        let BucketRates { input, output, cache_read, cache_write_5m, cache_write_1h, reasoning, audio_input, audio_output } = rates;
        row.number(input.nanos());
        row.number(output.nanos());
        for rate in [cache_read, cache_write_5m, cache_write_1h, reasoning, audio_input, audio_output] {
            row.maybe(rate.map(Amount::nanos), Encoding::number);
        }
    }
    row.id(version.id.uuid());
    row.id(version.model_id.uuid());
    row.text(version.kind.name());
    row.instant(version.effective_from);
    rates_of(row, &version.rates.base);
    row.number(version.rates.per_call.nanos());
    row.number(version.rates.tiers.len() as i64);
    for tier in &version.rates.tiers {
        row.number(tier.from_prompt_tokens.get());
        rates_of(row, &tier.rates);
    }
    row.instant(version.created_at);
    row.text(&version.created_by);
}

async fn model_id(connection: &mut PgConnection, name: &str) -> Result<ModelId> {
    sqlx::query_scalar!(r#"select model_id as "model_id: ModelId" from models where name = $1"#, name)
        .fetch_optional(connection)
        .await?
        .ok_or(Error::NotFound)
}

async fn priced_models(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<PricedModel>> {
    let mut sale = by_model_and_tier(current_and_scheduled(connection, PriceKind::Sale, now).await?);
    let mut cost = by_model_and_tier(current_and_scheduled(connection, PriceKind::Cost, now).await?);
    let priced = models(connection).await?.into_iter().map(|model| {
        let mut at = |service_tier| {
            let of_sale = sale.remove(&(model.id, service_tier)).unwrap_or_default();
            let of_cost = cost.remove(&(model.id, service_tier)).unwrap_or_default();
            let (in_force, scheduled): (Vec<_>, Vec<_>) = of_sale.into_iter().partition(|version| version.effective_from <= now);
            let cost = of_cost.into_iter().rfind(|version| version.effective_from <= now);
            PricedTier { service_tier, sale: in_force.into_iter().next_back(), cost, scheduled }
        };
        let PricedTier { sale, cost, scheduled, .. } = at(ServiceTier::Default);
        let is_priced = |tier: &PricedTier| tier.sale.is_some() || tier.cost.is_some() || !tier.scheduled.is_empty();
        let service_tiers = ServiceTier::OTHERS.into_iter().map(at).filter(is_priced).collect();
        PricedModel { model, sale, cost, scheduled, service_tiers }
    });
    Ok(priced.collect())
}

fn by_model_and_tier(versions: Vec<PriceVersion>) -> HashMap<(ModelId, ServiceTier), Vec<PriceVersion>> {
    let mut by: HashMap<_, Vec<_>> = HashMap::new();
    for version in versions {
        by.entry((version.model_id, version.service_tier)).or_default().push(version);
    }
    by
}

/// As customers see it.
fn without_costs(priced: PricedModel) -> PricedModel {
    let tiers = priced.service_tiers.into_iter().map(|tier| PricedTier { cost: None, ..tier });
    let service_tiers = tiers.filter(|tier| tier.sale.is_some() || !tier.scheduled.is_empty()).collect();
    PricedModel { cost: None, service_tiers, ..priced }
}
