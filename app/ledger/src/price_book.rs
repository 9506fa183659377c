//! Many prices at once: read as they are, and written all or none.

use std::collections::{BTreeSet, HashSet};

use domain::{
    catalog::{PriceKind, PriceVersion},
    id::{ModelId, PriceId},
    price_history::LEAD_MIN,
    service_tier::ServiceTier,
};
use sqlx::PgConnection;

use crate::{
    Error, NewPrice, Operator, Result,
    encoding::Encoding,
    prices::{insert_in, rows},
};

/// Every price that was ever written, at one moment.
#[derive(Debug, Clone)]
pub struct PriceBook {
    /// Those that stand, oldest first. One that cannot be read is told to the operator and left out.
    pub versions: Vec<PriceVersion>,
    /// Those that cannot be read and those that were withdrawn included.
    seen: BTreeSet<Seen>,
}

/// A price as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    model: ModelId,
    price: PriceId,
    is_withdrawn: bool,
}

impl PriceBook {
    /// Tells the prices of these models from any later ones: the SHA-256 of their ids and of what was withdrawn, in hexadecimal digits.
    #[must_use]
    pub fn stamp(&self, models: &HashSet<ModelId>) -> String {
        let mut row = Encoding::new(b"farebox price book");
        for seen in self.of(models) {
            row.id(seen.model.uuid());
            row.id(seen.price.uuid());
            row.truth(seen.is_withdrawn);
        }
        row.digest().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn of(&self, models: &HashSet<ModelId>) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(|seen| models.contains(&seen.model))
    }
}

impl Operator {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn price_book(&self) -> Result<PriceBook> {
        let rows = rows(&mut *self.database.read().await?, None).await?;
        let seen = rows.iter().map(|(row, withdrawal)| Seen { model: row.model_id, price: row.id, is_withdrawn: withdrawal.is_some() });
        let seen = seen.collect();
        let standing = rows.into_iter().filter(|(_, withdrawal)| withdrawal.is_none());
        Ok(PriceBook { versions: standing.filter_map(|(row, _)| row.readable()).collect(), seen })
    }

    /// Writes prices that were worked out from a book: all of them, or none. A model's first price of its side and service tier may begin at once, every other has the
    /// notice that a published one has.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a price of one of these models was written since the book was read, and for rates that cannot be;
    /// [`Error::PriceTooSoon`]; [`Error::NotFound`] for an unknown model; [`Error::Taken`] where a version begins at that very instant.
    pub async fn import_prices(&self, book: &PriceBook, prices: &[NewPrice<'_>]) -> Result<()> {
        let mut tx = self.database.change().await?;
        let names: Vec<String> = prices.iter().map(|price| price.model.to_owned()).collect();
        let written = written(&mut tx, &names).await?;
        let models = written.iter().map(|written| written.seen.model).collect();
        if !written.iter().map(|written| written.seen).collect::<BTreeSet<_>>().iter().eq(book.of(&models)) {
            return Err(Error::invalid("prices", "somebody wrote a price meanwhile: compare the list again, and look at what is changed"));
        }
        let mut lines = Vec::new();
        for new in prices {
            let is_before = |written: &&Written| {
                !written.seen.is_withdrawn
                    && (written.name.as_str(), written.kind, written.service_tier) == (new.model, new.kind, new.service_tier)
            };
            let has_price = written.iter().any(|written| is_before(&written));
            if has_price && new.effective_from < new.now + LEAD_MIN {
                return Err(Error::PriceTooSoon);
            }
            lines.extend(insert_in(&mut tx, new).await?);
        }
        tx.commit_all(lines).await
    }
}

/// A price of a model.
struct Written {
    seen: Seen,
    name: String,
    kind: PriceKind,
    service_tier: ServiceTier,
}

/// Every price of these models, and nobody writes another before the transaction ends: its foreign key would wait. Whoever reads does not wait.
async fn written(connection: &mut PgConnection, names: &[String]) -> Result<Vec<Written>> {
    sqlx::query!("select from models where name = any($1) order by model_id for update", names).fetch_all(&mut *connection).await?;
    let written = sqlx::query!(
        r#"
        select
            model_id as "model: ModelId", name, price_id as "price: PriceId", kind as "kind: PriceKind", service_tier as "service_tier: ServiceTier",
            withdrawn_at is not null as "is_withdrawn!"
        from price_versions join models using (model_id)
        where name = any($1) and account_id is null
        "#,
        names
    );
    let written = written.fetch_all(connection).await?.into_iter();
    let written = written.map(|row| Written {
        seen: Seen { model: row.model, price: row.price, is_withdrawn: row.is_withdrawn },
        name: row.name,
        kind: row.kind,
        service_tier: row.service_tier,
    });
    Ok(written.collect())
}
