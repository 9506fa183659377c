//! What the audit log says of providers and models.

use domain::audit::Operation;
use serde_json::Value;
use sqlx::{Execute, Executor, PgConnection, Postgres, types::Json};
use uuid::Uuid;

use crate::{Error, Result, audit::Line, database::Database};

/// What a statement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    Provider,
    /// With its further providers.
    Model,
}

/// Makes, changes or removes the one thing of this name.
///
/// # Errors
/// [`Error::NotFound`] if the statement is about none.
pub(super) async fn change<'q>(
    database: &Database,
    (operation, thing, name): (Operation, Thing, &str),
    statement: impl Execute<'q, Postgres> + 'q,
) -> Result<()> {
    let mut tx = database.change().await?;
    let before = state(&mut tx, thing, name).await?;
    if tx.execute(statement).await?.rows_affected() != 1 {
        return Err(Error::NotFound);
    }
    let after = state(&mut tx, thing, name).await?;
    let id = before.as_ref().or(after.as_ref()).map(|(id, _)| *id).ok_or(Error::NotFound)?;
    tx.commit(Line::new(operation, id, name, before.map(|(_, state)| state), after.map(|(_, state)| state))).await
}

/// The id and every column of the thing of this name. Of a credential, which is stored encrypted, by what one can be told from another.
pub(super) async fn state(connection: &mut PgConnection, thing: Thing, name: &str) -> Result<Option<(Uuid, Value)>> {
    Ok(match thing {
        Thing::Provider => {
            let provider = sqlx::query!(
                r#"
                select
                    provider_id as id,
                    to_jsonb(p) - 'provider_id' - 'created_at' || jsonb_build_object(
                        'credential', 'encrypted, ' || left(encode(sha256(credential), 'hex'), 8)
                    ) as "state!: Json<Value>"
                from providers p where name = $1
                "#,
                name
            );
            provider.fetch_optional(connection).await?.map(|row| (row.id, row.state.0))
        }
        Thing::Model => {
            let model = sqlx::query!(
                r#"
                select
                    m.model_id as id,
                    to_jsonb(m) - 'model_id' - 'provider_id' - 'created_at' || jsonb_build_object(
                        'provider', p.name,
                        'fallbacks', (
                            select jsonb_agg(
                                jsonb_build_object('provider', q.name) || to_jsonb(f) - 'model_id' - 'provider_id' - 'place' order by f.place
                            )
                            from fallbacks f join providers q using (provider_id) where f.model_id = m.model_id
                        )
                    ) as "state!: Json<Value>"
                from models m join providers p using (provider_id) where m.name = $1
                "#,
                name
            );
            model.fetch_optional(connection).await?.map(|row| (row.id, row.state.0))
        }
    })
}
