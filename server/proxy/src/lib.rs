//! The metering proxy: any OpenAI client works by changing its base URL and key, and each call becomes a receipt.
//!
//! A request is authenticated, received and bounded, and held for in what is leased (`admit`); it is read once (`dialect`) and forwarded (`upstream`)
//! with the few changes that metering needs. The answer goes through untouched while a scanner looks on (`wire`). One future owns each call to its end
//! (`call`): it settles into the spool before the client sees the last bytes, from where it is posted (`books`).

mod account_api;
mod admit;
mod books;
mod call;
mod connection;
mod core;
mod cors;
mod dialect;
mod error;
#[cfg(test)]
mod fuzzed;
mod gateway;
mod instruments;
mod listen;
mod metered;
mod path;
mod readiness;
mod reply;
mod settings;
mod upstream;
mod usage_api;
mod wire;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use chrono::Utc;
use ledger::{Ledger, Meter, secrets::SecretKey};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::Notify,
    task::spawn_blocking,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admit::{
        auth::{Keys, Lookups},
        catalog::{self, Snapshot},
        leases::{self, Changed, Leases},
        reading::Readers,
        repeats::Repeats,
        room::Room,
        wanted::{self, Wanted},
    },
    books::{
        announcing::{self, LongCalls},
        earlier::{self, Earlier},
        feed,
        poster::{self, Poster},
        recovery,
        spool::{Lane, Spool},
        upkeep,
    },
    call::stop::Stop,
    listen::Cores,
    readiness::Readiness,
    usage_api::Reports,
    wire::estimate,
};
pub use crate::{
    admit::{leases::WhenAway, target::check_provider},
    books::{
        earlier::end_silent,
        hand_over::{HandedOver, ToldAgain, hand_over, tell_again},
        spool,
    },
    call::client::BrokenOff,
    cors::AllowedOrigin,
    error::{Error, Result},
    gateway::{AnswerBody, Gateway},
    instruments::{INSTRUMENTS, Instrument, Kind, describe},
    settings::{Settings, SpoolSettings},
};

/// How long calls may take to settle once they must.
const SETTLING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last postings may take when the process must end: what is not posted by then is in the spool, for the next run.
const POSTING_TIMEOUT: Duration = Duration::from_secs(5);

/// How long connections may take to close.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections for what says whether the database is there: one that is renewed, and one that listens.
const PULSE_CONNECTIONS: u32 = 2;

/// What every call needs.
pub(crate) struct Shared {
    pub(crate) ledger: Ledger,
    pub(crate) meter: Meter,
    /// Where all that is no call runs.
    pub(crate) runtime: Handle,
    pub(crate) settings: Settings,
    pub(crate) catalog: Arc<ArcSwap<Snapshot>>,
    /// Whenever the catalog was read anew.
    pub(crate) renewed: Arc<Notify>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) long: Arc<LongCalls>,
    pub(crate) spool: Arc<Spool>,
    /// To how many cores.
    lanes_given: AtomicUsize,
    pub(crate) poster: Poster,
    pub(crate) room: Room,
    pub(crate) readers: Readers,
    pub(crate) repeats: Repeats,
    /// Models that were asked for and not to be had.
    pub(crate) wanted: Arc<Wanted>,
    pub(crate) readiness: Readiness,
    /// What tells of usage and costs.
    pub(crate) reports: Reports,
    /// Running calls.
    pub(crate) calls: TaskTracker,
    /// Running calls must come to an end now.
    pub(crate) stop: Stop,
}

impl Shared {
    /// What the spool has against new calls, if it takes none.
    pub(crate) fn why_no_call(&self) -> Option<&'static str> {
        self.spool.writable().iter().find_map(|lane| lane.takes_calls().err())
    }

    /// The lane of the spool that the next core writes to: there are as many as cores.
    pub(crate) fn next_lane(&self) -> Arc<Lane> {
        let lanes = self.spool.writable();
        Arc::clone(&lanes[self.lanes_given.fetch_add(1, Ordering::Relaxed) % lanes.len()])
    }
}

/// A running proxy.
pub struct Proxy {
    shared: Arc<Shared>,
    /// That of the background.
    ledger: Ledger,
    /// What says whether the database is there.
    pulse: Ledger,
    tasks: Tasks,
}

