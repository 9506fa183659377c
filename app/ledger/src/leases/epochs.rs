//! Epochs: the lives of proxies.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    id::{AccountId, EpochId},
    proxies::Report,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::rows;
use crate::{
    Admitted, Error, Meter, Result,
    books::{Books, Lock},
    database::Database,
    posting::BEGIN_DEFERRING,
};

/// Accounts whose slices go back together.
const TOGETHER: i64 = 100;

/// A life of a proxy that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewEpoch {
    /// Its id.
    pub id: EpochId,
    /// The proxy.
    pub proxy: Uuid,
    /// When the spool was made that its calls are in.
    pub spool_since: DateTime<Utc>,
    /// How long it lasts unless it is renewed.
    pub lasts: TimeDelta,
    /// How much longer a call that it admitted may run and take to be posted.
    pub longest: TimeDelta,
}

/// A life of a proxy that has leases, or had until somebody ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// Its id.
    pub id: EpochId,
    /// The proxy.
    pub proxy: Uuid,
    /// When the spool was made that its calls are in, to the microsecond.
    pub spool_since: DateTime<Utc>,
    /// Until when it admits calls, unless it is renewed.
    pub expires_at: DateTime<Utc>,
    /// Whether it has ended by Postgres' clock, unless it is renewed.
    pub has_expired: bool,
    /// Whether somebody has begun to end it.
    pub is_over: bool,
    /// Whether it has not been renewed for so long that nobody hears of its calls any more, by Postgres' clock.
    pub is_silent: bool,
}

/// An epoch that is over: it changes no lease any more, and what it had can go back.
#[derive(Debug)]
pub struct Ending {
    database: Database,
    epoch: EpochId,
}

impl Meter {
    /// Begins a proxy's life. Beginning it again changes nothing. Returns what Postgres' clock says.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn begin_epoch(&self, new: &NewEpoch) -> Result<DateTime<Utc>> {
        let mut tx = self.database.write().await?;
        sqlx::query!(
            r#"
            insert into epochs (epoch_id, proxy, spool_since, begun_at, renewed_at, expires_at, longest_ms)
            values ($1, $2, $3, clock_timestamp(), clock_timestamp(), clock_timestamp() + $4::bigint * interval '1 millisecond', $5)
            on conflict (epoch_id) do nothing
            "#,
            new.id.uuid(),
            new.proxy,
            new.spool_since,
            new.lasts.num_milliseconds(),
            new.longest.num_milliseconds()
        )
        .execute(&mut *tx)
        .await?;
        let clock = expect_on(&mut tx, new.id).await?;
        tx.commit().await?;
        Ok(clock)
    }

    /// Says that an epoch goes on, for so long, and how its proxy is. Returns what Postgres' clock says.
    ///
    /// # Errors
    /// [`Error::EpochOver`], [`Error::Unavailable`].
    pub async fn renew_epoch(&self, epoch: EpochId, lasts: TimeDelta, report: &Report) -> Result<DateTime<Utc>> {
        let mut tx = self.database.write().await?;
        let renewed = sqlx::query_scalar!(
            r#"
            update epochs set
                renewed_at = clock_timestamp(), expires_at = clock_timestamp() + $2::bigint * interval '1 millisecond', running = $3, unposted = $4,
                unposted_since = $5
            where epoch_id = $1 and over_at is null
            returning clock_timestamp() as "clock!"
            "#,
            epoch.uuid(),
            lasts.num_milliseconds(),
            i64::try_from(report.running).unwrap_or(i64::MAX),
            i64::try_from(report.unposted).unwrap_or(i64::MAX),
            report.unposted_since
        );
        let clock = renewed.fetch_optional(&mut *tx).await?.ok_or(Error::EpochOver)?;
        tx.commit().await?;
        Ok(clock)
    }

    /// Every epoch of which something may be leased, those of one proxy alone if it is named.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn epochs(&self, of: Option<Uuid>) -> Result<Vec<Epoch>> {
        let epochs = sqlx::query_as!(
            Epoch,
            r#"
            select epoch_id as "id: EpochId", proxy, spool_since, expires_at, expires_at < clock_timestamp() as "has_expired!",
                over_at is not null as "is_over!",
                expires_at + longest_ms * interval '1 millisecond' < clock_timestamp() as "is_silent!"
            from epochs
            where $1::uuid is null or proxy = $1
            order by begun_at
            "#,
            of
        );
        Ok(epochs.fetch_all(&mut *self.database.read().await?).await?)
    }

    /// Ends an epoch: from now on it changes no lease, and announces no call. Ending it again changes nothing.
    ///
    /// Whoever ends it knows that none of its calls runs any more, and that all that is known of them was posted: what comes later is posted as late.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn end_epoch(&self, epoch: EpochId) -> Result<Ending> {
        let mut tx = self.database.write().await?;
        // Waits for changes that are being applied, as an update alone would not.
        sqlx::query!("select from epochs where epoch_id = $1 for update", epoch.uuid()).fetch_optional(&mut *tx).await?;
        sqlx::query!("update epochs set over_at = coalesce(over_at, clock_timestamp()) where epoch_id = $1", epoch.uuid())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Ending { database: self.database.clone(), epoch })
    }
}

