//! What a payment moves: each movement is a row beside the payment, and a posting that bears the row's seal.

use chrono::{DateTime, Utc};
use domain::{
    billing::{JournalKind, PostingNumber},
    id::{AccountId, PaymentId},
    money::Amount,
};
use sqlx::PgConnection;

use crate::{
    Posted, Result,
    books::{Book, NewPosting, Request},
    encoding::{self, Encoding, Seal},
    money,
};

/// The newest encoding, by which movements are sealed.
const VERSION: u8 = 1;

/// Why money moves for a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum MovementKind {
    /// It was paid.
    Credit,
    /// It was paid back, all of it or a part.
    Refund,
    /// The payer disputes it, and the provider has taken it back.
    Dispute,
    /// The dispute ended otherwise, and it is there again.
    Reversal,
}

impl MovementKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Credit => "credit",
            Self::Refund => "refund",
            Self::Dispute => "dispute",
            Self::Reversal => "reversal",
        }
    }

    /// What its posting is.
    pub(crate) const fn posted_as(self) -> JournalKind {
        match self {
            Self::Credit => JournalKind::TopUp,
            Self::Refund => JournalKind::Refund,
            Self::Dispute | Self::Reversal => JournalKind::Chargeback,
        }
    }
}

/// A movement on its way into the books.
pub(super) struct NewMovement<'a> {
    pub(super) payment: PaymentId,
    pub(super) kind: MovementKind,
    pub(super) amount: Amount,
    pub(super) minor: i64,
    pub(super) reference: &'a str,
    /// Who decided it, where that is not the provider.
    pub(super) decided_by: Option<&'a str>,
    pub(super) memo: String,
    pub(super) actor: &'a str,
    /// When it was decided or heard of.
    pub(super) at: DateTime<Utc>,
}

impl NewMovement<'_> {
    /// Posts it to the wallet of the account whose books are locked, be there so much in it or not: the money has moved already.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when the balance would be beyond what can be written down; then nothing of these books may be written.
    pub(super) async fn post(&self, connection: &mut PgConnection, book: &mut Book) -> Result<PostingNumber> {
        let mut record = MovementRecord {
            account: book.account,
            // Known once it is posted; no part of the seal that the posting bears.
            posting: PostingNumber::NONE,
            payment: self.payment,
            kind: self.kind,
            amount: self.amount,
            minor: self.minor,
            reference: self.reference.to_owned(),
            decided_by: self.decided_by.map(str::to_owned),
            posted_at: book.now(),
        };
        let kind = self.kind.posted_as();
        let request = self.request(book)?;
        let wallet = book.wallet()?;
        record.posting = book
            .post(NewPosting {
                kind,
                memo: self.memo.clone(),
                actor: self.actor.to_owned(),
                request: Some(request),
                event_at: self.at,
                posted_at: record.posted_at,
                calls: None,
                seals: Some(record.seal().to_vec()),
                grants: vec![(wallet, self.amount.nanos())],
            })
            .map_err(|_| money::too_large())?;
        record.insert(connection).await?;
        Ok(record.posting)
    }

    /// What became of the same movement before, if it was posted. Of what is paid back there may be several that are alike.
    ///
    /// # Errors
    /// [`crate::Error::IdempotencyConflict`] where another sum, or another memo, was posted under its name.
    pub(super) async fn posted_before(&self, connection: &mut PgConnection, book: &Book) -> Result<Option<Posted>> {
        let Request { idempotency_key, digest } = self.request(book)?;
        money::posted_before(connection, book.account, &idempotency_key, &digest).await
    }

    fn request(&self, book: &Book) -> Result<Request> {
        let digest = money::request_digest(self.kind.posted_as(), &self.amount.to_string(), &self.memo, self.actor);
        let idempotency_key = match self.kind {
            // Of which there may be several: the sum tells them apart.
            MovementKind::Refund => format!("payment {} refund {} {}", self.payment, self.reference, book.next_number()?),
            kind => format!("payment {} {} {}", self.payment, kind.name(), self.reference),
        };
        Ok(Request { idempotency_key, digest })
    }
}

