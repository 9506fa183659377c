//! Providers and models.

mod audited;
mod changes;
mod fallbacks;
mod named;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    catalog::{Api, DisconnectPolicy, Model, ModelBounds, OutputCapField, PriceKind, PriceVersion, Provider, TimeOuts, UsageMode},
    id::{AccountId, ModelId, PriceId, ProviderId},
    service_tier::ServiceTier,
    tokens::Tokens,
};
use sqlx::{PgConnection, types::Json};

use self::audited::{Thing, change};
pub use self::changes::{Disabled, ModelChange, ProviderChange};
pub(crate) use self::named::{expect_known, named};
use crate::{
    Error, Meter, Result, System,
    audit::Line,
    prices::{OwnPrices, own_since},
    secrets::SecretKey,
};

/// An upstream to be added.
#[derive(Debug, Clone)]
pub struct NewProvider<'a> {
    /// Its id.
    pub id: ProviderId,
    /// What operators call it.
    pub name: &'a str,
    /// Up to and including the version segment.
    pub base_url: &'a str,
    /// Its credential, sealed under the name as context; see [`SecretKey::seal`].
    pub credential: Option<Vec<u8>>,
    /// See [`UsageMode`].
    pub usage_mode: UsageMode,
    /// See [`DisconnectPolicy`].
    pub on_disconnect: DisconnectPolicy,
    /// Whether its address may be on a private network.
    pub allow_private: bool,
    /// See [`Provider::hide_cost`].
    pub hide_cost: bool,
    /// What it speaks; `None` for every API.
    pub apis: Option<&'a [Api]>,
    /// See [`TimeOuts`].
    pub time_outs: TimeOuts,
    /// When.
    pub now: DateTime<Utc>,
}

/// A model to be added.
#[derive(Debug, Clone)]
pub struct NewModel<'a> {
    /// Its id.
    pub id: ModelId,
    /// What customers call it.
    pub name: &'a str,
    /// The provider's name.
    pub provider: &'a str,
    /// What the provider calls it.
    pub upstream_name: &'a str,
    /// The most tokens that a prompt and its completion can have together.
    pub context_window: Tokens,
    /// Output tokens to hold when the client names no cap.
    pub default_output_hold: Tokens,
    /// See [`OutputCapField`].
    pub output_cap_field: OutputCapField,
    /// See [`ModelBounds`].
    pub bounds: ModelBounds,
    /// When.
    pub now: DateTime<Utc>,
}

/// An upstream with what opens it.
#[derive(Clone)]
pub struct Upstream {
    /// The provider.
    pub provider: Provider,
    /// Its credential in the clear. Never logged.
    pub credential: Option<String>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// A model with its sale prices, in force and scheduled, of every service tier, oldest first.
#[derive(Debug, Clone)]
pub struct CatalogModel {
    /// The model.
    pub model: Model,
    /// The same as each of its providers that are not disabled is asked for it, in order: there is one at least.
    pub routes: Vec<Model>,
    /// Its sale prices.
    pub sale: Vec<PriceVersion>,
    /// What it costs customers who have agreed on a price of their own, in force and scheduled.
    pub own: HashMap<AccountId, OwnPrices>,
}

/// Everything that the proxy looks up instead of asking the database.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// What PostgreSQL's clock said when it was read.
    pub clock: DateTime<Utc>,
    /// By id.
    pub providers: HashMap<ProviderId, Upstream>,
    /// The names of those whose credential does not open with this secret key.
    pub unopened: Vec<String>,
    /// By public name, without what is disabled.
    pub models: HashMap<String, CatalogModel>,
}

impl System {
    /// Adds a provider.
    ///
    /// # Errors
    /// [`Error::Taken`] for a name in use, [`Error::Invalid`] for time-outs that cannot be.
    pub async fn add_provider(&self, new: NewProvider<'_>) -> Result<()> {
        let apis = new.apis.map(names);
        let insert = sqlx::query!(
            r#"
            insert into providers (
                provider_id, name, base_url, credential, usage_mode, on_disconnect, allow_private, hide_cost, created_at, apis,
                connect_timeout_ms, first_byte_timeout_ms, idle_timeout_ms
            )
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            "#,
            new.id.uuid(),
            Error::one_line("name", new.name)?,
            new.base_url,
            new.credential,
            new.usage_mode as UsageMode,
            new.on_disconnect as DisconnectPolicy,
            new.allow_private,
            new.hide_cost,
            new.now,
            apis.as_deref(),
            new.time_outs.connect_ms,
            new.time_outs.first_byte_ms,
            new.time_outs.idle_ms
        );
        change(&self.database, (Operation::ProviderAdd, Thing::Provider, new.name.trim()), insert).await
    }

