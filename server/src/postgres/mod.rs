//! The embedded PostgreSQL: one cluster in the data folder, shared by every farebox process that uses the folder.
//!
//! A process *joins* the cluster and *leaves* it: the first one starts it, the last one stops it. That `serve`, a subcommand beside it and a
//! subcommand alone all do the right thing follows from two locks, which end with their process however it ends:
//! - `users.lock` is held shared by whoever uses the cluster; who can take it for himself alone on leaving was the last one;
//! - `start.lock` is held while the cluster is looked at, started or stopped.
//!
//! A cluster whose farebox was killed runs on; the next process finds and joins it.
//!
//! Of `postgresql_embedded` only the download is used (see [`installation`]): it starts clusters with fsync off, initialises them in the
//! locale of the environment, and stops a cluster that runs when its value is dropped, whoever started it.

mod installation;
mod postmaster;

use std::{
    fs::{self, File, TryLockError},
    io::ErrorKind,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use self::{installation::Installation, postmaster::Postmaster};
use crate::{config::hex, files};

/// The role that `initdb` makes: it owns everything and may create databases, as tests do.
const ROLE: &str = "postgres";
/// The database that `initdb` makes. A cluster of our own needs no second one.
const DATABASE: &str = "postgres";

/// How long to wait for a start, crash recovery included, or for a stop.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often to look while waiting.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often to see whether a cluster in use is still there.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How often a cluster that is gone may fail to start, one look after the other, before its server gives up.
const RESTART_FAILURES_MAX: u32 = 30;
/// What PostgreSQL says while backends outlive their killed postmaster, which on a busy machine they notice only in time.
const MEMORY_TAKEN: &str = "pre-existing shared memory block";

/// The file that remembers a cluster's port.
const PORT: &str = "port";
/// What PostgreSQL says when somebody else has its port.
const PORT_TAKEN: &str = "Address already in use";

/// Said on every start. Durability is the default; it is said because nothing here may depend on a default.
const SETTINGS: [&str; 7] = [
    "listen_addresses=127.0.0.1",
    // The system's folder for sockets belongs to somebody else, and loopback serves other processes too.
    "unix_socket_directories=",
    "max_connections=100",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    // Compiling a query costs more than any query here runs.
    "jit=off",
];

/// A cluster that this process uses.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: PathBuf,
    users: File,
    url: String,
}

impl Cluster {
    /// Joins the cluster of this data folder: makes it if there is none, starts it if it does not run.
    pub(crate) async fn join(data_dir: &Path) -> anyhow::Result<Self> {
        let folder = data_dir.join("postgres");
        // Files, locks and programs: nothing here is worth being asynchronous.
        let cluster = tokio::task::spawn_blocking(move || join(folder, false)).await?.context("the embedded PostgreSQL")?;
        Ok(cluster)
    }

    /// Whether a cluster was ever made in this data folder.
    pub(crate) fn exists(data_dir: &Path) -> bool {
        data_dir.join("postgres/data").exists()
    }

    /// Its address, as the role that owns everything.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Leaves the cluster, which ends it if nobody else uses it.
    pub(crate) async fn leave(self) -> anyhow::Result<()> {
        tokio::task::spawn_blocking(move || leave(&self.folder, &self.users)).await?.context("the embedded PostgreSQL")
    }
}

/// Looks after a cluster while this process serves: PostgreSQL restarts what fails inside of it, but nobody restarts PostgreSQL.
#[derive(Debug)]
pub(crate) struct Watch {
    cluster: Option<(PathBuf, String)>,
}

impl Watch {
    pub(crate) fn over(cluster: Option<&Cluster>) -> Self {
        Self { cluster: cluster.map(|cluster| (cluster.folder.clone(), cluster.url.clone())) }
    }

    /// Starts the cluster again whenever it is gone, until `stop`.
    ///
    /// # Errors
    /// It does not start, or only under another address than the one that is in use.
    pub(crate) async fn keep_running(self, stop: &CancellationToken) -> anyhow::Result<()> {
        let Some((folder, url)) = self.cluster else { return Ok(()) };
        let data = folder.join("data");
        let mut failures = 0;
        let mut looks = tokio::time::interval(WATCH_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            // Where even looking fails, as for want of file descriptors, nothing is known.
            let Ok(postmaster) = Postmaster::read(&data) else { continue };
            if postmaster.is_some_and(|postmaster| postmaster.is_alive(&data)) {
                failures = 0;
                continue;
            }
            if !data.join("PG_VERSION").exists() {
                bail!("the embedded PostgreSQL has lost its folder {}", data.display());
            }
            tracing::error!("the embedded PostgreSQL is gone; starting it again");
            let folder = folder.clone();
            // Its lock among the users is held all the while by the cluster that is watched.
            match tokio::task::spawn_blocking(move || join(folder, true)).await? {
                Ok(again) if again.url != url => bail!("the embedded PostgreSQL came back on another port: start farebox again"),
                Ok(_) => {}
                Err(error) if failures < RESTART_FAILURES_MAX => {
                    failures += 1;
                    tracing::error!("the embedded PostgreSQL: {error:#}");
                }
                Err(error) => return Err(error).context("the embedded PostgreSQL"),
            }
        }
        Ok(())
    }
}

/// `is_in_use` says that somebody has its address: then it is started on no other port.
fn join(folder: PathBuf, is_in_use: bool) -> anyhow::Result<Cluster> {
    files::make_private_dir(&folder)?;
    let starting = files::open_lock(&folder.join("start.lock"))?;
    starting.lock()?;
    let users = files::open_lock(&folder.join("users.lock"))?;
    users.lock_shared()?;

    let password = files::read_or_write_once(&folder.join("password"), || hex(&rand::random::<[u8; 20]>()))?;
    let data = folder.join("data");
    let port = match running(&data)? {
        Some(port) => port,
        None => start(&folder, &data, is_in_use)?,
    };
    let url = format!("postgres://{ROLE}:{password}@127.0.0.1:{port}/{DATABASE}?sslmode=disable");
    Ok(Cluster { folder, users, url })
}

