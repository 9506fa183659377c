//! The database of this place: an embedded cluster, or one that somebody else runs.

use anyhow::{Context, anyhow, bail};
use chrono::Utc;
use ledger::{Ledger, Schema};

use crate::{
    config::Config,
    postgres::{Cluster, Watch},
    shutdown::Signals,
};

/// Connections of a command that does one thing after another.
const COMMAND_CONNECTIONS: u32 = 2;

/// A database that this process may use until it closes it.
#[derive(Debug)]
pub(crate) struct Database {
    url: String,
    cluster: Option<Cluster>,
}

impl Database {
    /// The database that the configuration names, else the data folder's own cluster, which is started if it does not run.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        if let Some(url) = &config.database_url {
            return Ok(Self { url: url.expose().to_owned(), cluster: None });
        }
        let cluster = Cluster::join(&config.data_dir).await?;
        Ok(Self { url: cluster.url().to_owned(), cluster: Some(cluster) })
    }

    /// Its address, as the role that owns the schema.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Keeps an embedded cluster running; one that somebody else runs is theirs to keep.
    pub(crate) fn watch(&self) -> Watch {
        Watch::over(self.cluster.as_ref())
    }

    /// What it holds.
    pub(crate) async fn schema(&self) -> anyhow::Result<Schema> {
        Ledger::schema(&self.url).await.context("cannot look into the database")
    }

    /// Brings it to this version's schema.
    pub(crate) async fn migrate(&self) -> anyhow::Result<()> {
        Ledger::migrate(&self.url, Utc::now()).await.context("cannot bring the database to this version's schema")
    }

    /// A ledger on it, with a pool of its own.
    pub(crate) fn ledger(&self, connections: u32) -> anyhow::Result<Ledger> {
        Ok(Ledger::connect(&self.url, connections)?)
    }

    /// Leaves it. An embedded cluster that nobody else uses is stopped.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self.cluster {
            Some(cluster) => cluster.leave().await,
            None => Ok(()),
        }
    }
}

/// Does one thing with the ledger, beside a server that runs or without one.
///
/// An embedded cluster is brought to this version's schema first, so that a new data folder can be set up before its first `serve`; another
/// database is changed only by `serve` and `migrate`.
pub(crate) async fn with_ledger<T>(config: &Config, work: impl AsyncFnOnce(&Ledger) -> anyhow::Result<T>) -> anyhow::Result<T> {
    with_database(config, async |database| {
        if database.cluster.is_some() {
            database.migrate().await?;
        } else if database.schema().await? != Schema::Current {
            bail!("the database does not have this version's schema: run `farebox migrate` first");
        }
        let ledger = database.ledger(COMMAND_CONNECTIONS)?;
        let done = work(&ledger).await;
        ledger.close().await;
        done
    })
    .await
}

/// Does one thing with the database, and closes it also when that fails or Ctrl-C ends it.
pub(crate) async fn with_database<T>(config: &Config, work: impl AsyncFnOnce(&Database) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut signals = Signals::listen()?;
    let database = Database::open(config).await?;
    let done = tokio::select! {
        done = work(&database) => done,
        () = signals.next() => Err(anyhow!("interrupted")),
    };
    database.close().await?;
    done
}
