//! Who sells: versions, of which the newest is on what is issued from then on.

use chrono::{DateTime, SubsecRound, Utc};
use domain::{
    audit::Operation,
    document::{Seller, TaxRate},
};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{buyer::line_of, record::tax_rate};
use crate::{
    Error, Operator, Result,
    audit::Line,
    database::Database,
    encoding::{self, Encoding, Seal},
};

/// Who sells from now on.
#[derive(Debug, Clone, Copy)]
pub struct NewSeller<'a> {
    /// Their name: 1 to 200 letters.
    pub name: &'a str,
    /// Where they are, on one line of 1 to 400 letters.
    pub address: &'a str,
    /// By which the tax office knows them: at most 60 letters, or none.
    pub tax_id: &'a str,
    /// What the tax is called: 1 to 30 letters.
    pub tax_label: &'a str,
    /// How much of it there is in what is paid.
    pub tax_rate: TaxRate,
    /// What stands before the numbers of documents: at most 12 of `A-Z`, `0-9` and `-`.
    pub prefix: &'a str,
    /// Who says so.
    pub actor: &'a str,
    /// When.
    pub now: DateTime<Utc>,
}

impl Operator {
    /// Says who sells, and what tax is in what is paid, on every document that is issued from now on. The first time, every payment, refund and fee
    /// that was posted before gets its document, too.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text that is too long, missing, or not on one line.
    pub async fn set_seller(&self, new: NewSeller<'_>) -> Result<Seller> {
        let seller = checked(new)?;
        let mut tx = self.database.change().await?;
        // Two operators at once set one after the other: the second finds the first one's version taken.
        let before = newest(&mut tx).await?;
        if let Some(before) = before.as_ref().filter(|before| in_words(before) == in_words(&seller)) {
            let before = before.clone();
            tx.undo().await?;
            return Ok(before);
        }
        let version = before.as_ref().map_or(0, |before| before.version).saturating_add(1);
        let set = SetSeller(Seller { version, ..seller });
        set.insert(&mut tx).await?;
        let SetSeller(seller) = set;
        let (was, is) = (before.as_ref().map(in_words), Some(in_words(&seller)));
        tx.commit(Line::new(Operation::SellerSet, version, seller.name.clone(), was, is)).await?;
        Ok(seller)
    }

    /// Who sells, and has sold: newest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn sellers(&self) -> Result<Vec<Seller>> {
        let mut found = sellers(&mut *self.database.read().await?).await?;
        found.reverse();
        Ok(found.into_iter().map(|(SetSeller(seller), _)| seller).collect())
    }
}

impl crate::AccountReader {
    /// Whether anybody has said who sells: without that no document is issued.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn has_seller(&self) -> Result<bool> {
        has_seller(&self.database).await
    }

    /// Who sold at an instant; if nobody had said so yet, who sells now. `None` while nobody has said so at all.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn seller_at(&self, at: DateTime<Utc>) -> Result<Option<Seller>> {
        let all = sellers(&mut *self.database.read().await?).await?;
        let then = all.iter().rev().find(|(SetSeller(seller), _)| seller.set_at <= at).or_else(|| all.last());
        Ok(then.map(|(SetSeller(seller), _)| seller.clone()))
    }
}

async fn has_seller(database: &Database) -> Result<bool> {
    Ok(newest(&mut *database.read().await?).await?.is_some())
}

fn checked(new: NewSeller<'_>) -> Result<Seller> {
    let prefix = new.prefix.trim();
    if prefix.len() > 12 || !prefix.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err(Error::invalid("prefix", "write at most 12 of A to Z, 0 to 9 and -"));
    }
    Ok(Seller {
        version: 0,
        name: line_of("name", new.name, 1..=200)?,
        address: line_of("address", new.address, 1..=400)?,
        tax_id: line_of("tax id", new.tax_id, 0..=60)?,
        tax_label: line_of("tax label", new.tax_label, 1..=30)?,
        tax_rate: new.tax_rate,
        prefix: prefix.to_owned(),
        // As PostgreSQL keeps it.
        set_at: new.now.trunc_subsecs(6),
        set_by: new.actor.to_owned(),
    })
}

/// As the audit log has it.
fn in_words(seller: &Seller) -> Value {
    let Seller { name, address, tax_id, tax_label, tax_rate, prefix, .. } = seller;
    json!({"name": name, "address": address, "tax_id": tax_id, "tax_label": tax_label, "tax_bps": tax_rate.bps(), "prefix": prefix})
}

/// The newest version.
pub(super) async fn newest(connection: &mut PgConnection) -> Result<Option<Seller>> {
    Ok(sellers(connection).await?.pop().map(|(SetSeller(seller), _)| seller))
}

/// Every version, oldest first, with its seal. They are few.
pub(crate) async fn sellers(connection: &mut PgConnection) -> Result<Vec<(SetSeller, Vec<u8>)>> {
    let rows = sqlx::query!(
        "select version, name, address, tax_id, tax_label, tax_bps, prefix, set_at, set_by, seal from sellers order by version"
    );
    let set = rows.fetch_all(connection).await?.into_iter().map(|row| {
        let seller = Seller {
            version: row.version,
            name: row.name,
            address: row.address,
            tax_id: row.tax_id,
            tax_label: row.tax_label,
            tax_rate: tax_rate(row.tax_bps)?,
            prefix: row.prefix,
            set_at: row.set_at,
            set_by: row.set_by,
        };
        Ok((SetSeller(seller), row.seal))
    });
    set.collect()
}

/// The newest encoding, by which versions are sealed.
const VERSION: u8 = 1;

/// A row of `sellers`.
#[derive(Debug, Clone)]
pub(crate) struct SetSeller(pub(crate) Seller);

impl SetSeller {
    fn seal(&self) -> Seal {
        encoding::seal(VERSION, self.digest_1())
    }

    /// Whether this is the row that was sealed so. `None` if a later version of Farebox sealed it.
    pub(crate) fn fits(&self, seal: &[u8]) -> Option<bool> {
        encoding::fits(seal, |version| (version == VERSION).then(|| self.digest_1()))
    }

    fn digest_1(&self) -> [u8; 32] {
        let Seller { version, name, address, tax_id, tax_label, tax_rate, prefix, set_at, set_by } = &self.0;
        let mut row = Encoding::new(b"farebox seller 1");
        row.number(*version);
        for text in [name, address, tax_id, tax_label] {
            row.text(text);
        }
        row.number(i64::from(tax_rate.bps()));
        row.text(prefix);
        row.instant(*set_at);
        row.text(set_by);
        row.digest()
    }

    async fn insert(&self, connection: &mut PgConnection) -> Result<()> {
        let Seller { version, name, address, tax_id, tax_label, tax_rate, prefix, set_at, set_by } = &self.0;
        sqlx::query!(
            r#"
            insert into sellers (version, name, address, tax_id, tax_label, tax_bps, prefix, set_at, set_by, seal)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            "#,
            version,
            name,
            address,
            tax_id,
            tax_label,
            tax_rate.bps(),
            prefix,
            set_at,
            set_by,
            &self.seal()[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
