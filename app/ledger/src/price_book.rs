//! Many prices at once: read as they are, and written all or none.

use std::collections::HashSet;

use domain::{
    catalog::{PriceKind, PriceVersion},
    id::{ModelId, PriceId},
};
use sqlx::{PgConnection, types::Json};

use crate::{Error, NewPrice, Operator, Result, catalog::PriceRow, prices::insert_in};

/// Every price that was ever written, at one moment.
#[derive(Debug, Clone)]
pub struct PriceBook {
    /// Oldest first. One that cannot be read is told to the operator and left out.
    pub versions: Vec<PriceVersion>,
    /// Those that cannot be read included.
    seen: HashSet<PriceId>,
}

impl Operator {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn price_book(&self) -> Result<PriceBook> {
        let rows = sqlx::query_as!(
            PriceRow,
            r#"
            select
                price_id as "id: PriceId", model_id as "model_id: ModelId", kind as "kind: PriceKind", effective_from,
                rates as "rates: Json<serde_json::Value>", created_at, created_by
            from price_versions
            order by effective_from, kind
            "#
        )
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        let seen = rows.iter().map(|row| row.id).collect();
        Ok(PriceBook { versions: rows.into_iter().filter_map(PriceRow::readable).collect(), seen })
    }
}

impl Operator {
    /// Writes prices that were worked out from a book: all of them, or none. A model's first price of its side may begin at once, every other has the
    /// notice that a published one has.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a price was written since the book was read, and for rates that cannot be; [`Error::PriceTooSoon`];
    /// [`Error::NotFound`] for an unknown model; [`Error::Taken`] where a version begins at that very instant.
    pub async fn import_prices(&self, book: &PriceBook, prices: &[NewPrice<'_>]) -> Result<()> {
        let mut tx = self.database.write().await?;
        // A price's foreign key waits for these rows: nobody else writes one between the look at them and the commit. Whoever reads does not wait.
        sqlx::query!("select from models order by model_id for update").fetch_all(&mut *tx).await?;
        if written(&mut tx).await? != book.seen {
            return Err(Error::invalid("prices", "somebody wrote a price meanwhile: run it again, and look at what is changed"));
        }
        let priced = priced_sides(&mut tx).await?;
        for new in prices {
            if priced.contains(&(new.model.to_owned(), new.kind)) && new.effective_from < new.now + NewPrice::LEAD_MIN {
                return Err(Error::PriceTooSoon);
            }
            insert_in(&mut tx, new).await?;
        }
        Ok(tx.commit().await?)
    }
}

async fn written(connection: &mut PgConnection) -> Result<HashSet<PriceId>> {
    let ids = sqlx::query_scalar!(r#"select price_id as "id: PriceId" from price_versions"#).fetch_all(connection).await?;
    Ok(ids.into_iter().collect())
}

/// Which sides of which models ever had a price.
async fn priced_sides(connection: &mut PgConnection) -> Result<HashSet<(String, PriceKind)>> {
    let sides = sqlx::query!(r#"select distinct name, kind as "kind: PriceKind" from price_versions join models using (model_id)"#);
    Ok(sides.fetch_all(connection).await?.into_iter().map(|side| (side.name, side.kind)).collect())
}
