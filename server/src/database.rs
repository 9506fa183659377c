//! The database of this place: an embedded cluster, or one that somebody else runs.

use anyhow::{Context, anyhow, bail};
use chrono::Utc;
use ledger::{Address, Ledger, Login, Schema, secrets::SecretKey};

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
    login: Option<Login>,
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
        let address = Address::parse(&url)?;
        let login = match config.app_database_url.as_ref().filter(|_| cluster.is_none()) {
            Some(url) => Some(Login::parse(url.expose(), &address)?),
            None => None,
        };
        Ok(Self { url, address, login, cluster })
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

    /// Sees to it that the application can log in. Returns how it does.
    pub(crate) async fn prepare_login(&self, secret: &SecretKey, renew: bool) -> anyhow::Result<Login> {
        let login = self.login.clone().unwrap_or_else(|| Login::derived(&self.address, secret));
        if renew {
            Ledger::renew_login(&self.address, &login).await.context("cannot renew the application's login")?;
        }
        Ledger::prepare_login(&self.address, &login).await?;
        Ok(login)
    }

    /// A ledger on it as its owner, as whoever administers it works.
    pub(crate) fn ledger_as_owner(&self, connections: u32) -> Ledger {
        Ledger::connect_as_owner(&self.address, connections)
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
    with_ledger_of(config, COMMAND_CONNECTIONS, work).await
}

/// [`with_ledger`] with so many connections.
pub(crate) async fn with_ledger_of<T>(
    config: &Config,
    connections: u32,
    work: impl AsyncFnOnce(&Ledger) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
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
        let ledger = database.ledger_as_owner(connections);
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
