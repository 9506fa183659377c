//! The database of this place: an embedded cluster, or one that somebody else runs.

use anyhow::{Context, anyhow, bail};
use chrono::Utc;
use ledger::{Address, Ledger, Schema};

use crate::{
    cli::SecretText,
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
    address: Address,
    cluster: Option<Cluster>,
}

impl Database {
    /// The database that the configuration names, else the data folder's own cluster, which is started if it does not run.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        let cluster = match &config.database_url {
            Some(_) => None,
            None => Some(Cluster::join(&config.data_dir).await?),
        };
        let url =
            config.database_url.as_ref().map(SecretText::expose).or(cluster.as_ref().map(Cluster::url)).unwrap_or_default().to_owned();
        let application = config.app_database_url.as_ref().filter(|_| cluster.is_none());
        let address = Address::parse(&url, application.map(SecretText::expose), &config.secret_key()?)?;
        Ok(Self { url, address, cluster })
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
        Ok(Ledger::schema(&self.address).await?)
    }

    /// Brings it to this version's schema.
    pub(crate) async fn migrate(&self) -> anyhow::Result<()> {
        Ledger::migrate(&self.address, Utc::now()).await.context("cannot bring the database to this version's schema")
    }

    /// Gives the application's role another password, after the secret key was changed.
    pub(crate) async fn renew_login(&self) -> anyhow::Result<()> {
        Ledger::renew_login(&self.address).await.context("cannot renew the application's login")
    }

    /// A ledger on it, with a pool of its own.
    pub(crate) fn ledger(&self, connections: u32) -> Ledger {
        Ledger::connect(&self.address, connections)
    }

    /// A ledger to look by, before the database is brought to this version's schema.
    pub(crate) fn ledger_as_owner(&self) -> Ledger {
        Ledger::connect_as_owner(&self.address)
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
        } else {
            match database.schema().await? {
                Schema::Current | Schema::Later => {}
                Schema::Absent | Schema::Older => bail!("the database does not have this version's schema: run `farebox migrate` first"),
                Schema::TooNew => return Err(ledger::Error::Outdated.into()),
            }
        }
        let ledger = database.ledger(COMMAND_CONNECTIONS);
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
