//! A code that is redeemed: one row, one posting, one use of the code, in one transaction.

use chrono::{DateTime, Days, Utc};
use domain::{
    audit::Operation,
    billing::{GrantKind, JournalKind, PostingNumber},
    code::{Batch, CodeKind, RedemptionCode},
    credit::{Quantity, Unit},
    id::{AccountId, BatchId, GrantId, RedemptionId},
    money::Amount,
    payment::Currency,
};
use serde_json::json;
use sqlx::PgConnection;

use super::{digest, held};
use crate::{
    AccountOwner, Error, NewGrant, Result,
    account_state::expect_open,
    audit::Line,
    books::{Book, Books, Lock, NewPosting, Request},
    encoding::{self, Encoding, Seal},
    money, new_grant,
};

/// A code that somebody redeems.
#[derive(Debug, Clone, Copy)]
pub struct Redemption<'a> {
    /// Its id. The same again is the same redemption, however often it arrives.
    pub id: RedemptionId,
    /// The code.
    pub code: &'a RedemptionCode,
    /// Who redeems it.
    pub actor: &'a str,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redeemed {
    /// The posting that gave the credit: the first one, if the request was repeated.
    pub posting: PostingNumber,
    /// Whether the same request had been done before.
    pub replayed: bool,
}

impl AccountOwner {
    /// Redeems a code: its credit is in the account's books, and one of its uses is gone.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a code that does not exist, was used, has expired, was revoked or is in another currency, for one that this account has
    /// redeemed before or may not redeem beside another of its batch, and for a closed account; [`Error::IdempotencyConflict`] when this id was another
    /// code's.
    pub async fn redeem(&self, new: Redemption<'_>) -> Result<Redeemed> {
        let code = digest(new.code);
        let mut tx = self.database.change().await?;
        let mut books = Books::lock(&mut tx, &[self.account], Lock::Wait, self.database.dated).await?;
        let book = books.of(self.account)?;
        if let Some(done) = redeemed_before(&mut tx, self.account, new.id, &code).await? {
            return Ok(done);
        }
        expect_open(&mut tx, self.account).await?;
        let batch = batch_of(&mut tx, &code).await?;
        expect_redeemable(&mut tx, &batch, book).await?;
        use_once(&mut tx, &batch, &code).await?;
        let mut record = RedemptionRecord {
            account: self.account,
            id: new.id,
            batch: batch.id,
            code: code.to_vec(),
            is_sole: batch.terms.is_sole,
            posting: PostingNumber::NONE,
            by: new.actor.to_owned(),
            at: book.now(),
        };
        let before = book.balance();
        record.posting = record.post(&mut tx, book, &batch).await?;
        record.insert(&mut tx).await?;
        let after = json!({"balance": book.balance(), "amount": batch.terms.amount, "batch": batch.id, "posting": record.posting});
        books.write(&mut tx).await?;
        let line = Line::new(Operation::CodeRedeem, new.id, &batch.terms.name, Some(json!({"balance": before})), Some(after));
        tx.commit(line.of(self.account)).await?;
        Ok(Redeemed { posting: record.posting, replayed: false })
    }
}

/// What was redeemed under the same id, or why the same code is not redeemed again.
async fn redeemed_before(connection: &mut PgConnection, account: AccountId, id: RedemptionId, code: &[u8]) -> Result<Option<Redeemed>> {
    let rows = sqlx::query!(
        r#"
        select redemption_id as "id: RedemptionId", code, posting as "posting: PostingNumber", redeemed_at from redemptions
        where account_id = $1 and (redemption_id = $2 or code = $3)
        "#,
        account.uuid(),
        id.uuid(),
        code
    );
    let rows = rows.fetch_all(connection).await?;
    if let Some(same) = rows.iter().find(|row| row.id == id) {
        let done = Redeemed { posting: same.posting, replayed: true };
        return if same.code == code { Ok(Some(done)) } else { Err(Error::IdempotencyConflict) };
    }
    match rows.first() {
        None => Ok(None),
        Some(row) => Err(Error::invalid(
            "code",
            format!("this account redeemed this code on {}: look for posting {} in the journal", row.redeemed_at.date_naive(), row.posting),
        )),
    }
}

