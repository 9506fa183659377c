//! The ledger: every SQL statement of Farebox.
//!
//! A tenant's data is reached only through a scope value ([`scope`]), which can be had only by proving the right to it. Only
//! [`posting`](Meter::post_calls) posts usage, and replaying it changes nothing. [`Ledger::verify`] recomputes everything from the raw rows.

mod accounts;
mod calls;
mod catalog;
mod customers;
mod error;
mod grants;
mod journal;
pub mod keys;
mod leases;
mod partitions;
mod password;
mod posting;
mod prices;
mod proof;
mod rollups;
mod scope;
pub mod secrets;
mod sessions;
mod settled;
mod usage;
mod users;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{
    Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub use crate::{
    accounts::{AccountSummary, Inhabitants, NewCustomer},
    catalog::{Catalog, CatalogModel, NewModel, NewProvider, Upstream},
    error::{Error, Result},
    grants::{KeyUsage, Share, split},
    journal::{MoneyIn, Posted},
    keys::{KeyEntry, NewKey},
    leases::Intent,
    posting::Posting,
    prices::NewPrice,
    proof::{Fault, Proof},
    scope::{AccountMember, AccountOwner, AccountReader, Meter, Operator, System},
    settled::SettledCall,
    users::NewOperator,
};

/// What a database holds of this version's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Nothing: no version of Farebox was here.
    Absent,
    /// An older version's: it must be migrated.
    Older,
    /// All of it.
    Current,
}

/// The migrations, for tests that make databases of their own.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// Neither whoever locks an account's grants and forgets them, nor a process that hangs in the middle of a transaction, keeps all others waiting.
const NO_WAITING: &str = "set lock_timeout = '8s'; set idle_in_transaction_session_timeout = '60s'";

/// How long a request waits for a connection before it is told that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    pool: PgPool,
}

impl Ledger {
    /// Opens a pool whose connections work as `farebox_app`. Connects when first used.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the address is none.
    pub fn connect(url: &str, connections: u32) -> Result<Self> {
        let options = url.parse::<PgConnectOptions>().map_err(|error| Error::invalid("database URL", error.to_string()))?;
        Ok(Self::with_options(options, connections, ACQUIRE_TIMEOUT))
    }

    /// [`Self::connect`] with options that were parsed before, and how long whoever needs a connection waits for one.
    #[must_use]
    pub fn with_options(options: PgConnectOptions, connections: u32, acquire_timeout: Duration) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(acquire_timeout)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute("set role farebox_app").await?;
                    connection.execute(NO_WAITING).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Self { pool }
    }

    /// Brings the database to this version's schema, as the role of the address, and makes the partitions around `now`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away, [`Error::Corrupt`] when its migrations are not ours.
    pub async fn migrate(url: &str, now: DateTime<Utc>) -> Result<()> {
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT).connect(url).await?;
        MIGRATOR.run(&pool).await.map_err(|error| Error::Corrupt(format!("migrations: {error}")))?;
        let ledger = Self { pool };
        ledger.system().make_partitions(now).await?;
        become_application(&ledger.pool).await?;
        ledger.pool.close().await;
        Ok(())
    }

    /// What the database holds. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away.
    pub async fn schema(url: &str) -> Result<Schema> {
        let mut connection = PgConnection::connect(url).await?;
        let known: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut connection).await?;
        let latest: Option<i64> = match known {
            false => None,
            true => sqlx::query_scalar("select max(version) from _sqlx_migrations where success").fetch_one(&mut connection).await?,
        };
        connection.close().await?;
        Ok(match latest {
            None => Schema::Absent,
            latest if latest < MIGRATOR.iter().map(|migration| migration.version).max() => Schema::Older,
            Some(_) => Schema::Current,
        })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when not.
    pub async fn ready(&self) -> Result<()> {
        sqlx::query!("select 1 as one").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// What PostgreSQL's clock says, which is the one that all processes share.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn clock(&self) -> Result<DateTime<Utc>> {
        clock(&self.pool).await
    }

    /// Closes every connection; what runs is finished first.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn clock(pool: &PgPool) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar!(r#"select clock_timestamp() as "clock!""#).fetch_one(pool).await?)
}

/// Whoever owns the schema must be able to become the application's role; better said now than as a pool without connections.
async fn become_application(pool: &PgPool) -> Result<()> {
    pool.execute("set role farebox_app").await.map(|_| ()).map_err(|error| {
        let problem = format!("its role cannot become farebox_app ({error}): let an administrator grant farebox_app to it");
        Error::invalid("database URL", problem)
    })
}
