//! A correction as it is stored.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    billing::PostingNumber,
    call::CorrectionKind,
    credit::Unit,
    id::{AccountId, CallId, PriceId},
};
use serde::Deserialize;
use sqlx::{FromRow, PgConnection};

use crate::{
    Error, Result, SettledCall,
    encoding::{self, Encoding, Seal},
    settled::{CallRecord, PaidShare, paid_in},
};

/// The newest encoding, by which corrections are sealed.
const VERSION: u8 = 2;
/// The one before, which knew nothing of calls that are charged anew.
const WITHOUT_PRICE: u8 = 1;

/// A row of `corrections`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CorrectionRecord {
    pub(crate) account_id: AccountId,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) call_id: CallId,
    /// Its posting in the journal.
    pub(crate) seq: PostingNumber,
    pub(crate) kind: CorrectionKind,
    /// What it adds to the call's totals; below zero it takes away.
    pub(crate) prompt_tokens: i64,
    pub(crate) completion_tokens: i64,
    pub(crate) total_tokens: i64,
    /// Nanos, likewise.
    pub(crate) amount: i64,
    /// What it adds to the tokens that were paid, of a call that is paid in tokens.
    pub(crate) tokens_paid: Option<i64>,
    /// Nanos.
    pub(crate) written_off: i64,
    pub(crate) paid_by: Vec<PaidShare>,
    /// Of late usage: the settlement that came late ([`SettledCall`] as JSON).
    pub(crate) settlement: Option<String>,
    /// Of a call that was charged anew: the version of its price.
    pub(crate) price_id: Option<PriceId>,
    pub(crate) posted_at: DateTime<Utc>,
}

impl CorrectionRecord {
    /// The seal to post it under: a version, and the SHA-256 of every column in an encoding like that of calls.
    pub(crate) fn seal(&self) -> Seal {
        encoding::seal(VERSION, self.digest_2())
    }

    /// Whether this is the row that was sealed so. `None` if a later version of Farebox sealed it.
    pub(crate) fn fits(&self, seal: &[u8]) -> Option<bool> {
        match seal.first() {
            // What was put there since would not show in that digest.
            Some(&WITHOUT_PRICE) if self.price_id.is_some() => Some(false),
            _ => encoding::fits(seal, |version| match version {
                VERSION => Some(self.digest_2()),
                WITHOUT_PRICE => Some(self.digest_1()),
                _ => None,
            }),
        }
    }

    fn digest_2(&self) -> [u8; 32] {
        let mut row = Encoding::new(b"farebox correction 2");
        self.encode_1(&mut row);
        row.maybe(self.price_id, |row, price| row.id(price.uuid()));
        row.digest()
    }

    fn digest_1(&self) -> [u8; 32] {
        let mut row = Encoding::new(b"farebox correction 1");
        self.encode_1(&mut row);
        row.digest()
    }

    fn encode_1(&self, row: &mut Encoding) {
        row.id(self.account_id.uuid());
        row.instant(self.started_at);
        row.id(self.call_id.uuid());
        row.number(self.seq.get());
        row.text(self.kind.name());
        for number in [self.prompt_tokens, self.completion_tokens, self.total_tokens, self.amount, self.written_off] {
            row.number(number);
        }
        row.maybe(self.tokens_paid, Encoding::number);
        row.shares(&self.paid_by);
        row.maybe(self.settlement.as_deref(), Encoding::text);
        row.instant(self.posted_at);
    }

    /// What it is counted in.
    pub(crate) const fn unit(&self) -> Unit {
        paid_in(self.tokens_paid)
    }

    /// What it adds to what its call was paid, in that.
    pub(crate) fn paid(&self) -> i64 {
        self.tokens_paid.unwrap_or(self.amount)
    }

    /// The settlement that came late.
    pub(crate) fn late(&self) -> Result<Option<SettledCall>> {
        let parsed = self.settlement.as_deref().map(serde_json::from_str).transpose();
        parsed.map_err(|error| Error::Corrupt(format!("the correction of posting {}: {error}", self.seq)))
    }
}

/// The corrections of a call, oldest first.
pub(crate) async fn of_call(connection: &mut PgConnection, account: AccountId, call: CallId) -> Result<Vec<CorrectionRecord>> {
    let rows = sqlx::query_scalar!(
        r#"select to_jsonb(x) as "record!" from corrections x where account_id = $1 and call_id = $2 order by seq"#,
        account.uuid(),
        call.uuid()
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(from_json).collect()
}

/// A row from what PostgreSQL's `to_jsonb` makes of it, so that the column list is in one place, [`CorrectionRecord`].
pub(super) fn from_json(row: serde_json::Value) -> Result<CorrectionRecord> {
    serde_json::from_value(row).map_err(|error| Error::Corrupt(format!("corrections: {error}")))
}

/// A correction as the proof finds it.
pub(crate) struct StoredCorrection {
    pub(crate) number: PostingNumber,
    pub(crate) call: CallId,
    /// `None` if its call is gone, or cannot be read.
    pub(crate) of: Option<CallRecord>,
    pub(crate) record: Result<CorrectionRecord>,
    pub(crate) seal: Vec<u8>,
}

/// Every correction of an account, those of a call together and oldest first. There are few: each is a dead proxy that was not, or an operator's
/// apology.
pub(crate) async fn of_account(connection: &mut PgConnection, account: AccountId) -> Result<Vec<StoredCorrection>> {
    let rows = sqlx::query!(
        r#"
        select seq as "number: PostingNumber", started_at, call_id as "call: CallId", to_jsonb(x) as "record!", seal
        from corrections x where account_id = $1 order by call_id, seq
        "#,
        account.uuid()
    )
    .fetch_all(&mut *connection)
    .await?;
    let calls = sqlx::query(
        "select c.* from unnest($2::timestamptz[], $3::uuid[]) b (started_at, call_id) \
         join calls c on c.account_id = $1 and c.started_at = b.started_at and c.call_id = b.call_id",
    )
    .bind(account.uuid())
    .bind(rows.iter().map(|row| row.started_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.call.uuid()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let calls: HashMap<_, _> = calls.iter().filter_map(|row| CallRecord::from_row(row).ok()).map(|call| (call.call_id, call)).collect();
    let stored = rows.into_iter().map(|row| StoredCorrection {
        number: row.number,
        call: row.call,
        of: calls.get(&row.call).cloned(),
        record: from_json(row.record),
        seal: row.seal,
    });
    Ok(stored.collect())
}
