//! The connections of a ledger: only such as can do what they are for.
//!
//! A connection that was made while the database took no writes (a standby, a database that an administrator froze) keeps refusing them after that
//! is over, and one to a server that is gone is dead. So each is asked as it leaves the pool, and one that cannot is closed, never handed out. A
//! transaction that writes asks once more, inside: whether this database takes writes, and whether it takes them from this version of Farebox.

use std::{net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::id::UserId;
use sqlx::{
    Connection, Execute, Executor, PgConnection, PgPool, PgTransaction, Postgres, Row,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use crate::{Error, MIGRATOR, Result, audit::Actor};

/// What holds for every session. Neither whoever locks an account's grants and forgets them, nor a process that hangs in the middle of a transaction,
/// keeps all others waiting; and a database whose default is another isolation gives a single statement the one that these are written for. None of them
/// runs for so long that compiling it pays.
const SESSION: &str = "set lock_timeout = '8s'; set idle_in_transaction_session_timeout = '60s'; \
                       set default_transaction_isolation = 'read committed'; set jit = off";

/// Under locks, each statement must see what the one before it waited for.
const WRITE: &str = "begin isolation level read committed";
const SNAPSHOT: &str = "begin isolation level repeatable read, read only";

/// Whoever waits for a connection for so long asks whether the database answers at all: if not, there is nothing to wait for.
const PATIENCE: Duration = Duration::from_millis(500);
/// What an answer to that may take, and for how long it is believed.
const PROBE: Duration = Duration::from_secs(2);
/// What an idle connection may take to say that it is still one: the other end may be gone without a word.
const CHECK: Duration = Duration::from_secs(2);

/// A pool of connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pool: PgPool,
    /// When the database was last asked whether it answers, and what came of it.
    probed: Arc<Mutex<Option<(Instant, bool)>>>,
    /// What is posted is dated so, if that is not in the future: see [`crate::Ledger::dated`].
    pub(crate) dated: Option<DateTime<Utc>>,
    /// Who changes something by it: the audit log says so.
    pub(crate) by: Arc<Actor>,
}

impl Database {
    /// Connects when first used. `acquire_timeout` is how long whoever needs a connection waits for one when all are busy.
    pub(crate) fn open(options: PgConnectOptions, connections: u32, acquire_timeout: Duration) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(acquire_timeout)
            .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(drop) }))
            // In place of the ping that the pool would make.
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(takes_writes(connection)))
            // What a request left behind that was given up is undone first; where the other end is gone without a word, nobody waits for that.
            .after_release(|connection, _| Box::pin(is_at_rest(connection)))
            .connect_lazy_with(options);
        Self { pool, probed: Arc::default(), dated: None, by: Arc::new(Actor::command_line()) }
    }

    /// A pool of so many connections more, to the same database.
    pub(crate) fn apart(&self, connections: u32) -> Self {
        let options = PgConnectOptions::clone(&self.pool.connect_options());
        Self { dated: self.dated, by: self.by.clone(), ..Self::open(options, connections, self.pool.options().get_acquire_timeout()) }
    }

    /// The same, for what is posted as of another instant.
    pub(crate) fn dated(self, at: DateTime<Utc>) -> Self {
        Self { dated: Some(at), ..self }
    }

    /// The same, for whoever comes from this address.
    pub(crate) fn reached_from(self, address: IpAddr) -> Self {
        Self { by: Arc::new(Actor { address: Some(address), ..Actor::clone(&self.by) }), ..self }
    }

    /// The same, for this person.
    pub(crate) fn by(self, user: UserId, email: String) -> Self {
        Self { by: Arc::new(Actor { who: email, user: Some(user), address: self.by.address }), ..self }
    }

    /// A connection to read by, statement by statement.
    ///
    /// # Errors
    /// [`Error::Unavailable`], within about a second when the database is away.
    pub(crate) async fn read(&self) -> Result<PoolConnection<Postgres>> {
        Ok(self.patiently(self.pool.acquire()).await?)
    }

    /// A transaction that writes.
    ///
    /// # Errors
    /// [`Error::Unavailable`], within about a second when the database is away; [`Error::ReadOnly`]; [`Error::Outdated`]. Nothing is done then.
    pub(crate) async fn write(&self) -> Result<PgTransaction<'static>> {
        self.write_with(WRITE).await
    }

    /// [`Self::write`], begun by other words.
    pub(crate) async fn write_with(&self, begin: &'static str) -> Result<PgTransaction<'static>> {
        let mut tx = self.patiently(self.pool.begin_with(begin)).await?;
        let state = sqlx::query!(
            r#"
            select current_setting('transaction_read_only')::boolean as "read_only!", (select oldest_writer from schema_contract) as "oldest_writer!"
            "#
        )
        .fetch_one(&mut *tx)
        .await?;
        match state {
            state if state.read_only => Err(Error::ReadOnly),
            state if Some(state.oldest_writer) > version() => Err(Error::Outdated),
            _ => Ok(tx),
        }
    }

    /// One statement that writes, in a transaction of its own. Returns how many rows it changed.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) async fn execute<'q>(&self, statement: impl Execute<'q, Postgres> + 'q) -> Result<u64> {
        let mut tx = self.write().await?;
        let done = tx.execute(statement).await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }

    /// A transaction that reads everything as it was at one instant.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) async fn snapshot(&self) -> Result<PgTransaction<'static>> {
        Ok(self.patiently(self.pool.begin_with(SNAPSHOT)).await?)
    }

    /// Closes every connection; what runs is finished first.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Waits in the pool's queue, but not for a database that is away.
    async fn patiently<T>(&self, connecting: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        let mut connecting = std::pin::pin!(connecting);
        loop {
            tokio::select! {
                biased;
                connected = &mut connecting => return connected,
                () = sleep(PATIENCE) => {}
            }
            if !self.answers().await {
                return Err(sqlx::Error::PoolTimedOut);
            }
        }
    }

    /// One asks for all that wait.
    async fn answers(&self) -> bool {
        let mut probed = self.probed.lock().await;
        if let Some((_, answered)) = probed.filter(|(at, _)| at.elapsed() < PROBE) {
            return answered;
        }
        let options = self.pool.connect_options();
        let answered = match timeout(PROBE, PgConnection::connect_with(&options)).await {
            Ok(Ok(_)) => true,
            // One that has no connection left answers; one that starts or stops does not (SQLSTATE 57P03).
            Ok(Err(sqlx::Error::Database(error))) => error.code().as_deref() != Some("57P03"),
            Ok(Err(_)) | Err(_) => false,
        };
        *probed = Some((Instant::now(), answered));
        answered
    }
}

/// Whether a connection that has been idle is still one, and not one that was made while the database took no writes.
async fn takes_writes(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let read_only = sqlx::query_scalar!(r#"select current_setting('transaction_read_only')::boolean as "read_only!""#);
    match timeout(CHECK, read_only.fetch_one(connection)).await {
        Ok(read_only) => Ok(!read_only?),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// Whether a connection that comes back can be used again; one that cannot is cut off. That is not one in the middle of a transaction: where nobody waits
/// for the beginning of one, sqlx does not undo it. In one message of its own, without a transaction around it, the two clocks are the same.
async fn is_at_rest(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let question = sqlx::raw_sql("select transaction_timestamp() = statement_timestamp()");
    match timeout(CHECK, question.fetch_one(connection)).await {
        Ok(answered) => answered?.try_get(0),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// This version's schema: its last migration.
pub(crate) fn version() -> Option<i64> {
    MIGRATOR.iter().map(|migration| migration.version).max()
}
