//! The hour of an account's books that is open: its calls, as far as they are posted.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    billing::JournalKind,
    id::{AccountId, GrantId},
    period::Step,
};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::{Books, Lock, NewPosting};
use crate::{Error, Result, System};

/// The most accounts whose hours are closed in one transaction.
const TOGETHER_MAX: i64 = 500;

/// The calls that were posted in an hour, without what they were charged, which the grants say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenCalls {
    /// When the hour began.
    pub(crate) hour: DateTime<Utc>,
    /// How many they are.
    pub(crate) calls: i64,
    /// The digest of their seals.
    pub(crate) seals: [u8; 32],
}

impl OpenCalls {
    /// An hour without calls.
    pub(crate) const fn since(hour: DateTime<Utc>) -> Self {
        Self { hour, calls: 0, seals: [0; 32] }
    }

    /// Adds the next call. They come in the order in which they were posted, those of one instant by their ids.
    pub(crate) fn add(&mut self, seal: &[u8]) -> Option<()> {
        self.calls = self.calls.checked_add(1)?;
        self.seals = Sha256::new_with_prefix(self.seals).chain_update(seal).finalize().into();
        Some(())
    }

    /// The instant that the hour's posting bears: its last microsecond, which is as fine as Postgres counts. Nothing else was posted in the hour
    /// after that, and what is posted in the next one comes later.
    pub(crate) fn end(&self) -> DateTime<Utc> {
        last_instant(self.hour)
    }

    /// The posting of the hour, when it has ended: what each grant gave.
    pub(super) fn posting(&self, charges: BTreeMap<GrantId, i64>) -> NewPosting {
        NewPosting {
            kind: JournalKind::Usage,
            memo: String::new(),
            actor: String::new(),
            request: None,
            event_at: self.hour,
            posted_at: self.end(),
            calls: Some(self.calls),
            seals: Some(self.seals.to_vec()),
            grants: charges.into_iter().map(|(grant, charged)| (grant, -charged)).collect(),
        }
    }
}

/// The hour that an instant is in.
pub(crate) fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    Step::Hour.floor(at)
}

fn last_instant(hour: DateTime<Utc>) -> DateTime<Utc> {
    hour.checked_add_signed(TimeDelta::hours(1) - TimeDelta::microseconds(1)).unwrap_or(hour)
}

impl System {
    /// Posts the usage of hours that have ended, of accounts that nobody has posted anything for since. Returns how many there were.
    ///
    /// An account that somebody has locked right now closes its hour itself, or is found the next time.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away.
    pub async fn close_hours(&self) -> Result<usize> {
        let mut closed = 0;
        loop {
            let accounts = ended(&mut *self.database.read().await?).await?;
            let found = match self.close_together(&accounts).await {
                Err(error) if error.is_of_the_data() => self.close_apart(&accounts).await?,
                found => found?,
            };
            closed += found;
            if found == 0 || (accounts.len() as i64) < TOGETHER_MAX {
                return Ok(closed);
            }
        }
    }

    async fn close_together(&self, accounts: &[AccountId]) -> Result<usize> {
        let mut tx = self.database.write().await?;
        let books = Books::lock(&mut tx, accounts, Lock::Defer, None).await?;
        let found = books.len();
        // To lock an account's books is to close its ended hours.
        books.write(&mut tx).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// One whose books cannot be read or written keeps no other's hour open.
    async fn close_apart(&self, accounts: &[AccountId]) -> Result<usize> {
        let mut found = 0;
        for account in accounts {
            match self.close_together(&[*account]).await {
                Err(error) if error.is_of_the_data() => {
                    tracing::error!(%account, %error, "the hour of an account cannot be closed: prove its books")
                }
                closed => found += closed?,
            }
        }
        Ok(found)
    }
}

async fn ended(connection: &mut PgConnection) -> Result<Vec<AccountId>> {
    let hour = hour_of(crate::clock(connection).await?);
    let accounts = sqlx::query_scalar!(
        r#"select account_id as "account_id: AccountId" from heads where hour < $1 order by hour, account_id limit $2"#,
        hour,
        TOGETHER_MAX
    );
    Ok(accounts.fetch_all(connection).await?)
}

pub(super) fn overflow() -> Error {
    Error::Corrupt("the books of an account overflow".to_owned())
}
