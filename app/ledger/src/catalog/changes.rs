//! Changes of what can be called. Proxies that run take them up within a second; what was called before keeps its names and its prices.

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    catalog::{Api, DisconnectPolicy, OutputCapField, TimeOuts, UsageMode},
    tokens::Tokens,
};

use super::{
    audited::{self, Thing},
    names,
};
use crate::{Error, Result, System};

/// What changes of a provider; what is `None` stays. Its name stays for ever: calls are in the books under it.
#[derive(Debug, Clone, Default)]
pub struct ProviderChange<'a> {
    /// Up to and including the version segment.
    pub base_url: Option<&'a str>,
    /// See [`UsageMode`].
    pub usage_mode: Option<UsageMode>,
    /// See [`DisconnectPolicy`].
    pub on_disconnect: Option<DisconnectPolicy>,
    /// Whether its address may be on a private network.
    pub allow_private: Option<bool>,
    /// See [`domain::catalog::Provider::hide_cost`].
    pub hide_cost: Option<bool>,
    /// What it speaks; an empty list for every API.
    pub apis: Option<&'a [Api]>,
    /// See [`TimeOuts`]. One that was set stays set: the proxy's own is written out to go back to it.
    pub time_outs: TimeOuts,
}

/// What changes of a model; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct ModelChange<'a> {
    /// The name of the provider that answers it from now on.
    pub provider: Option<&'a str>,
    /// What the provider calls it.
    pub upstream_name: Option<&'a str>,
    /// The most tokens that a prompt and its completion can have together.
    pub context_window: Option<Tokens>,
    /// Output tokens to hold when the client names no cap.
    pub default_output_hold: Option<Tokens>,
    /// See [`OutputCapField`].
    pub output_cap_field: Option<OutputCapField>,
    /// See [`domain::catalog::ModelBounds`], as the six that follow.
    pub prompt_overhead: Option<Tokens>,
    /// When there are tools.
    pub tools_overhead: Option<Tokens>,
    /// Of one picture.
    pub picture_max: Option<Tokens>,
    /// Of one recording.
    pub sound_max: Option<Tokens>,
    /// Of one PDF.
    pub pdf_max: Option<Tokens>,
    /// The smallest answer.
    pub output_min: Option<Tokens>,
    /// Beside the cap.
    pub reasoning_max: Option<Tokens>,
}

/// Providers and models that an operator has disabled, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disabled {
    /// Of these providers no model is called.
    pub providers: Vec<String>,
    /// Apart from those of these providers.
    pub models: Vec<String>,
}

impl System {
    /// Changes a provider.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for time-outs that cannot be.
    pub async fn change_provider(&self, name: &str, change: ProviderChange<'_>) -> Result<()> {
        let apis = change.apis.map(names);
        let update = sqlx::query!(
            r#"
            update providers set
                base_url = coalesce($2, base_url), usage_mode = coalesce($3, usage_mode), on_disconnect = coalesce($4, on_disconnect),
                allow_private = coalesce($5, allow_private),
                apis = case when $6::text[] is null then apis when cardinality($6) > 0 then $6 end,
                connect_timeout_ms = coalesce($7, connect_timeout_ms), first_byte_timeout_ms = coalesce($8, first_byte_timeout_ms),
                idle_timeout_ms = coalesce($9, idle_timeout_ms), hide_cost = coalesce($10, hide_cost)
            where name = $1
            "#,
            name,
            change.base_url,
            change.usage_mode as Option<UsageMode>,
            change.on_disconnect as Option<DisconnectPolicy>,
            change.allow_private,
            apis.as_deref(),
            change.time_outs.connect_ms,
            change.time_outs.first_byte_ms,
            change.time_outs.idle_ms,
            change.hide_cost
        );
        audited::change(&self.database, (Operation::ProviderChange, Thing::Provider, name), update).await
    }

    /// Replaces a provider's credential, sealed under the name as context; see [`crate::secrets::SecretKey::seal`].
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn set_credential(&self, provider: &str, sealed: Option<Vec<u8>>) -> Result<()> {
        let update = sqlx::query!("update providers set credential = $2 where name = $1", provider, sealed);
        audited::change(&self.database, (Operation::ProviderCredential, Thing::Provider, provider), update).await
    }

