//! Starting the servers, saying that they answer, and stopping everything in order.

mod announce;
mod before;

use std::{
    fs::{File, TryLockError},
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use app::server::{DeviceSecret, Stripe};
use axum::Router;
use chrono::Utc;
use ledger::{Ledger, Schema};
use metrics_exporter_prometheus::PrometheusHandle;
use proxy::{Proxy, SpoolSettings, WhenAway, spool::Durability};
use tokio::{
    net::{TcpListener, TcpSocket},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    cli::{ByteCount, Part, PublicUrl, ServeArgs, SignUp, SpoolSync, WhenDatabaseAway},
    config::Config,
    console::{self, ConsoleSettings},
    database::Database,
    demo::{self, SignIns},
    files, http, jobs, metrics,
    open_files::{self, Connections},
    postgres::Watch,
    ready::{Ready, ReadyFile},
    shutdown::Signals,
};

/// Pools of their own, so that no page keeps a call waiting for its connection and no call the books. Together well below the embedded database's 100.
const CONSOLE_CONNECTIONS: u32 = 12;
const PROXY_CONNECTIONS: u32 = 12;
const BACKGROUND_CONNECTIONS: u32 = 20;

/// Connections that wait to be accepted at most, if the system allows so many. What comes beyond that is cut off by the system: with its usual 128, that is the
/// most of a crowd.
const WAITING_MAX: u32 = 4_096;

/// How long the console's running requests may go on after it was asked to stop.
const CONSOLE_STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Signals that come sooner after the first one are the same request.
const INSISTED_AFTER: Duration = Duration::from_secs(1);
/// How long connections to the database may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// `farebox serve`: runs until a signal asks it to stop. Returns when nothing of it is left.
pub(crate) async fn serve(args: &ServeArgs, config: &Config, ready_file: Option<&ReadyFile>) -> anyhow::Result<()> {
    let _only_one = lock(&config.data_dir)?;
    let mut signals = Signals::listen()?;
    let database = Database::open(config).await?;
    let stop = CancellationToken::new();
    // The first signal asks, a later one insists. Whoever signals a process and then its group asks once.
    let insisted = async {
        signals.next().await;
        stop.cancel();
        let asked = Instant::now();
        signals.next().await;
        while asked.elapsed() < INSISTED_AFTER {
            signals.next().await;
        }
    };
    let served = tokio::select! {
        served = serve_on(&database, args, config, ready_file, &stop) => served,
        () = insisted => Err(anyhow!("stopped at once, as the second signal asked: running calls were left")),
    };
    if let Some(ready_file) = ready_file {
        ready_file.remove();
    }
    let closed = database.close().await;
    served.and(closed)
}

/// `farebox postgres`: the embedded cluster alone.
pub(crate) async fn postgres_alone(config: &Config) -> anyhow::Result<()> {
    if config.database_url.is_some() {
        bail!("farebox postgres runs the embedded PostgreSQL: unset DATABASE_URL");
    }
    let mut signals = Signals::listen()?;
    let database = Database::open(config).await?;
    let printed = writeln!(io::stdout(), "{}", database.url()).and_then(|()| io::stdout().flush());
    if printed.is_ok() {
        signals.next().await;
    }
    database.close().await?;
    Ok(printed?)
}

async fn serve_on(
    database: &Database,
    args: &ServeArgs,
    config: &Config,
    ready_file: Option<&ReadyFile>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    // A signal during the start ends it where it is: everything that it does can be done again.
    let Some(site) = stop.run_until_cancelled(Site::build(database, args, config)).await else {
        return Ok(());
    };
    site?.run_until_stopped(ready_file, stop).await
}

const LOCK: &str = "serve.lock";

/// Keeps a second `serve` off this data folder.
fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join(LOCK);
    let file = files::open_lock(&path).with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(another_serves(data_dir)),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Ends a second `serve` on this data folder before it takes the first one's ready file.
pub(crate) fn expect_alone(data_dir: &Path) -> anyhow::Result<()> {
    match File::open(data_dir.join(LOCK)).map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => Err(another_serves(data_dir)),
        // There was none yet, or what is wrong with it is said when it is taken.
        _ => Ok(()),
    }
}

fn another_serves(data_dir: &Path) -> anyhow::Error {
    anyhow!("another farebox serves the data folder {}: stop it, or choose another --data-dir", data_dir.display())
}