async fn batch_of(connection: &mut PgConnection, code: &[u8]) -> Result<Batch> {
    let batch = sqlx::query_scalar!(r#"select batch_id as "batch: BatchId" from codes where digest = $1"#, code);
    match batch.fetch_optional(&mut *connection).await? {
        Some(batch) => held(connection, batch).await,
        None => Err(Error::invalid("code", "there is no such code: compare it with what you were given, or ask whoever gave it to you")),
    }
}

/// Whether a code of the batch gives anything to the account whose books are locked.
async fn expect_redeemable(connection: &mut PgConnection, batch: &Batch, book: &Book) -> Result<()> {
    let no = |problem: String| Err(Error::invalid("code", problem));
    let terms = &batch.terms;
    if batch.revoked_at.is_some() {
        return no("this code was revoked and gives nothing any more: ask whoever gave it to you for another".to_owned());
    }
    if let Some(expiry) = terms.expires_at.filter(|expiry| *expiry <= book.now()) {
        let until = expiry.format("%Y-%m-%d %H:%M");
        return no(format!("this code was to be redeemed before {until} UTC: ask whoever gave it to you for another"));
    }
    if terms.currency != Currency::USD {
        let [theirs, ours] = [terms.currency, Currency::USD].map(|currency| currency.code().to_ascii_uppercase());
        return no(format!(
            "this code gives credit in {theirs}, and balances here are in {ours}: ask whoever gave it to you for one in {ours}"
        ));
    }
    if terms.is_sole && has_one_of(connection, book.account, batch.id).await? {
        return no("this account has redeemed another code of this kind, of which each account may redeem one".to_owned());
    }
    Ok(())
}

async fn has_one_of(connection: &mut PgConnection, account: AccountId, batch: BatchId) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from redemptions where account_id = $1 and batch_id = $2) as "found!""#,
        account.uuid(),
        batch.uuid()
    );
    Ok(found.fetch_one(connection).await?)
}

/// Takes one of the code's uses. Whoever else redeems it waits here, and finds what is left then.
async fn use_once(connection: &mut PgConnection, batch: &Batch, code: &[u8]) -> Result<()> {
    let used = sqlx::query!("update codes set used = used + 1 where digest = $1 and used < $2", code, batch.terms.uses);
    if used.execute(connection).await?.rows_affected() == 1 {
        return Ok(());
    }
    let how_often = if batch.terms.uses == 1 { "once, as it may be" } else { "as often as it may be" };
    Err(Error::invalid("code", format!("this code was used already, {how_often}: ask whoever gave it to you for another")))
}

/// A row of `redemptions`.
pub(crate) struct RedemptionRecord {
    pub(crate) account: AccountId,
    pub(crate) id: RedemptionId,
    pub(crate) batch: BatchId,
    pub(crate) code: Vec<u8>,
    pub(crate) is_sole: bool,
    pub(crate) posting: PostingNumber,
    pub(crate) by: String,
    pub(crate) at: DateTime<Utc>,
}

/// The newest encoding, by which redemptions are sealed.
const VERSION: u8 = 1;

impl RedemptionRecord {
    /// Of everything but the number of its posting, which bears this seal.
    fn seal(&self) -> Seal {
        encoding::seal(VERSION, self.digest_1())
    }

    /// Whether this is the row that was sealed so. `None` if a later version of Farebox sealed it.
    pub(crate) fn fits(&self, seal: &[u8]) -> Option<bool> {
        encoding::fits(seal, |version| (version == VERSION).then(|| self.digest_1()))
    }

    fn digest_1(&self) -> [u8; 32] {
        let mut row = Encoding::new(b"farebox redemption 1");
        row.id(self.account.uuid());
        row.id(self.id.uuid());
        row.id(self.batch.uuid());
        row.bytes(&self.code);
        row.truth(self.is_sole);
        row.text(&self.by);
        row.instant(self.at);
        row.digest()
    }

    /// When the credit ends that a code of this batch gave then, if it does; `None` within also of what is beyond all calendars.
    pub(crate) fn credit_ends(&self, batch: &Batch) -> Option<DateTime<Utc>> {
        batch.terms.credit_days.and_then(|days| self.at.checked_add_days(Days::new(days.into())))
    }

