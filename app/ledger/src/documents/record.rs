//! A row of `documents`, and its seal.

use chrono::{DateTime, Utc};
use domain::{
    billing::PostingNumber,
    document::{Buyer, DocumentKind, TaxRate, Taxed},
    id::AccountId,
    money::Amount,
};
use sqlx::PgConnection;

use crate::{
    Error, Result,
    encoding::{self, Encoding, Seal},
};

/// The newest encoding, by which documents are sealed.
const VERSION: u8 = 1;

/// A row of `documents`.
#[derive(Debug, Clone)]
pub(crate) struct DocumentRecord {
    pub(crate) account: AccountId,
    pub(crate) posting: PostingNumber,
    pub(crate) kind: DocumentKind,
    pub(crate) year: i32,
    pub(crate) serial: i64,
    pub(crate) number: String,
    pub(crate) about: Option<PostingNumber>,
    pub(crate) gross: Amount,
    pub(crate) tax: Amount,
    pub(crate) tax_bps: i32,
    /// The version of who sold.
    pub(crate) seller: i64,
    pub(crate) buyer: Buyer,
    pub(crate) issued_at: DateTime<Utc>,
}

/// A stored rate.
pub(crate) fn tax_rate(bps: i32) -> Result<TaxRate> {
    TaxRate::from_bps(bps).map_err(|_| Error::Corrupt(format!("a tax of {bps} basis points")))
}

impl DocumentRecord {
    /// What was paid, with the tax in it.
    pub(crate) fn sum(&self) -> Result<Taxed> {
        let net = self.gross.checked_sub(self.tax);
        let net = net.ok_or_else(|| Error::Corrupt(format!("document {} has a tax beyond what can be written down", self.number)))?;
        Ok(Taxed { gross: self.gross, net, tax: self.tax })
    }

    fn seal(&self) -> Seal {
        encoding::seal(VERSION, self.digest_1())
    }

    /// Whether this is the row that was sealed so. `None` if a later version of Farebox sealed it.
    pub(crate) fn fits(&self, seal: &[u8]) -> Option<bool> {
        encoding::fits(seal, |version| (version == VERSION).then(|| self.digest_1()))
    }

    fn digest_1(&self) -> [u8; 32] {
        let mut row = Encoding::new(b"farebox document 1");
        row.id(self.account.uuid());
        row.number(self.posting.get());
        row.text(self.kind.name());
        row.number(i64::from(self.year));
        row.number(self.serial);
        row.text(&self.number);
        row.maybe(self.about.map(PostingNumber::get), Encoding::number);
        row.number(self.gross.nanos());
        row.number(self.tax.nanos());
        row.number(i64::from(self.tax_bps));
        row.number(self.seller);
        for text in [&self.buyer.name, &self.buyer.email, &self.buyer.address, &self.buyer.tax_id] {
            row.text(text);
        }
        row.instant(self.issued_at);
        row.digest()
    }

    pub(super) async fn insert(&self, connection: &mut PgConnection) -> Result<()> {
        sqlx::query!(
            r#"
            insert into documents (
                account_id, posting, kind, year, serial, number, about, gross, tax, tax_bps, seller, buyer_name, buyer_email, buyer_address,
                buyer_tax_id, issued_at, seal
            )
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
            "#,
            self.account.uuid(),
            self.posting.get(),
            self.kind as DocumentKind,
            self.year,
            self.serial,
            self.number,
            self.about.map(PostingNumber::get),
            self.gross.nanos(),
            self.tax.nanos(),
            self.tax_bps,
            self.seller,
            self.buyer.name,
            self.buyer.email,
            self.buyer.address,
            self.buyer.tax_id,
            self.issued_at,
            &self.seal()[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