/// Everything that serves, bound but not yet accepting.
struct Site {
    console: Option<(TcpListener, Router)>,
    proxy: Option<(TcpListener, Proxy)>,
    metrics: Option<(TcpListener, PrometheusHandle)>,
    upstream: Option<demo::Upstream>,
    /// The console's, the proxy's and the background's.
    ledgers: [Ledger; 3],
    stripe: Option<Stripe>,
    watch: Watch,
    ready: Ready,
    data_dir: PathBuf,
    connections: Connections,
}

impl Site {
    async fn build(database: &Database, args: &ServeArgs, config: &Config) -> anyhow::Result<Self> {
        // A slip of the hand must not change what is real, not even its schema.
        if database.schema().await? != Schema::Absent {
            let ledger = database.ledger_as_owner(1);
            let refused = demo::refuse_a_mixture(&ledger, args.demo).await;
            ledger.close().await;
            refused?;
        }
        database.migrate().await?;
        let secret_key = config.secret_key()?;
        let login = database.prepare_login(&secret_key, false).await?;
        let device_secret = DeviceSecret::new(secret_key.derive("farebox known devices", "console"));
        let ledgers =
            [CONSOLE_CONNECTIONS, PROXY_CONNECTIONS, BACKGROUND_CONNECTIONS].map(|connections| Ledger::connect(&login, connections));
        let [console_ledger, proxy_ledger, background_ledger] = &ledgers;

        let (upstream, sign_ins) = if args.demo {
            let upstream = demo::Upstream::start().await?;
            let sign_ins = demo::prepare(console_ledger, &config.data_dir, &upstream, Utc::now()).await?;
            (Some(upstream), Some(sign_ins))
        } else {
            (None, None)
        };

        let connections = open_files::raise();
        // Before anything is counted.
        let metrics = match args.metrics_addr {
            Some(address) => Some((listen(address)?, metrics::record()?)),
            None => None,
        };
        // Bound before anything is told its address: a port of 0 is chosen by the system.
        let console_listener = bind(args, Part::Console, args.console_addr)?;
        let proxy_listener = bind(args, Part::Proxy, args.proxy_addr)?;
        let console_url = public_url(args.console_url.as_ref(), args.console_addr, console_listener.as_ref())?;
        let proxy_url = public_url(args.proxy_url.as_ref(), args.proxy_addr, proxy_listener.as_ref())?;

        let proxy = match proxy_listener {
            Some(listener) => {
                let settings = proxy::Settings {
                    console_url: console_url.clone(),
                    proxy_url: proxy_url.clone(),
                    allowed_origins: args.allowed_origins.clone(),
                    instance: instance(&config.data_dir)?,
                    spool: spool(args, config),
                    when_away: match args.when_database_away {
                        WhenDatabaseAway::GoOn => WhenAway::GoOn,
                        WhenDatabaseAway::Refuse => WhenAway::Refuse,
                    },
                    connections_max: connections.proxy,
                    connections_per_address_max: connections.of_one_address(args.connections_per_address),
                    trusted_proxies: args.trusted_proxies.clone(),
                    shutdown_timeout: Duration::from_secs(args.drain_seconds.into()),
                    ..proxy::Settings::default()
                };
                let proxy = Proxy::start(proxy_ledger.clone(), background_ledger, secret_key, settings).await;
                Some((listener, proxy.context("the proxy cannot start")?))
            }
            None => None,
        };
        let console = match console_listener {
            Some(listener) => {
                before::warn_where_none_is_named(listener.local_addr()?, &console_url, &args.trusted_proxies);
                let settings = ConsoleSettings {
                    console_url: console_url.clone(),
                    proxy_url: proxy_url.clone(),
                    demo: sign_ins.as_ref().map(SignIns::on_the_sign_in_page),
                    signup_open: args.signup == SignUp::Open,
                    trusted_proxies: args.trusted_proxies.clone(),
                    stripe: config.stripe.clone(),
                    sales_contact: args.sales_contact.clone().map(|contact| (contact.link, contact.words)),
                    device_secret,
                    posting_limit: args.posting_limit,
                };
                Some((listener, console::router(console_ledger.clone(), settings)))
            }
            None => None,
        };
        let ready = Ready {
            console_url: console.is_some().then_some(console_url),
            proxy_url: proxy.is_some().then_some(proxy_url),
            database_url: database.url().to_owned(),
            demo: sign_ins,
        };
        Ok(Self {
            console,
            proxy,
            metrics,
            upstream,
            ledgers,
            stripe: config.stripe.clone(),
            watch: database.watch(),
            ready,
            data_dir: config.data_dir.clone(),
            connections,
        })
    }

