//! Redemption codes: batches of them that operators make and revoke, and what accounts redeem ([`redemption`]).
//!
//! A code is known by its digest alone: whoever reads the database can redeem none. Its 95 random bits need no slow hash, since there is nothing to guess.

mod redemption;

use std::{cmp::Reverse, collections::HashMap};

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    code::{Batch, BatchTerms, CodeKind, RedemptionCode},
    id::BatchId,
    money::Amount,
    payment::Currency,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

pub(crate) use self::redemption::{PostedRedemption, RedeemedRow, of_account};
pub use self::redemption::{Redeemed, Redemption};
use crate::{
    Error, Operator, Result,
    audit::Line,
    encoding::{self, Encoding, Seal},
};

/// A batch that is to be made.
#[derive(Debug, Clone)]
pub struct NewBatch<'a> {
    /// Its id. The same again makes no other codes.
    pub id: BatchId,
    /// What its codes are.
    pub terms: BatchTerms,
    /// The codes themselves, as many as the terms say; only their digests are stored.
    pub codes: &'a [RedemptionCode],
    /// Who makes it.
    pub actor: &'a str,
    /// When.
    pub now: DateTime<Utc>,
}

/// SHA-256 of a code.
fn digest(code: &RedemptionCode) -> [u8; 32] {
    Sha256::digest(code.expose()).into()
}

impl Operator {
    /// Makes a batch of codes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for terms that cannot be; [`Error::Taken`] when this id was used, so that a repeated request makes no second batch.
    pub async fn make_codes(&self, new: NewBatch<'_>) -> Result<Batch> {
        let terms = checked(new.terms, new.now)?;
        if i64::try_from(new.codes.len()) != Ok(terms.codes) {
            return Err(Error::invalid("codes", format!("there are {} where {} are to be", new.codes.len(), terms.codes)));
        }
        let batch = Batch { id: new.id, terms, made_at: new.now, made_by: new.actor.to_owned(), revoked_at: None };
        let mut tx = self.database.change().await?;
        if !insert(&mut tx, &batch).await? {
            return Err(Error::Taken("this batch"));
        }
        let digests: Vec<_> = new.codes.iter().map(|code| digest(code).to_vec()).collect();
        sqlx::query!("insert into codes (digest, batch_id) select digest, $2 from unnest($1::bytea[]) digest", &digests, batch.id.uuid())
            .execute(&mut *tx)
            .await?;
        tx.commit(Line::new(Operation::CodeNew, batch.id, &batch.terms.name, None, Some(in_words(&batch.terms)))).await?;
        Ok(batch)
    }

    /// Every batch, newest first, each with how often its codes were redeemed.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn batches(&self) -> Result<Vec<(Batch, i64)>> {
        let mut connection = self.database.read().await?;
        let used =
            sqlx::query!(r#"select batch_id as "id: BatchId", sum(used)::bigint as "used!" from codes where used > 0 group by batch_id"#);
        let used: HashMap<_, _> = used.fetch_all(&mut *connection).await?.into_iter().map(|row| (row.id, row.used)).collect();
        let mut batches: Vec<_> = sealed(&mut connection).await?.into_iter().map(|sealed| sealed.batch).collect();
        batches.sort_by_key(|batch| Reverse((batch.made_at, batch.id)));
        let counted = batches.into_iter().map(|batch| {
            let used = used.get(&batch.id).copied().unwrap_or(0);
            (batch, used)
        });
        Ok(counted.collect())
    }

    /// Revokes a batch: none of its codes is redeemed any more. What was redeemed stays. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn revoke_codes(&self, batch: BatchId, actor: &str) -> Result<()> {
        let mut tx = self.database.change().await?;
        let now = self.database.dated.unwrap_or(crate::clock(&mut tx).await?);
        let found = sqlx::query!("select name, revoked_at from code_batches where batch_id = $1 for update", batch.uuid());
        let found = found.fetch_optional(&mut *tx).await?.ok_or(Error::NotFound)?;
        if found.revoked_at.is_some() {
            return Ok(());
        }
        sqlx::query!("update code_batches set revoked_at = $2, revoked_by = $3 where batch_id = $1", batch.uuid(), now, actor)
            .execute(&mut *tx)
            .await?;
        let (before, after) = (json!({"revoked_at": null}), json!({"revoked_at": now}));
        tx.commit(Line::new(Operation::CodeRevoke, batch, found.name, Some(before), Some(after))).await
    }
}

fn checked(terms: BatchTerms, now: DateTime<Utc>) -> Result<BatchTerms> {
    let terms = BatchTerms { name: Error::one_line("name", &terms.name)?.to_owned(), ..terms };
    terms.check(now).map_err(|error| Error::invalid(error.field, error.problem))?;
    Ok(terms)
}

