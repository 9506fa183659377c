//! The models that something is for, such as a key or a grant: those that it names, or every one where it names none.

use sqlx::PgConnection;

use crate::{Error, Result};

/// Each of them once, sorted by name.
///
/// # Errors
/// [`Error::Invalid`] for what would be for no model at all.
pub(crate) fn named(models: Option<&[String]>) -> Result<Option<Vec<String>>> {
    let Some(models) = models else { return Ok(None) };
    if models.is_empty() {
        return Err(Error::invalid("models", "name at least one, or leave them out for all"));
    }
    let mut models = models.to_vec();
    models.sort();
    models.dedup();
    Ok(Some(models))
}

/// A name that no model has would be for nothing, and nobody would notice.
///
/// # Errors
/// [`Error::Invalid`], which says the name.
pub(crate) async fn expect_known(connection: &mut PgConnection, models: Option<&[String]>) -> Result<()> {
    let Some(models) = models else { return Ok(()) };
    let unknown = sqlx::query_scalar!(
        r#"select name as "name!" from unnest($1::text[]) name where name not in (select name from models) order by name limit 1"#,
        models
    );
    match unknown.fetch_optional(connection).await? {
        Some(name) => Err(Error::invalid(
            "models",
            format!("there is no model {name}: write names as they stand in the list of prices, with commas between several"),
        )),
        None => Ok(()),
    }
}