    /// Serves until it is told to stop, or until one part fails, which stops the others; then: listeners, running calls, posting, sessions.
    async fn run_until_stopped(self, ready_file: Option<&ReadyFile>, stop: &CancellationToken) -> anyhow::Result<()> {
        let Self { console, proxy, metrics, upstream, ledgers, stripe, watch, ready, data_dir, connections } = self;
        let bound = [console.as_ref().map(|(listener, _)| listener), proxy.as_ref().map(|(listener, _)| listener)];
        let bound = bound.into_iter().flatten().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        let console = async {
            if let Some((listener, router)) = console {
                http::serve(listener, router, connections.console, stop, CONSOLE_STOP_TIMEOUT).await;
            }
        };
        let proxy = async {
            match proxy {
                Some((listener, proxy)) => proxy.serve(listener, stop.clone()).await.context("proxy"),
                None => Ok(()),
            }
        };
        let metrics = async {
            if let Some((listener, recorded)) = metrics {
                metrics::serve(listener, recorded, stop).await;
            }
        };
        let announced = async {
            match stop.run_until_cancelled(announce::when_answering(&bound, &ready, &data_dir, ready_file)).await {
                Some(announced) => announced,
                None => Ok(()),
            }
        };
        let [_, _, background_ledger] = &ledgers;
        let jobs = jobs::run(background_ledger, stripe.as_ref(), stop);
        let watch = or_stop(watch.keep_running(stop), stop);
        let proxy = or_stop(proxy, stop);
        let ((), proxy, (), announced, watched, ()) = tokio::join!(console, proxy, metrics, or_stop(announced, stop), watch, jobs);

        // Nothing calls or posts any more.
        let upstream = match upstream {
            Some(upstream) => upstream.stop().await.context("demo upstream"),
            None => Ok(()),
        };
        // A connection to a database that hangs is not waited for.
        let [one, another, third] = &ledgers;
        let _ = timeout(CLOSE_TIMEOUT, async { tokio::join!(one.close(), another.close(), third.close()) }).await;
        proxy.and(announced).and(watched).and(upstream)
    }
}

/// A part that fails takes the others along, in order.
async fn or_stop(part: impl Future<Output = anyhow::Result<()>>, stop: &CancellationToken) -> anyhow::Result<()> {
    part.await.inspect_err(|error| {
        tracing::error!("{error:#}; stopping");
        stop.cancel();
    })
}

fn bind(args: &ServeArgs, part: Part, address: SocketAddr) -> anyhow::Result<Option<TcpListener>> {
    if args.only.is_some_and(|only| only != part) {
        return Ok(None);
    }
    listen(address).map(Some)
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listening = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart does not wait for the connections of the last run.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(WAITING_MAX)
    };
    listening().with_context(|| format!("cannot listen on {address}"))
}

/// The address that people use: the one that was configured, else the one that is really bound.
fn public_url(configured: Option<&PublicUrl>, address: SocketAddr, listener: Option<&TcpListener>) -> anyhow::Result<String> {
    let bound = listener.map_or(Ok(address), TcpListener::local_addr)?;
    Ok(configured.map_or_else(|| PublicUrl::of_listener(bound).to_string(), ToString::to_string))
}

fn spool(args: &ServeArgs, config: &Config) -> SpoolSettings {
    SpoolSettings {
        folder: config.spool_dir(args.spool_dir.as_deref()),
        durability: match args.spool_sync {
            SpoolSync::Os => Durability::Os,
            SpoolSync::Disk => Durability::Disk,
        },
        bytes_max: args.spool_max.map(|ByteCount(bytes)| bytes),
        ..SpoolSettings::default()
    }
}

/// Which proxy this is, from run to run: the next one settles the calls that this one may be killed in.
fn instance(data_dir: &Path) -> anyhow::Result<Uuid> {
    let path = data_dir.join("proxy.id");
    let text = files::read_or_write_once(&path, || uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string());
    text.and_then(|text| text.trim().parse().map_err(io::Error::other)).with_context(|| path.display().to_string())
}