fn leave(folder: &Path, users: &File) -> anyhow::Result<()> {
    let starting = files::open_lock(&folder.join("start.lock"))?;
    starting.lock()?;
    match users.try_lock() {
        Ok(()) => stop(&folder.join("data")),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The port of the cluster if it runs. One that is starting or stopping is waited for.
fn running(data: &Path) -> anyhow::Result<Option<u16>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Postmaster::read(data)? {
            None => return Ok(None),
            Some(postmaster) if !postmaster.is_alive(data) => {
                // Killed. Its process id may be a stranger's by now, which would keep PostgreSQL from starting. What else the file guards
                // against, backends that outlive their postmaster, PostgreSQL finds out by the folder's inode as well.
                postmaster::forget(data)?;
                return Ok(None);
            }
            Some(postmaster) if postmaster.is_ready && postmaster.takes_connections() => return Ok(Some(postmaster.port)),
            Some(_) if Instant::now() > deadline => bail!("the cluster in {} neither starts nor stops", data.display()),
            Some(_) => wait_a_moment(),
        }
    }
}

/// Starts the cluster, after making it if there is none. Returns its port.
fn start(folder: &Path, data: &Path, keep_port: bool) -> anyhow::Result<u16> {
    let installation = Installation::find(folder, installation::major_of(data)?)?;
    if !data.exists() {
        initialise(&installation, folder, data)?;
    }
    let log = folder.join("server.log");
    let mut failure = String::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Only what this attempt writes says why it failed.
        if log.exists() {
            fs::rename(&log, folder.join("server.log.old"))?;
        }
        let port = match remembered_port(folder).filter(|_| keep_port) {
            Some(port) => port,
            None => choose_port(folder, failure.contains(PORT_TAKEN))?,
        };
        if run_server(&installation, data, &log, port)? {
            return Ok(port);
        }
        failure = fs::read_to_string(&log).unwrap_or_default();
        // Both go away: there is another port, and the backends end.
        let passes = [PORT_TAKEN, MEMORY_TAKEN].iter().any(|passing| failure.contains(passing));
        if !passes || Instant::now() > deadline {
            break;
        }
        std::thread::park_timeout(Duration::from_secs(1));
    }
    let last_lines: Vec<&str> = failure.lines().rev().take(5).collect();
    let last_lines: Vec<&str> = last_lines.into_iter().rev().collect();
    bail!("it does not start; {} ends with:\n{}", log.display(), last_lines.join("\n"))
}

/// Makes a cluster under another name, which becomes its own only when it is whole.
fn initialise(installation: &Installation, folder: &Path, data: &Path) -> anyhow::Result<()> {
    let draft = folder.join("data.draft");
    match fs::remove_dir_all(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    tracing::info!(postgresql = installation.major, "making a database in {}", data.display());
    let output = installation
        .command("initdb", folder)
        .arg("--pgdata")
        .arg(&draft)
        .arg("--pwfile")
        .arg(folder.join("password"))
        // C: the same order and the same answers on every machine, whatever its locales.
        .args(["--username", ROLE, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--data-checksums"])
        .stdin(Stdio::null())
        .output()
        .context("initdb")?;
    if !output.status.success() {
        bail!("initdb: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::rename(&draft, data)?;
    Ok(())
}

/// Starts the server through `pg_ctl`, which gives it a session of its own: Ctrl-C in the terminal is for farebox, which stops it last.
fn run_server(installation: &Installation, data: &Path, log: &Path, port: u16) -> anyhow::Result<bool> {
    let options = SETTINGS.iter().fold(format!("-p {port}"), |options, setting| format!("{options} -c {setting}"));
    let mut command: Command = installation.command("pg_ctl", data);
    command.args(["start", "--silent", "--wait", "--timeout", &PATIENCE.as_secs().to_string()]);
    command.arg("--pgdata").arg(data).arg("--log").arg(log).args(["--options", &options]);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().context("pg_ctl")?;
    Ok(status.success())
}

/// Ends the cluster in order: connections are cut, transactions rolled back, everything is on disk.
fn stop(data: &Path) -> anyhow::Result<()> {
    let Some(postmaster) = Postmaster::read(data)?.filter(|postmaster| postmaster.is_alive(data)) else {
        return Ok(());
    };
    postmaster.ask_to_stop()?;
    let deadline = Instant::now() + PATIENCE;
    // Removing its file is the last thing that it does.
    while Postmaster::read(data)?.is_some_and(|now| now.pid == postmaster.pid && now.is_alive(data)) {
        if Instant::now() > deadline {
            bail!("it does not stop");
        }
        wait_a_moment();
    }
    Ok(())
}

/// The cluster's port: the one it had before, else a free one, so that its address outlives a restart.
fn choose_port(folder: &Path, anew: bool) -> anyhow::Result<u16> {
    if let Some(port) = remembered_port(folder).filter(|port| !anew && TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
        return Ok(port);
    }
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    files::replace(&folder.join(PORT), port.to_string().as_bytes())?;
    Ok(port)
}

fn remembered_port(folder: &Path) -> Option<u16> {
    fs::read_to_string(folder.join(PORT)).ok()?.trim().parse().ok()
}

/// On a thread that may block.
fn wait_a_moment() {
    std::thread::park_timeout(LOOK_AGAIN);
}