    /// Gives the credit: promotional credit of its own, under the redemption's id, or money in the wallet.
    async fn post(&self, connection: &mut PgConnection, book: &mut Book, batch: &Batch) -> Result<PostingNumber> {
        let (memo, seals) = (format!("Code: {}", batch.terms.name), Some(self.seal().to_vec()));
        let idempotency_key = format!("code {}", self.id);
        match batch.terms.kind {
            CodeKind::Promo => {
                let grant = NewGrant {
                    id: GrantId::from_uuid(self.id.uuid()),
                    kind: GrantKind::Promo,
                    unit: Unit::Money,
                    quantity: Quantity::from(batch.terms.amount),
                    models: None,
                    starts_at: None,
                    expires_at: self.credit_ends(batch),
                    priority: 0,
                    idempotency_key: &idempotency_key,
                    memo: &memo,
                    actor: &self.by,
                    now: self.at,
                };
                Ok(new_grant::give(connection, book, &grant, seals).await?.posting)
            }
            CodeKind::Paid => {
                let (wallet, amount) = (book.wallet()?, batch.terms.amount);
                let digest = money::request_digest(JournalKind::TopUp, &amount.to_string(), &memo, &self.by);
                let new = NewPosting {
                    kind: JournalKind::TopUp,
                    memo,
                    actor: self.by.clone(),
                    request: Some(Request { idempotency_key, digest }),
                    event_at: self.at,
                    posted_at: self.at,
                    calls: None,
                    seals,
                    grants: vec![(wallet, amount.nanos())],
                };
                book.post(new).map_err(|_| money::too_large())
            }
        }
    }

    async fn insert(&self, connection: &mut PgConnection) -> Result<()> {
        sqlx::query!(
            r#"
            insert into redemptions (account_id, redemption_id, batch_id, code, is_sole, posting, redeemed_by, redeemed_at, seal)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            "#,
            self.account.uuid(),
            self.id.uuid(),
            self.batch.uuid(),
            self.code,
            self.is_sole,
            self.posting.get(),
            self.by,
            self.at,
            &self.seal()[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// A redemption, with what the journal says of it.
pub(crate) struct RedeemedRow {
    pub(crate) record: RedemptionRecord,
    pub(crate) seal: Vec<u8>,
    /// Its posting; `None` without one.
    pub(crate) posted: Option<PostedRedemption>,
}

/// What the journal says of a redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PostedRedemption {
    pub(crate) kind: JournalKind,
    /// What it gave.
    pub(crate) amount: Amount,
    /// When that ends.
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) at: DateTime<Utc>,
    /// The seal that it bears.
    pub(crate) seals: Option<Vec<u8>>,
}

/// Every redemption of an account.
pub(crate) async fn of_account(connection: &mut PgConnection, account: AccountId) -> Result<Vec<RedeemedRow>> {
    let rows = sqlx::query!(
        r#"
        select
            r.redemption_id as "id: RedemptionId", r.batch_id as "batch: BatchId", r.code, r.is_sole, r.posting as "posting: PostingNumber", r.redeemed_by,
            r.redeemed_at, r.seal, j.kind as "posted_as?: JournalKind", j.posted_at as "journal_at?", j.seals as "seals?",
            e.amount as "given?: Amount", g.expires_at as "expires_at?"
        from redemptions r
        left join journal j on j.account_id = r.account_id and j.seq = r.posting
        left join entries e on e.account_id = r.account_id and e.seq = r.posting and e.grant_id is not null
        left join grants g on g.account_id = r.account_id and g.grant_id = e.grant_id
        where r.account_id = $1
        "#,
        account.uuid()
    );
    let rows = rows.fetch_all(connection).await?.into_iter().map(|row| {
        let posted = row.posted_as.zip(row.given).zip(row.journal_at).map(|((kind, amount), at)| PostedRedemption {
            kind,
            amount,
            expires_at: row.expires_at,
            at,
            seals: row.seals,
        });
        let record = RedemptionRecord {
            account,
            id: row.id,
            batch: row.batch,
            code: row.code,
            is_sole: row.is_sole,
            posting: row.posting,
            by: row.redeemed_by,
            at: row.redeemed_at,
        };
        RedeemedRow { record, seal: row.seal, posted }
    });
    Ok(rows.collect())
}
