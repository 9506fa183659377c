//! A posting of the journal, and the digest that seals it and all that were posted before it.

use chrono::{DateTime, Utc};
use domain::{
    billing::{JournalKind, PostingNumber},
    id::{AccountId, GrantId},
};

use crate::encoding::{self, Encoding, Seal};

/// The newest encoding, by which postings are sealed.
const VERSION: u8 = 1;

/// The book of grants; each other book has its name from [`JournalKind::book`].
pub(crate) const GRANT: &str = "grant";

/// A posting that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewPosting {
    pub(crate) kind: JournalKind,
    pub(crate) memo: String,
    pub(crate) actor: String,
    pub(crate) request: Option<Request>,
    pub(crate) event_at: DateTime<Utc>,
    pub(crate) posted_at: DateTime<Utc>,
    /// Of usage: how many calls it sums up.
    pub(crate) calls: Option<i64>,
    /// What it is posted for: the digest of its calls' seals, or the seal of its correction.
    pub(crate) seals: Option<Vec<u8>>,
    /// What each grant gets, below zero what it gives, in its unit. The book of the posting's kind stands against them, in each unit.
    pub(crate) grants: Vec<(GrantId, i64)>,
}

/// What was asked for: an idempotency key, and the digest of what stands under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) idempotency_key: String,
    pub(crate) digest: [u8; 32],
}

/// A row of `journal` with its rows of `entries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PostingRecord {
    pub(crate) account: AccountId,
    pub(crate) number: PostingNumber,
    pub(crate) kind: JournalKind,
    pub(crate) memo: String,
    pub(crate) actor: String,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) request_digest: Option<Vec<u8>>,
    pub(crate) event_at: DateTime<Utc>,
    pub(crate) posted_at: DateTime<Utc>,
    pub(crate) calls: Option<i64>,
    pub(crate) seals: Option<Vec<u8>>,
    /// By line.
    pub(crate) entries: Vec<EntryRecord>,
}

/// A row of `entries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryRecord {
    pub(crate) line: i16,
    pub(crate) book: String,
    pub(crate) unit: String,
    pub(crate) grant: Option<GrantId>,
    pub(crate) amount: i64,
    pub(crate) balance_after: i64,
}

impl PostingRecord {
    /// The digest to post it under: a version, and the SHA-256 of every column, the entries, and the digest of the posting before it.
    pub(crate) fn digest(&self, before: Option<&[u8]>) -> Seal {
        encoding::seal(VERSION, self.digest_1(before))
    }

    /// Whether this is the row that was posted so, after that one. `None` if a later version of Farebox posted it.
    pub(crate) fn fits(&self, before: Option<&[u8]>, digest: &[u8]) -> Option<bool> {
        encoding::fits(digest, |version| (version == VERSION).then(|| self.digest_1(before)))
    }

    fn digest_1(&self, before: Option<&[u8]>) -> [u8; 32] {
        let mut row = Encoding::new(b"farebox posting 1");
        row.maybe(before, Encoding::bytes);
        row.id(self.account.uuid());
        row.number(self.number.get());
        row.text(self.kind.name());
        row.text(&self.memo);
        row.text(&self.actor);
        row.maybe(self.idempotency_key.as_deref(), Encoding::text);
        row.maybe(self.request_digest.as_deref(), Encoding::bytes);
        row.instant(self.event_at);
        row.instant(self.posted_at);
        row.maybe(self.calls, Encoding::number);
        row.maybe(self.seals.as_deref(), Encoding::bytes);
        row.number(self.entries.len() as i64);
        for entry in &self.entries {
            row.number(i64::from(entry.line));
            row.text(&entry.book);
            row.text(&entry.unit);
            row.maybe(entry.grant.map(GrantId::uuid), Encoding::id);
            row.number(entry.amount);
            row.number(entry.balance_after);
        }
        row.digest()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use uuid::Uuid;

    use super::*;

    fn posting() -> PostingRecord {
        let grant = GrantId::from_uuid(Uuid::from_u128(2));
        let entry = |line, book: &str, grant, amount| EntryRecord {
            line,
            book: book.to_owned(),
            unit: "money".to_owned(),
            grant,
            amount,
            balance_after: 10 + amount,
        };
        PostingRecord {
            account: AccountId::from_uuid(Uuid::from_u128(1)),
            number: PostingNumber::from_count(7),
            kind: JournalKind::Usage,
            memo: String::new(),
            actor: String::new(),
            idempotency_key: Some("key".to_owned()),
            request_digest: Some(vec![3; 32]),
            event_at: "2026-06-15T12:00:00Z".parse().unwrap(),
            posted_at: "2026-06-15T12:59:59.999999Z".parse().unwrap(),
            calls: Some(4),
            seals: Some(vec![5; 32]),
            entries: vec![entry(1, GRANT, Some(grant), -6), entry(2, "revenue", None, 6)],
        }
    }

    /// What is stored outlives its writer: this digest must be the same in every later version.
    #[test]
    fn the_first_encoding_never_changes() {
        let hex = |digest: Seal| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(posting().digest(None)), "01f7cb9b617e9875470163251336424ba273087b7c022c249fcbaa1c9f8ba5a97e");
        assert_eq!(hex(posting().digest(Some(&[1; 33]))), "01b5a90be6f37e5b88a95aab0d8d86ccca6106ab8319958265c533a612ef8ae139");
        assert_eq!(posting().fits(None, &[2; 33]), None, "what a later version posted is not called forged");
        assert_eq!(posting().fits(None, &[]), None);
    }

    #[test]
    fn nothing_of_a_posting_can_be_changed_nor_what_came_before_it() {
        let digest = posting().digest(Some(&[1; 33]));
        assert_eq!(posting().fits(Some(&[1; 33]), &digest), Some(true));
        assert_eq!(posting().fits(Some(&[2; 33]), &digest), Some(false), "another one was before it");
        assert_eq!(posting().fits(None, &digest), Some(false), "none was before it");
        let changes: [fn(&mut PostingRecord); 20] = [
            |it| it.account = AccountId::from_uuid(Uuid::from_u128(9)),
            |it| it.number = PostingNumber::from_count(8),
            |it| it.kind = JournalKind::TopUp,
            |it| it.memo = "x".to_owned(),
            |it| it.actor = "x".to_owned(),
            |it| it.idempotency_key = None,
            |it| it.request_digest = None,
            |it| it.event_at += chrono::TimeDelta::microseconds(1),
            |it| it.posted_at += chrono::TimeDelta::microseconds(1),
            |it| it.calls = Some(5),
            |it| it.calls = None,
            |it| it.seals = Some(vec![6; 32]),
            |it| it.seals = None,
            |it| it.entries.truncate(1),
            |it| it.entries[0].line = 3,
            |it| it.entries[0].book = "cash".to_owned(),
            |it| it.entries[0].unit = "tokens".to_owned(),
            |it| it.entries[0].grant = None,
            |it| it.entries[1].amount = 7,
            |it| it.entries[1].balance_after = 7,
        ];
        for (place, change) in changes.into_iter().enumerate() {
            let mut changed = posting();
            change(&mut changed);
            assert_eq!(changed.fits(Some(&[1; 33]), &digest), Some(false), "change {place}");
        }
    }
}