/// A row of `payment_movements`.
pub(crate) struct MovementRecord {
    pub(crate) account: AccountId,
    pub(crate) posting: PostingNumber,
    pub(crate) payment: PaymentId,
    pub(crate) kind: MovementKind,
    pub(crate) amount: Amount,
    pub(crate) minor: i64,
    pub(crate) reference: String,
    pub(crate) decided_by: Option<String>,
    pub(crate) posted_at: DateTime<Utc>,
}

impl MovementRecord {
    /// Of everything but the number of its posting, which bears this seal.
    fn seal(&self) -> Seal {
        encoding::seal(VERSION, self.digest_1())
    }

    /// Whether this is the row that was sealed so. `None` if a later version of Farebox sealed it.
    pub(crate) fn fits(&self, seal: &[u8]) -> Option<bool> {
        encoding::fits(seal, |version| (version == VERSION).then(|| self.digest_1()))
    }

    fn digest_1(&self) -> [u8; 32] {
        let mut row = Encoding::new(b"farebox payment movement 1");
        row.id(self.account.uuid());
        row.id(self.payment.uuid());
        row.text(self.kind.name());
        row.number(self.amount.nanos());
        row.number(self.minor);
        row.text(&self.reference);
        row.maybe(self.decided_by.as_deref(), Encoding::text);
        row.instant(self.posted_at);
        row.digest()
    }

    async fn insert(&self, connection: &mut PgConnection) -> Result<()> {
        sqlx::query!(
            r#"
            insert into payment_movements (account_id, posting, payment_id, kind, amount, minor, reference, decided_by, posted_at, seal)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            "#,
            self.account.uuid(),
            self.posting.get(),
            self.payment.uuid(),
            self.kind as MovementKind,
            self.amount.nanos(),
            self.minor,
            self.reference,
            self.decided_by,
            self.posted_at,
            &self.seal()[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// A movement, with what the journal says of it.
pub(crate) struct Moved {
    pub(crate) record: MovementRecord,
    pub(crate) seal: Vec<u8>,
    /// Its posting; `None` without one.
    pub(crate) posted: Option<PostedMovement>,
}

/// What the journal says of a movement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PostedMovement {
    pub(crate) kind: JournalKind,
    /// What it moved in the wallet.
    pub(crate) amount: Amount,
    pub(crate) at: DateTime<Utc>,
    /// The seal that it bears.
    pub(crate) seals: Option<Vec<u8>>,
}

/// Every movement of an account, by its posting.
pub(crate) async fn of_account(connection: &mut PgConnection, account: AccountId) -> Result<Vec<Moved>> {
    let rows = sqlx::query!(
        r#"
        select
            m.posting as "posting: PostingNumber", m.payment_id as "payment: PaymentId", m.kind as "kind: MovementKind", m.amount as "amount: Amount",
            m.minor, m.reference, m.decided_by, m.posted_at, m.seal,
            j.kind as "posted_as?: JournalKind", j.posted_at as "journal_at?", j.seals as "seals?",
            (
                select sum(e.amount) from entries e where e.account_id = m.account_id and e.seq = m.posting and e.grant_id is not null
            )::bigint as "moved: Amount"
        from payment_movements m
        left join journal j on j.account_id = m.account_id and j.seq = m.posting
        where m.account_id = $1
        order by m.posting
        "#,
        account.uuid()
    )
    .fetch_all(connection)
    .await?;
    let moved = rows.into_iter().map(|row| Moved {
        record: MovementRecord {
            account,
            posting: row.posting,
            payment: row.payment,
            kind: row.kind,
            amount: row.amount,
            minor: row.minor,
            reference: row.reference,
            decided_by: row.decided_by,
            posted_at: row.posted_at,
        },
        seal: row.seal,
        posted: row.posted_as.zip(row.moved).zip(row.journal_at).map(|((kind, amount), at)| PostedMovement {
            kind,
            amount,
            at,
            seals: row.seals,
        }),
    });
    Ok(moved.collect())
}