/// What runs beside the calls, and when it ends.
#[derive(Default)]
struct Tasks {
    /// What reads the spool.
    feeds: TaskTracker,
    /// The catalog's refresher, the poster, and who looks after the spool, the keys and the leases.
    background: TaskTracker,
    /// Everything is settled: what reads the spool reads it to its end.
    settled: CancellationToken,
    /// Everything is handed over: the background ends once it has done what it has.
    quit: CancellationToken,
    give_up: CancellationToken,
}

impl Tasks {
    fn spawn_upkeep(&self, shared: &Arc<Shared>, ledger: &Ledger, earlier: Earlier, lookups: Lookups, secret: SecretKey) {
        let Self { background, quit, .. } = self;
        let Shared { spool, leases, long, catalog, renewed, settings, .. } = &**shared;
        background.spawn(upkeep::look_after(Arc::clone(spool), quit.clone()));
        background.spawn(earlier::end_earlier(Arc::clone(spool), earlier, ledger.clone(), quit.clone()));
        background.spawn(announcing::announce(Arc::clone(long), Arc::clone(leases), ledger.meter(), quit.clone()));
        background.spawn(lookups.run(ledger.meter(), quit.clone()));
        background.spawn(wanted::tell(Arc::clone(&shared.wanted), ledger.meter(), quit.clone()));
        let refresh =
            catalog::refresh(Arc::clone(catalog), Arc::clone(renewed), ledger.meter(), secret, settings.body_timeout, quit.clone());
        background.spawn(refresh);
    }
}

/// Begins to lease, if no other process is this proxy.
async fn begin_leases(
    spool: &Arc<Spool>,
    (meter, pulse): (&Meter, &Ledger),
    settings: &Settings,
    keys: &Arc<Keys>,
    tasks: &Tasks,
) -> Result<Arc<Leases>> {
    let options = leases::Options {
        proxy: settings.instance,
        spool_since: spool.created_at(),
        longest_call: settings.longest_call(),
        report: {
            let spool = Arc::clone(spool);
            Box::new(move || spool.report())
        },
        when_away: settings.when_away,
        away_after: settings.away_after,
        lease_timeout: settings.lease_timeout,
        quit: tasks.quit.clone(),
        background: tasks.background.clone(),
    };
    let keys = Arc::clone(keys);
    let heard = move |changed: Changed<'_>| keys.forget(changed);
    let books = leases::Books { meter: meter.clone(), pulse: pulse.meter() };
    let leases = Leases::begin(books, options, heard).await?;
    if let Err(error) = earlier::expect_alone(meter, spool, settings.instance, leases.epoch()).await {
        tasks.quit.cancel();
        meter.end_epoch(leases.epoch()).await?.give_back().await?;
        return Err(error);
    }
    Ok(leases)
}

impl Proxy {
    /// Opens the spool, settles what an earlier run of this instance was interrupted in, begins to lease, loads the catalog, and starts what runs in the
    /// background. That works with the connections of a ledger of its own, so that no crowd of calls keeps the catalog from being read or a call from
    /// being posted.
    ///
    /// # Errors
    /// [`Error::Ledger`] when the database is away, [`Error::Spool`] when the spool is not this proxy's, or cannot be read or written,
    /// [`Error::ProxyInUse`] when another process is this proxy.
    pub async fn start(ledger: Ledger, background_ledger: &Ledger, secret: SecretKey, settings: Settings) -> Result<Self> {
        let meter = background_ledger.meter();
        // The tokenizer's tables take a moment to unpack; no call should wait for that.
        let _ = spawn_blocking(estimate::warm_up).await;
        let options = settings.spool.options(background_ledger.database_id().await?, settings.instance);
        let (spool, unsettled) = spawn_blocking(move || Spool::open(&options)).await.map_err(|_| Error::Panicked)??;
        let spool = Arc::new(spool);
        recovery::settle_unsettled(unsettled, &meter).await?;
        let earlier = Earlier::find(&spool, &meter, settings.instance).await?;
        let tasks = Tasks::default();
        let pulse = background_ledger.apart(PULSE_CONNECTIONS);
        let (keys, lookups) = Keys::new();
        let keys = Arc::new(keys);
        let leases = begin_leases(&spool, (&meter, &pulse), &settings, &keys, &tasks).await?;
        let snapshot = Snapshot::load(&meter, &secret, settings.body_timeout, None).await?;
        snapshot.say_what_is_unusable(None);
        let (catalog, renewed) = (Arc::new(ArcSwap::from_pointee(snapshot)), Arc::new(Notify::new()));
        let (poster, groups) = poster::poster(meter.clone(), tasks.give_up.clone());
        for group in groups {
            tasks.background.spawn(group.run(tasks.quit.clone()));
        }
        for lane in spool.lanes() {
            tasks.feeds.spawn(feed::feed(Arc::clone(lane), poster.clone(), tasks.settled.clone()));
        }
        let shared = Arc::new(Shared {
            keys,
            leases,
            long: Arc::default(),
            room: Room::new(&settings),
            readers: Readers::new(Handle::current()),
            repeats: Repeats::new(),
            wanted: Arc::default(),
            calls: TaskTracker::new(),
            stop: Stop::default(),
            readiness: Readiness::default(),
            reports: Reports::new(&ledger),
            meter: ledger.meter(),
            ledger,
            runtime: Handle::current(),
            settings,
            catalog,
            renewed,
            spool,
            lanes_given: AtomicUsize::new(0),
            poster,
        });
        tasks.spawn_upkeep(&shared, background_ledger, earlier, lookups, secret);
        Ok(Self { shared, ledger: background_ledger.clone(), pulse, tasks })
    }