    /// Stops calls to a provider's models, or lets them go on.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn disable_provider(&self, name: &str, since: Option<DateTime<Utc>>) -> Result<()> {
        let update = sqlx::query!("update providers set disabled_at = $2 where name = $1", name, since);
        audited::change(&self.database, (Operation::ProviderDisable, Thing::Provider, name), update).await
    }

    /// Removes a provider that answers no model.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`], with their names, where models would be left without one.
    pub async fn remove_provider(&self, name: &str) -> Result<()> {
        let models = sqlx::query_scalar!(
            r#"
            select m.name from models m join providers p using (provider_id) where p.name = $1
            union
            select m.name || ' as a fall-back' from fallbacks f
            join models m on m.model_id = f.model_id
            join providers p on p.provider_id = f.provider_id
            where p.name = $1
            order by 1
            "#,
            name
        );
        let models: Vec<_> = models.fetch_all(&mut *self.database.read().await?).await?.into_iter().flatten().collect();
        if !models.is_empty() {
            return Err(Error::invalid("provider", format!("it answers {}: move or remove these first, or disable it", models.join(", "))));
        }
        let delete = sqlx::query!("delete from providers where name = $1", name);
        audited::change(&self.database, (Operation::ProviderRemove, Thing::Provider, name), delete).await
    }

    /// Changes a model.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown model or provider, [`Error::Invalid`] for numbers that cannot be.
    pub async fn change_model(&self, name: &str, change: ModelChange<'_>) -> Result<()> {
        let update = sqlx::query!(
            r#"
            update models m set
                provider_id = p.provider_id, upstream_name = coalesce($3, upstream_name), context_window = coalesce($4, context_window),
                default_output_hold = coalesce($5, default_output_hold), output_cap_field = coalesce($6, output_cap_field),
                prompt_overhead = coalesce($7, prompt_overhead), tools_overhead = coalesce($8, tools_overhead),
                picture_max = coalesce($9, picture_max), sound_max = coalesce($10, sound_max), output_min = coalesce($11, output_min),
                reasoning_max = coalesce($12, reasoning_max), pdf_max = coalesce($13, pdf_max)
            from providers p
            where m.name = $1 and case when $2::text is null then p.provider_id = m.provider_id else p.name = $2 end
            "#,
            name,
            change.provider,
            change.upstream_name,
            change.context_window.map(Tokens::get),
            change.default_output_hold.map(Tokens::get),
            change.output_cap_field as Option<OutputCapField>,
            change.prompt_overhead.map(Tokens::get),
            change.tools_overhead.map(Tokens::get),
            change.picture_max.map(Tokens::get),
            change.sound_max.map(Tokens::get),
            change.output_min.map(Tokens::get),
            change.reasoning_max.map(Tokens::get),
            change.pdf_max.map(Tokens::get)
        );
        audited::change(&self.database, (Operation::ModelChange, Thing::Model, name), update).await
    }

    /// Stops calls to a model, or lets them go on.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn disable_model(&self, name: &str, since: Option<DateTime<Utc>>) -> Result<()> {
        let update = sqlx::query!("update models set disabled_at = $2 where name = $1", name, since);
        audited::change(&self.database, (Operation::ModelDisable, Thing::Model, name), update).await
    }

    /// Removes a model that never had a price, and so was never called.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] where its calls could not be priced again without it.
    pub async fn remove_model(&self, name: &str) -> Result<()> {
        let needed = sqlx::query!(
            r#"
            select
                exists(select from price_versions join models using (model_id) where models.name = $1) as "by_prices!",
                exists(select from grants where $1 = any(models)) as "by_grants!"
            "#,
            name
        );
        let needed = needed.fetch_one(&mut *self.database.read().await?).await?;
        if needed.by_prices {
            return Err(Error::invalid("model", "it has prices, which its calls are proven by: disable it"));
        }
        if needed.by_grants {
            return Err(Error::invalid("model", "a grant pays for it: disable it"));
        }
        let delete = sqlx::query!("delete from models where name = $1", name);
        audited::change(&self.database, (Operation::ModelRemove, Thing::Model, name), delete).await
    }

    /// What is not called until it is enabled again.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn disabled(&self) -> Result<Disabled> {
        let connection = &mut *self.database.read().await?;
        let providers = sqlx::query_scalar!("select name from providers where disabled_at is not null order by name");
        let models = sqlx::query_scalar!("select name from models where disabled_at is not null order by name");
        Ok(Disabled { providers: providers.fetch_all(&mut *connection).await?, models: models.fetch_all(connection).await? })
    }
}