    /// Moves a provider to another address.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn set_provider_url(&self, name: &str, base_url: &str) -> Result<()> {
        let update = sqlx::query!("update providers set base_url = $2 where name = $1", name, base_url);
        change(&self.database, (Operation::ProviderChange, Thing::Provider, name), update).await
    }

    /// Every provider, by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn providers(&self) -> Result<Vec<Provider>> {
        Ok(stored_providers(&mut *self.database.read().await?).await?.into_iter().map(|(provider, _)| provider).collect())
    }

    /// Adds a model. It is refused to customers until it has a price.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown provider, [`Error::Taken`] for a name in use, [`Error::Invalid`] for numbers that cannot be.
    pub async fn add_model(&self, new: NewModel<'_>) -> Result<()> {
        let insert = sqlx::query!(
            r#"
            insert into models (
                model_id, name, provider_id, upstream_name, context_window, default_output_hold, output_cap_field, created_at,
                prompt_overhead, tools_overhead, picture_max, sound_max, pdf_max, output_min, reasoning_max
            )
            select $1, $2, provider_id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 from providers where name = $3
            "#,
            new.id.uuid(),
            Error::one_line("name", new.name)?,
            new.provider,
            new.upstream_name,
            new.context_window.get(),
            new.default_output_hold.get(),
            new.output_cap_field as OutputCapField,
            new.now,
            new.bounds.prompt_overhead.get(),
            new.bounds.tools_overhead.get(),
            new.bounds.picture_max.get(),
            new.bounds.sound_max.get(),
            new.bounds.pdf_max.map(Tokens::get),
            new.bounds.output_min.get(),
            new.bounds.reasoning_max.get()
        );
        change(&self.database, (Operation::ModelAdd, Thing::Model, new.name.trim()), insert).await
    }

    /// Lets these members of requests pass at a model, or no longer: see [`Model::opened`]. Returns all that pass now.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown model, [`Error::Invalid`] for a name that no member has.
    pub async fn open_members(&self, model: &str, opened: &[String], closed: &[String]) -> Result<Vec<String>> {
        let update = sqlx::query_scalar!(
            r#"
            update models
            set opened = array(select distinct name from unnest(opened || $2) name where name <> all ($3) order by name)
            where name = $1
            returning opened
            "#,
            model,
            opened,
            closed
        );
        self.open((Operation::ModelMembers, Thing::Model, model), opened, async |tx| Ok(update.fetch_optional(tx).await?)).await
    }

    /// The same at a provider, whichever of its models is called: see [`Provider::opened`].
    ///
    /// # Errors
    /// As [`Self::open_members`].
    pub async fn open_members_of_provider(&self, provider: &str, opened: &[String], closed: &[String]) -> Result<Vec<String>> {
        let update = sqlx::query_scalar!(
            r#"
            update providers
            set opened = array(select distinct name from unnest(opened || $2) name where name <> all ($3) order by name)
            where name = $1
            returning opened
            "#,
            provider,
            opened,
            closed
        );
        self.open((Operation::ProviderMembers, Thing::Provider, provider), opened, async |tx| Ok(update.fetch_optional(tx).await?)).await
    }

    async fn open(
        &self,
        (operation, thing, name): (Operation, Thing, &str),
        opened: &[String],
        update: impl AsyncFnOnce(&mut PgConnection) -> Result<Option<Vec<String>>>,
    ) -> Result<Vec<String>> {
        for name in opened {
            Error::one_line("member", name)?;
        }
        let mut tx = self.database.change().await?;
        let before = audited::state(&mut tx, thing, name).await?.map(|(_, state)| state);
        let now = update(&mut tx).await?.ok_or(Error::NotFound)?;
        let (id, after) = audited::state(&mut tx, thing, name).await?.ok_or(Error::NotFound)?;
        tx.commit(Line::new(operation, id, name, before, Some(after))).await?;
        Ok(now)
    }
}

