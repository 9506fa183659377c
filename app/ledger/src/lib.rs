//! The ledger: every SQL statement of Farebox.
//!
//! A tenant's data is reached only through a scope value ([`scope`]), which can be had only by proving the right to it. Only
//! [`posting`](Meter::post_calls) posts usage, and replaying it changes nothing. [`Ledger::verify`] recomputes everything from the raw rows.

mod account_state;
mod accounts;
mod address;
mod admitted;
mod audit;
mod books;
mod buckets;
mod calls;
mod catalog;
mod codes;
mod corrections;
mod credit_lines;
mod customers;
mod database;
mod documents;
mod encoding;
mod error;
mod grants;
pub mod keys;
mod leases;
mod limits;
mod migration;
mod money;
mod monthly;
mod narrow;
mod new_grant;
mod notices;
mod page;
mod partitions;
mod password;
mod payments;
mod plans;
mod posting;
mod price_book;
mod prices;
mod projects;
mod proof;
mod report_keys;
mod rollups;
mod scope;
mod scram;
pub mod secrets;
mod sessions;
mod settled;
mod span;
mod statement;
mod today;
mod usage;
mod users;
mod wanted;

use std::{net::IpAddr, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::Database;
pub use crate::{
    accounts::{AccountSummary, Inhabitants, NewCustomer},
    address::{Address, Login},
    admitted::Admitted,
    books::Root,
    buckets::{BucketQuery, BucketRow},
    catalog::{Catalog, CatalogModel, Disabled, ModelChange, NewModel, NewProvider, ProviderChange, Upstream},
    codes::{NewBatch, Redeemed, Redemption},
    corrections::{CallCredit, CreditedCall, Replayable, Reprice},
    documents::{DocumentLooks, DocumentPage, NewBuyer, NewSeller},
    error::{Error, Result},
    grants::KeyUsage,
    keys::{KeyEntry, NewKey},
    leases::{ChangedLease, ChangedLeases, Ending, Epoch, NewEpoch, Wait},
    limits::NewLimit,
    migration::Schema,
    money::{MoneyIn, Posted},
    new_grant::NewGrant,
    notices::Notices,
    payments::{
        ASKED_AGAIN_FOR, AskedRefund, AutoPayment, Event, NewPayment, NewRefund, NewReturn, News, PaymentCredit, Returned, Says, SentBack,
        Taken,
    },
    plans::{Bought, NewPlan, Purchase},
    posting::PostedCalls,
    price_book::PriceBook,
    prices::{NewOwnPrice, NewPrice, OwnPrices, OwnReview, Review},
    projects::NewProject,
    proof::Verification,
    report_keys::NewReportKey,
    scope::{AccountMember, AccountOwner, AccountReader, Meter, Operator, System},
    settled::SettledCall,
    statement::JournalSlice,
    users::NewOperator,
};

/// The migrations, for tests that make databases of their own.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// How long a request waits for a connection when all are busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The database, as the application reaches it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    database: Database,
}

impl Ledger {
    /// Opens a pool of so many connections, which log in as the application's own role. Connects when first used.
    #[must_use]
    pub fn connect(login: &Login, connections: u32) -> Self {
        Self::connect_patiently(login, connections, ACQUIRE_TIMEOUT)
    }

    /// [`Self::connect`] with another time that whoever needs a connection waits for one when all are busy.
    #[must_use]
    pub fn connect_patiently(login: &Login, connections: u32, acquire_timeout: Duration) -> Self {
        Self { database: Database::open(login.options.clone(), connections, acquire_timeout) }
    }

    /// A pool of so many connections more, as the same role: for what must not wait for others. It is closed by itself.
    #[must_use]
    pub fn apart(&self, connections: u32) -> Self {
        Self { database: self.database.apart(connections) }
    }

    /// The same as the owner of the schema, for whoever administers the database anyway: the command line, which needs no secret key for that.
    #[must_use]
    pub fn connect_as_owner(address: &Address, connections: u32) -> Self {
        Self { database: Database::open(address.0.clone(), connections, ACQUIRE_TIMEOUT) }
    }

    /// Whether calls can be admitted and posted: the database answers, takes writes, and takes them from this version.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::ReadOnly`], [`Error::Outdated`].
    pub async fn ready(&self) -> Result<()> {
        self.database.write().await?.rollback().await?;
        Ok(())
    }

    /// Which database this is, and stays in a copy that takes its place.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn database_id(&self) -> Result<Uuid> {
        Ok(sqlx::query_scalar!("select database_id from identity").fetch_one(&mut *self.database.read().await?).await?)
    }

    /// What PostgreSQL's clock says, which is the one that all processes share.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn clock(&self) -> Result<DateTime<Utc>> {
        clock(&mut *self.database.read().await?).await
    }

    /// The same ledger for a history that is brought in: what is posted through it is dated so, but never in the future and never before what an
    /// account's books say already.
    #[must_use]
    pub fn dated(&self, at: DateTime<Utc>) -> Self {
        Self { database: self.database.clone().dated(at) }
    }

    /// The same ledger for whoever reaches the console from this address: the audit log says so.
    #[must_use]
    pub fn reached_from(&self, address: IpAddr) -> Self {
        Self { database: self.database.clone().reached_from(address) }
    }

    /// Closes every connection; what runs is finished first.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

async fn clock(connection: &mut PgConnection) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar!(r#"select clock_timestamp() as "clock!""#).fetch_one(connection).await?)
}
