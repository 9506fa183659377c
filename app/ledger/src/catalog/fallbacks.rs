//! Further providers of a model, in the order in which they are asked.

use std::collections::{BTreeMap, HashMap};

use domain::{
    audit::Operation,
    catalog::{Fallback, Model, OutputCapField, Provider},
    id::{ModelId, ProviderId},
};
use sqlx::PgConnection;

use super::{
    audited::{Thing, change, state},
    models, stored_providers,
};
use crate::{Error, Result, System, audit::Line};

impl System {
    /// Adds a provider behind those that a model has.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown model or provider, [`Error::Taken`] where the model has it already, [`Error::Invalid`] where it speaks no API that
    /// the model's own provider does, or where there are too many.
    pub async fn add_fallback(&self, model: &str, new: &Fallback) -> Result<()> {
        for name in new.opened.iter().chain([&new.upstream_name]) {
            Error::one_line("name", name)?;
        }
        let mut transaction = self.database.change().await?;
        let before = state(&mut transaction, Thing::Model, model).await?.map(|(_, state)| state);
        let model = models(&mut transaction).await?.into_iter().find(|known| known.name == model).ok_or(Error::NotFound)?;
        let providers: Vec<_> = stored_providers(&mut transaction).await?.into_iter().map(|(provider, _)| provider).collect();
        let other = providers.iter().find(|provider| provider.name == new.provider).ok_or(Error::NotFound)?;
        let own = providers.iter().find(|provider| provider.id == model.provider_id).ok_or(Error::NotFound)?;
        if other.id == own.id {
            return Err(Error::Taken("a provider of this model"));
        }
        expect_an_api_in_common(own, other)?;
        // Of two that are added at once the second finds its place taken.
        let insert = sqlx::query!(
            r#"
            insert into fallbacks (model_id, provider_id, place, upstream_name, output_cap_field, opened)
            select $1, $2, coalesce(max(place), 0) + 1, $3, $4, $5 from fallbacks where model_id = $1 having count(*) < $6
            "#,
            model.id.uuid(),
            other.id.uuid(),
            new.upstream_name,
            new.output_cap_field as Option<OutputCapField>,
            &new.opened,
            Fallback::MAX as i64
        );
        if insert.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Err(Error::invalid("fall-back", format!("a model has {} at most beside its own provider", Fallback::MAX)));
        }
        let after = state(&mut transaction, Thing::Model, &model.name).await?.map(|(_, state)| state);
        transaction.commit(Line::new(Operation::FallbackAdd, model.id, model.name, before, after)).await
    }

    /// Takes a provider away from those that a model has beside its own.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn remove_fallback(&self, model: &str, provider: &str) -> Result<()> {
        let delete = sqlx::query!(
            r#"
            delete from fallbacks f using models m, providers p
            where f.model_id = m.model_id and f.provider_id = p.provider_id and m.name = $1 and p.name = $2
            "#,
            model,
            provider
        );
        change(&self.database, (Operation::FallbackRemove, Thing::Model, model), delete).await
    }

    /// Every model's further providers by the model's name, each in its order, with those that are disabled.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn fallbacks(&self) -> Result<BTreeMap<String, Vec<Fallback>>> {
        let connection = &mut *self.database.read().await?;
        let mut stored = stored(connection).await?;
        let listed = models(connection).await?.into_iter().filter_map(|model| {
            let fallbacks = stored.remove(&model.id)?.into_iter().map(|stored| stored.fallback);
            Some((model.name, fallbacks.collect()))
        });
        Ok(listed.collect())
    }
}

fn expect_an_api_in_common(own: &Provider, other: &Provider) -> Result<()> {
    let (Some(apis), Some(others)) = (&own.apis, &other.apis) else { return Ok(()) };
    if apis.iter().any(|api| others.contains(api)) {
        return Ok(());
    }
    let names = |apis: &[domain::catalog::Api]| apis.iter().map(|api| api.name()).collect::<Vec<_>>().join(", ");
    let problem = format!(
        "{} speaks {}, and {} speaks {}: nothing is translated, so that it could answer no call of this model",
        own.name,
        names(apis),
        other.name,
        names(others)
    );
    Err(Error::invalid("fall-back", problem))
}

/// A row of `fallbacks`.
pub(super) struct Stored {
    provider_id: ProviderId,
    fallback: Fallback,
    is_disabled: bool,
}

impl Stored {
    /// The model as this provider is asked for it.
    fn route(&self, model: &Model) -> Model {
        let Fallback { provider, upstream_name, output_cap_field, opened } = self.fallback.clone();
        Model {
            provider_id: self.provider_id,
            provider,
            upstream_name,
            output_cap_field: output_cap_field.unwrap_or(model.output_cap_field),
            opened,
            ..model.clone()
        }
    }
}

/// The model as each of its providers is asked for it, in order, without those that are disabled. One that has become its own is not asked twice.
pub(super) fn routes(model: &Model, is_disabled: bool, fallbacks: &[Stored]) -> Vec<Model> {
    let own = (!is_disabled).then(|| model.clone());
    let others = fallbacks.iter().filter(|other| !other.is_disabled && other.provider_id != model.provider_id);
    own.into_iter().chain(others.map(|other| other.route(model))).collect()
}

/// By model, each in its order.
pub(super) async fn stored(connection: &mut PgConnection) -> Result<HashMap<ModelId, Vec<Stored>>> {
    let rows = sqlx::query!(
        r#"
        select
            f.model_id as "model_id: ModelId", f.provider_id as "provider_id: ProviderId", p.name as provider, f.upstream_name,
            f.output_cap_field as "output_cap_field: OutputCapField", f.opened, p.disabled_at is not null as "is_disabled!"
        from fallbacks f
        join providers p using (provider_id)
        order by f.model_id, f.place
        "#
    )
    .fetch_all(connection)
    .await?;
    let mut by_model: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        let fallback = Fallback {
            provider: row.provider,
            upstream_name: row.upstream_name,
            output_cap_field: row.output_cap_field,
            opened: row.opened,
        };
        by_model.entry(row.model_id).or_default().push(Stored { provider_id: row.provider_id, fallback, is_disabled: row.is_disabled });
    }
    Ok(by_model)
}