impl Meter {
    /// Providers, models and sale prices, as of `now`.
    ///
    /// A provider whose credential does not open is left out and named apart: the others keep working.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Corrupt`] when a stored price means nothing.
    pub async fn catalog(&self, key: &SecretKey, now: DateTime<Utc>) -> Result<Catalog> {
        let connection = &mut *self.database.read().await?;
        let clock = crate::clock(connection).await?;
        let (mut providers, mut unopened) = (HashMap::new(), Vec::new());
        let mut opened = HashMap::new();
        for (provider, sealed) in stored_providers(connection).await? {
            opened.insert(provider.id, provider.opened.clone());
            match sealed.map(|sealed| key.open(&sealed, &provider.name)).transpose() {
                Ok(credential) => drop(providers.insert(provider.id, Upstream { provider, credential })),
                Err(_) => unopened.push(provider.name),
            }
        }
        let mut sale: HashMap<ModelId, Vec<PriceVersion>> = HashMap::new();
        for version in current_and_scheduled(connection, PriceKind::Sale, now).await? {
            sale.entry(version.model_id).or_default().push(version);
        }
        let mut own = own_since(connection, now).await?;
        let (disabled, disabled_providers) = (disabled_models(connection).await?, disabled_providers(connection).await?);
        let fallbacks = fallbacks::stored(connection).await?;
        let models = models(connection).await?.into_iter().filter(|model| !disabled.contains(&model.id)).map(|model| {
            let others = fallbacks.get(&model.id).map_or(&[][..], Vec::as_slice);
            let mut routes = fallbacks::routes(&model, disabled_providers.contains(&model.provider_id), others);
            for route in &mut routes {
                route.opened.extend(opened.get(&route.provider_id).into_iter().flatten().cloned());
            }
            let (sale, own) = (sale.remove(&model.id).unwrap_or_default(), own.remove(&model.id).unwrap_or_default());
            (model.name.clone(), CatalogModel { model, routes, sale, own })
        });
        Ok(Catalog { clock, providers, unopened, models: models.collect() })
    }
}

/// As they are stored.
fn names(apis: &[Api]) -> Vec<String> {
    apis.iter().map(|api| api.name().to_owned()).collect()
}

async fn stored_providers(connection: &mut PgConnection) -> Result<Vec<(Provider, Option<Vec<u8>>)>> {
    let rows = sqlx::query!(
        r#"
        select
            provider_id as "provider_id: ProviderId", name, base_url, credential,
            usage_mode as "usage_mode: UsageMode", on_disconnect as "on_disconnect: DisconnectPolicy", allow_private, hide_cost,
            opened, apis, connect_timeout_ms, first_byte_timeout_ms, idle_timeout_ms
        from providers
        order by name
        "#
    )
    .fetch_all(connection)
    .await?;
    let providers = rows.into_iter().map(|row| {
        let provider = Provider {
            id: row.provider_id,
            name: row.name,
            base_url: row.base_url,
            usage_mode: row.usage_mode,
            on_disconnect: row.on_disconnect,
            allow_private: row.allow_private,
            hide_cost: row.hide_cost,
            opened: row.opened,
            has_credential: row.credential.is_some(),
            // One that a later version knows is none that can be called here.
            apis: row.apis.map(|names| names.iter().filter_map(|name| Api::named(name)).collect()),
            time_outs: TimeOuts {
                connect_ms: row.connect_timeout_ms,
                first_byte_ms: row.first_byte_timeout_ms,
                idle_ms: row.idle_timeout_ms,
            },
        };
        (provider, row.credential)
    });
    Ok(providers.collect())
}