    /// What answers requests, for a server of one's own.
    #[must_use]
    pub fn gateway(&self) -> Gateway {
        Gateway::new(Arc::clone(&self.shared))
    }

    /// Serves until `shutdown`, then ends as [`Self::stop`] does.
    ///
    /// # Errors
    /// [`Error::Threads`] when the system has no threads or files for it; then it has ended, too.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<()> {
        let cores = match Cores::start(&self.shared, listener, &shutdown) {
            Ok(cores) => cores,
            Err(error) => {
                self.stop().await;
                return Err(Error::Threads(error));
            }
        };
        shutdown.cancelled().await;
        let deadline = Instant::now() + self.shared.settings.shutdown_timeout;
        if timeout_at(deadline, cores.finish()).await.is_err() {
            tracing::warn!(calls = self.shared.calls.len(), "answers that take too long are ended");
        }
        self.end_calls(deadline).await;
        // Each of their clients has been told by now; who does not listen is cut off.
        cores.cut().await;
        self.end_background().await;
        Ok(())
    }

    /// Lets running calls finish, settles those that take too long, posts everything and returns when nothing of the proxy runs any more.
    pub async fn stop(self) {
        let deadline = Instant::now() + self.shared.settings.shutdown_timeout;
        self.end_calls(deadline).await;
        self.end_background().await;
    }

    /// Lets running calls go on until the deadline, and then ends them: each is settled in the spool, each client gets an answer.
    async fn end_calls(&self, deadline: Instant) {
        let calls = &self.shared.calls;
        calls.close();
        if timeout_at(deadline, calls.wait()).await.is_err() {
            tracing::warn!(calls = calls.len(), "calls that take too long are settled as they are");
        }
        self.shared.stop.say();
        if timeout(SETTLING_TIMEOUT, calls.wait()).await.is_err() {
            tracing::error!(calls = calls.len(), "calls that do not end are left: the next run settles them as interrupted");
        }
    }

    /// Posts what is settled, as far as the database takes it in time, and gives back what is leased.
    async fn end_background(self) {
        let Self { shared, ledger, pulse, tasks: Tasks { feeds, background, settled, quit, give_up } } = self;
        settled.cancel();
        feeds.close();
        background.close();
        let posting = async {
            feeds.wait().await;
            quit.cancel();
            background.wait().await;
            shared.leases.stop();
            earlier::end_own(&shared.spool, &ledger, shared.leases.epoch()).await;
        };
        if timeout(POSTING_TIMEOUT, posting).await.is_err() {
            give_up.cancel();
            quit.cancel();
            feeds.wait().await;
            background.wait().await;
        }
        // A connection to a database that hangs is not waited for.
        let _ = timeout(CLOSING_TIMEOUT, async { tokio::join!(pulse.close(), shared.reports.close()) }).await;
        let spool = Arc::clone(&shared.spool);
        if let Ok(Err(error)) = spawn_blocking(move || spool.close(Utc::now())).await {
            tracing::warn!(%error, "the spool was not closed in order: the next run reads it as it is");
        }
    }
}