/// As the audit log has it.
fn in_words(terms: &BatchTerms) -> Value {
    let BatchTerms { name: _, amount, currency, kind, codes, uses, is_sole, expires_at, credit_days } = terms;
    json!({
        "amount": amount, "currency": currency.code(), "kind": kind.name(), "codes": codes, "uses": uses, "one_per_account": is_sole,
        "expires_at": expires_at, "credit_days": credit_days
    })
}

/// The newest encoding, by which batches are sealed.
const VERSION: u8 = 1;

fn digest_1(batch: &Batch) -> [u8; 32] {
    let Batch { id, terms, made_at, made_by, revoked_at: _ } = batch;
    let mut row = Encoding::new(b"farebox code batch 1");
    row.id(id.uuid());
    row.text(&terms.name);
    row.number(terms.amount.nanos());
    row.text(terms.currency.code());
    row.text(terms.kind.name());
    row.number(terms.codes);
    row.number(terms.uses);
    row.truth(terms.is_sole);
    row.maybe(terms.expires_at, Encoding::instant);
    row.maybe(terms.credit_days, |row, days| row.number(i64::from(days)));
    row.instant(*made_at);
    row.text(made_by);
    row.digest()
}

fn seal(batch: &Batch) -> Seal {
    encoding::seal(VERSION, digest_1(batch))
}

/// `false` where there is a batch of this id.
async fn insert(connection: &mut PgConnection, batch: &Batch) -> Result<bool> {
    let Batch { id, terms, made_at, made_by, revoked_at: _ } = batch;
    let insert = sqlx::query!(
        r#"
        insert into code_batches (batch_id, name, amount, currency, kind, codes, uses, is_sole, expires_at, credit_days, made_at, made_by, seal)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        on conflict do nothing
        "#,
        id.uuid(),
        terms.name,
        terms.amount.nanos(),
        terms.currency.code(),
        terms.kind as CodeKind,
        terms.codes,
        terms.uses,
        terms.is_sole,
        terms.expires_at,
        terms.credit_days.and_then(|days| i32::try_from(days).ok()),
        made_at,
        made_by,
        &seal(batch)[..]
    );
    Ok(insert.execute(connection).await?.rows_affected() == 1)
}

/// A batch with its seal.
pub(crate) struct SealedBatch {
    pub(crate) batch: Batch,
    seal: Vec<u8>,
}

impl SealedBatch {
    /// Whether this is the row that was sealed so. `None` if a later version of Farebox sealed it.
    pub(crate) fn fits(&self) -> Option<bool> {
        encoding::fits(&self.seal, |version| (version == VERSION).then(|| digest_1(&self.batch)))
    }
}

/// A row of `code_batches`.
struct Row {
    id: BatchId,
    name: String,
    amount: Amount,
    currency: String,
    kind: CodeKind,
    codes: i64,
    uses: i64,
    is_sole: bool,
    expires_at: Option<DateTime<Utc>>,
    credit_days: Option<i32>,
    made_at: DateTime<Utc>,
    made_by: String,
    seal: Vec<u8>,
    revoked_at: Option<DateTime<Utc>>,
}

impl Row {
    fn read(self) -> Result<SealedBatch> {
        let Self { id, name, amount, currency, kind, codes, uses, is_sole, expires_at, credit_days, made_at, made_by, seal, revoked_at } =
            self;
        let currency =
            Currency::parse(&currency).ok_or_else(|| Error::Corrupt(format!("batch {id} of codes is in a currency {currency}")))?;
        let credit_days = credit_days.map(i32::unsigned_abs);
        let terms = BatchTerms { name, amount, currency, kind, codes, uses, is_sole, expires_at, credit_days };
        Ok(SealedBatch { batch: Batch { id, terms, made_at, made_by, revoked_at }, seal })
    }
}

/// Every batch.
pub(crate) async fn sealed(connection: &mut PgConnection) -> Result<Vec<SealedBatch>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select
            batch_id as "id: BatchId", name, amount as "amount: Amount", currency, kind as "kind: CodeKind", codes, uses, is_sole, expires_at, credit_days,
            made_at, made_by, seal, revoked_at
        from code_batches
        "#
    );
    rows.fetch_all(connection).await?.into_iter().map(Row::read).collect()
}

/// A batch whose codes are redeemed: nobody revokes it meanwhile.
async fn held(connection: &mut PgConnection, batch: BatchId) -> Result<Batch> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select
            batch_id as "id: BatchId", name, amount as "amount: Amount", currency, kind as "kind: CodeKind", codes, uses, is_sole, expires_at, credit_days,
            made_at, made_by, seal, revoked_at
        from code_batches where batch_id = $1 for share
        "#,
        batch.uuid()
    );
    Ok(row.fetch_optional(connection).await?.ok_or(Error::NotFound)?.read()?.batch)
}