async fn disabled_providers(connection: &mut PgConnection) -> Result<HashSet<ProviderId>> {
    let disabled = sqlx::query_scalar!(r#"select provider_id as "provider_id: ProviderId" from providers where disabled_at is not null"#);
    Ok(disabled.fetch_all(connection).await?.into_iter().collect())
}

/// Models that an operator has disabled, by themselves or with all of their providers.
pub(crate) async fn disabled_models(connection: &mut PgConnection) -> Result<HashSet<ModelId>> {
    let disabled = sqlx::query_scalar!(
        r#"
        select model_id as "model_id: ModelId" from models m join providers p using (provider_id)
        where m.disabled_at is not null or p.disabled_at is not null and not exists (
            select from fallbacks f join providers o on o.provider_id = f.provider_id where f.model_id = m.model_id and o.disabled_at is null
        )
        "#
    );
    Ok(disabled.fetch_all(connection).await?.into_iter().collect())
}

pub(crate) async fn models(connection: &mut PgConnection) -> Result<Vec<Model>> {
    let rows = sqlx::query!(
        r#"
        select
            m.model_id as "id: ModelId", m.name, m.provider_id as "provider_id: ProviderId", p.name as provider, m.upstream_name,
            m.context_window as "context_window: Tokens", m.default_output_hold as "default_output_hold: Tokens",
            m.output_cap_field as "output_cap_field: OutputCapField", m.prompt_overhead as "prompt_overhead: Tokens",
            m.tools_overhead as "tools_overhead: Tokens", m.picture_max as "picture_max: Tokens", m.sound_max as "sound_max: Tokens",
            m.pdf_max as "pdf_max: Tokens", m.output_min as "output_min: Tokens", m.reasoning_max as "reasoning_max: Tokens", m.opened
        from models m
        join providers p using (provider_id)
        order by m.name
        "#
    )
    .fetch_all(connection)
    .await?;
    let models = rows.into_iter().map(|row| Model {
        id: row.id,
        name: row.name,
        provider_id: row.provider_id,
        provider: row.provider,
        upstream_name: row.upstream_name,
        context_window: row.context_window,
        default_output_hold: row.default_output_hold,
        output_cap_field: row.output_cap_field,
        bounds: ModelBounds {
            prompt_overhead: row.prompt_overhead,
            tools_overhead: row.tools_overhead,
            picture_max: row.picture_max,
            sound_max: row.sound_max,
            pdf_max: row.pdf_max,
            output_min: row.output_min,
            reasoning_max: row.reasoning_max,
        },
        opened: row.opened,
    });
    Ok(models.collect())
}

/// Per model and service tier the version in force at `now`, if any, and those that follow, oldest first.
pub(crate) async fn current_and_scheduled(connection: &mut PgConnection, kind: PriceKind, now: DateTime<Utc>) -> Result<Vec<PriceVersion>> {
    let rows = sqlx::query_as!(
        PriceRow,
        r#"
        select
            price_id as "id: PriceId", model_id as "model_id: ModelId", kind as "kind: PriceKind", service_tier as "service_tier: ServiceTier",
            effective_from, rates as "rates: Json<serde_json::Value>", created_at, created_by
        from price_versions v
        where kind = $1 and account_id is null and withdrawn_at is null and effective_from >= coalesce(
            (
                select max(effective_from) from price_versions o
                where o.model_id = v.model_id and o.kind = v.kind and o.service_tier = v.service_tier and o.account_id is null
                    and o.withdrawn_at is null and o.effective_from <= $2
            ),
            '-infinity'
        )
        order by effective_from
        "#,
        kind as PriceKind,
        now
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().filter_map(PriceRow::readable).collect())
}

/// A [`PriceVersion`] as it is stored.
pub(crate) struct PriceRow {
    pub(crate) id: PriceId,
    pub(crate) model_id: ModelId,
    pub(crate) kind: PriceKind,
    pub(crate) service_tier: ServiceTier,
    pub(crate) effective_from: DateTime<Utc>,
    /// [`domain::rates::Rates`], unless somebody has changed it by hand.
    pub(crate) rates: Json<serde_json::Value>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) created_by: String,
}

impl PriceRow {
    /// The version; one that cannot be read is told to the operator and left out. Its model has no price then, and every other model has its own.
    pub(crate) fn readable(self) -> Option<PriceVersion> {
        PriceVersion::try_from(self).inspect_err(|error| tracing::error!(%error, "a price is left out")).ok()
    }
}

impl TryFrom<PriceRow> for PriceVersion {
    type Error = Error;

    fn try_from(row: PriceRow) -> Result<Self> {
        let rates = serde_json::from_value(row.rates.0).map_err(|error| Error::Corrupt(format!("price {}: {error}", row.id)))?;
        Ok(Self {
            id: row.id,
            model_id: row.model_id,
            kind: row.kind,
            service_tier: row.service_tier,
            effective_from: row.effective_from,
            rates,
            created_at: row.created_at,
            created_by: row.created_by,
        })
    }
}
