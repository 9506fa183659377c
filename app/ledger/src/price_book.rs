//! Many prices at once: read as they are, and written all or none.

use std::collections::{BTreeSet, HashSet};

use domain::{
    catalog::{PriceKind, PriceVersion},
    id::{ModelId, PriceId},
};
use sqlx::{PgConnection, types::Json};

use crate::{Error, NewPrice, Operator, Result, catalog::PriceRow, encoding::Encoding, prices::insert_in};

/// Every price that was ever written, at one moment.
#[derive(Debug, Clone)]
pub struct PriceBook {
    /// Oldest first. One that cannot be read is told to the operator and left out.
    pub versions: Vec<PriceVersion>,
    /// Those that cannot be read included.
    seen: BTreeSet<(ModelId, PriceId)>,
}

impl PriceBook {
    /// Tells the prices of these models from any later ones: the SHA-256 of their ids, in hexadecimal digits.
    #[must_use]
    pub fn stamp(&self, models: &HashSet<ModelId>) -> String {
        let mut row = Encoding::new(b"farebox price book");
        for (model, price) in self.of(models) {
            row.id(model.uuid());
            row.id(price.uuid());
        }
        row.digest().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn of(&self, models: &HashSet<ModelId>) -> impl Iterator<Item = &(ModelId, PriceId)> {
        self.seen.iter().filter(|(model, _)| models.contains(model))
    }
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
        let seen = rows.iter().map(|row| (row.model_id, row.id)).collect();
        Ok(PriceBook { versions: rows.into_iter().filter_map(PriceRow::readable).collect(), seen })
    }

    /// Writes prices that were worked out from a book: all of them, or none. A model's first price of its side may begin at once, every other has the
    /// notice that a published one has.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a price of one of these models was written since the book was read, and for rates that cannot be;
    /// [`Error::PriceTooSoon`]; [`Error::NotFound`] for an unknown model; [`Error::Taken`] where a version begins at that very instant.
    pub async fn import_prices(&self, book: &PriceBook, prices: &[NewPrice<'_>]) -> Result<()> {
        let mut tx = self.database.change().await?;
        let names: Vec<String> = prices.iter().map(|price| price.model.to_owned()).collect();
        let written = written(&mut tx, &names).await?;
        let models = written.iter().map(|written| written.model).collect();
        if !written.iter().map(|written| (written.model, written.price)).collect::<BTreeSet<_>>().iter().eq(book.of(&models)) {
            return Err(Error::invalid("prices", "somebody wrote a price meanwhile: compare the list again, and look at what is changed"));
        }
        let mut lines = Vec::new();
        for new in prices {
            let has_price = written.iter().any(|written| written.name == new.model && written.kind == new.kind);
            if has_price && new.effective_from < new.now + NewPrice::LEAD_MIN {
                return Err(Error::PriceTooSoon);
            }
            lines.extend(insert_in(&mut tx, new).await?);
        }
        tx.commit_all(lines).await
    }
}

/// A price of a model.
struct Written {
    model: ModelId,
    name: String,
    price: PriceId,
    kind: PriceKind,
}

/// Every price of these models, and nobody writes another before the transaction ends: its foreign key would wait. Whoever reads does not wait.
async fn written(connection: &mut PgConnection, names: &[String]) -> Result<Vec<Written>> {
    sqlx::query!("select from models where name = any($1) order by model_id for update", names).fetch_all(&mut *connection).await?;
    let written = sqlx::query_as!(
        Written,
        r#"
        select model_id as "model: ModelId", name, price_id as "price: PriceId", kind as "kind: PriceKind"
        from price_versions join models using (model_id)
        where name = any($1)
        "#,
        names
    );
    Ok(written.fetch_all(connection).await?)
}