impl Ending {
    /// The calls that it announced and that were neither posted nor refused: nobody knows what they came to.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn announced(&self) -> Result<Vec<Admitted>> {
        super::announced::of_epoch(&self.database, self.epoch).await
    }

    /// Gives back all that it had leased. What its announced calls come to must be posted before. Returns whether all is done: an account that is
    /// locked right now is left for another time, and keeps no other back.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn give_back(&self) -> Result<bool> {
        let (mut last, mut is_all) = (Uuid::nil(), true);
        loop {
            let accounts = sqlx::query_scalar!(
                r#"
                select account_id as "account: AccountId" from leases where epoch_id = $1 and account_id > $2
                order by account_id limit $3
                "#,
                self.epoch.uuid(),
                last,
                TOGETHER
            );
            let accounts = accounts.fetch_all(&mut *self.database.read().await?).await?;
            let Some(account) = accounts.last() else { break };
            last = account.uuid();
            is_all &= self.give_back_of(&accounts).await? == accounts.len();
        }
        if is_all {
            // Those of calls that were posted while they were announced.
            super::announced::forget(&self.database, self.epoch).await?;
            let forget = sqlx::query!("delete from epochs where epoch_id = $1 and over_at is not null", self.epoch.uuid());
            self.database.execute(forget).await?;
        }
        Ok(is_all)
    }

    /// Of those of these accounts that are not locked. Returns how many that were.
    async fn give_back_of(&self, accounts: &[AccountId]) -> Result<usize> {
        match self.give_back_together(accounts).await {
            // Something else than the books is locked, or one of them is at fault: whose it is shows when the accounts stand alone.
            Err(error) if (error.is_a_lock() || error.is_of_the_data()) && accounts.len() > 1 => {
                let mut done = 0;
                for account in accounts {
                    done += self.give_back_alone(*account).await?;
                }
                Ok(done)
            }
            Err(error) if error.is_a_lock() => Ok(0),
            given => given,
        }
    }

    async fn give_back_alone(&self, account: AccountId) -> Result<usize> {
        match self.give_back_together(&[account]).await {
            Err(error) if error.is_a_lock() => Ok(0),
            Err(error) if error.is_of_the_data() => {
                tracing::error!(%error, %account, epoch = %self.epoch, "what was leased of an account cannot go back");
                Ok(0)
            }
            given => given,
        }
    }

    async fn give_back_together(&self, accounts: &[AccountId]) -> Result<usize> {
        let mut tx = self.database.write_with(BEGIN_DEFERRING).await?;
        match self.give_back_in(&mut tx, accounts).await {
            Ok(count) => {
                tx.commit().await?;
                Ok(count)
            }
            Err(error) => {
                // That is waited for: else what was locked for it would be found locked when each account is tried alone.
                if let Err(cut) = tx.rollback().await {
                    tracing::debug!(%cut, "a give-back was not undone in order: its connection is gone");
                }
                Err(error)
            }
        }
    }

    async fn give_back_in(&self, connection: &mut PgConnection, accounts: &[AccountId]) -> Result<usize> {
        let mut books = Books::lock(connection, accounts, Lock::Defer, self.database.dated).await?;
        let locked = books.accounts();
        for account in &locked {
            let lease = rows::take_all(connection, *account, self.epoch).await?;
            for slice in lease.slices {
                books.of(*account)?.hold(slice.hold, -slice.hold.quantity.get())?;
            }
        }
        books.write(connection).await?;
        Ok(locked.len())
    }
}

/// That an epoch is not over, and does not end before this transaction does. Returns what Postgres' clock says.
///
/// No stronger lock: a renewal would wait for it, and where changes overlap without end, forever.
pub(super) async fn expect_on(connection: &mut PgConnection, epoch: EpochId) -> Result<DateTime<Utc>> {
    let on = sqlx::query_scalar!(
        r#"select clock_timestamp() as "clock!" from epochs where epoch_id = $1 and over_at is null for key share"#,
        epoch.uuid()
    );
    on.fetch_optional(connection).await?.ok_or(Error::EpochOver)
}
