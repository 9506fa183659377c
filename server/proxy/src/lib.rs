//! The metering proxy: any OpenAI client works by changing its base URL and key, and each call becomes a receipt.
//!
//! A request is authenticated (`auth`), read once (`dialect`), bounded (`bound`) and held for in the ledger; then it is forwarded with the few
//! changes that metering needs (`splice`). The answer goes through untouched while a scanner looks on (`tap`, `scan`, `sse`). A task of its own owns
//! each call to its end (`call`): it settles (`settle`) and posts (`poster`) before the client sees the last bytes.

mod account_api;
mod attribution;
mod auth;
mod bound;
mod call;
mod catalog;
mod chat;
mod client;
pub mod dialect;
mod error;
pub mod estimate;
mod json;
mod poster;
mod reply;
mod request_body;
mod room;
pub mod scan;
mod serve;
mod settings;
mod settle;
mod splice;
pub mod sse;
pub mod tap;
mod turns;
mod upstream;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::Router;
use chrono::Utc;
use ledger::{Intent, Ledger, Meter, secrets::SecretKey};
use tokio::{
    net::TcpListener,
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{auth::Keys, catalog::Snapshot, poster::Poster, room::Room, turns::Turns, upstream::Upstreams};
pub use crate::{
    catalog::check_provider,
    error::{Error, Result},
    settings::Settings,
};

/// How long the last postings may take when the process must end.
const POSTING_TIMEOUT: Duration = Duration::from_secs(10);

/// What every call needs.
pub(crate) struct Shared {
    pub(crate) ledger: Ledger,
    pub(crate) meter: Meter,
    pub(crate) settings: Settings,
    pub(crate) catalog: Arc<ArcSwap<Snapshot>>,
    /// Whenever the catalog was read anew.
    pub(crate) renewed: Arc<Notify>,
    pub(crate) keys: Keys,
    pub(crate) turns: Turns,
    pub(crate) upstreams: Upstreams,
    pub(crate) poster: Poster,
    pub(crate) room: Room,
    /// Running calls.
    pub(crate) calls: TaskTracker,
    /// Running calls must come to an end now.
    pub(crate) stop: CancellationToken,
}

/// A running proxy.
pub struct Proxy {
    shared: Arc<Shared>,
    /// The catalog's refresher and the poster.
    background: TaskTracker,
    quit: CancellationToken,
    give_up: CancellationToken,
}

impl Proxy {
    /// Loads the catalog, settles what an earlier run of this instance was interrupted in, and starts what runs in the background. That works with
    /// the connections of a ledger of its own, so that no crowd of calls keeps the catalog from being read or a call from being posted.
    ///
    /// # Errors
    /// [`Error::Ledger`] when the database is away.
    pub async fn start(ledger: Ledger, background_ledger: &Ledger, secret: SecretKey, settings: Settings) -> Result<Self> {
        let meter = background_ledger.meter();
        // The tokenizer's tables take a moment to unpack; no call should wait for that.
        let _ = tokio::task::spawn_blocking(|| estimate::count("warm")).await;
        settle_interrupted(background_ledger, meter.interrupted_of(settings.instance).await?).await?;
        let snapshot = Snapshot::load(&meter, &secret, settings.body_timeout).await?;
        snapshot.say_what_is_unusable(None);
        let (catalog, renewed) = (Arc::new(ArcSwap::from_pointee(snapshot)), Arc::new(Notify::new()));
        let (background, quit, give_up) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let (poster, groups) = poster::poster(meter.clone(), give_up.clone());
        for group in groups {
            background.spawn(group.run(quit.clone()));
        }
        background.spawn(catalog::refresh(Arc::clone(&catalog), Arc::clone(&renewed), meter, secret, settings.body_timeout, quit.clone()));
        let meter = ledger.meter();
        let shared = Shared {
            keys: Keys::new(meter.clone()),
            turns: Turns::new(),
            upstreams: Upstreams::new(settings.connect_timeout),
            room: Room::new(&settings),
            calls: TaskTracker::new(),
            stop: CancellationToken::new(),
            ledger,
            meter,
            settings,
            catalog,
            renewed,
            poster,
        };
        Ok(Self { shared: Arc::new(shared), background, quit, give_up })
    }

    /// Everything that it answers, for a server of one's own.
    pub fn router(&self) -> Router {
        serve::router(Arc::clone(&self.shared))
    }

    /// Serves until `shutdown`, then ends as [`Self::stop`] does.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let deadline = serve::serve(self.router(), listener, &self.shared.settings, shutdown).await;
        self.stop_by(deadline).await;
    }

    /// Lets running calls finish, settles those that take too long, posts everything and returns when nothing of the proxy runs any more.
    pub async fn stop(self) {
        let deadline = Instant::now() + self.shared.settings.shutdown_timeout;
        self.stop_by(deadline).await;
    }

    async fn stop_by(self, deadline: Instant) {
        let Self { shared, background, quit, give_up } = self;
        shared.calls.close();
        if timeout_at(deadline, shared.calls.wait()).await.is_err() {
            tracing::warn!(calls = shared.calls.len(), "calls that take too long are settled as they are");
        }
        shared.stop.cancel();
        let settled = timeout(POSTING_TIMEOUT, shared.calls.wait()).await;
        quit.cancel();
        background.close();
        if settled.is_err() || timeout(POSTING_TIMEOUT, background.wait()).await.is_err() {
            give_up.cancel();
            background.wait().await;
            shared.calls.wait().await;
        }
    }
}

/// Settles calls whose proxy died in the middle of them: visible, and charged for their prompt. Returns how many there were.
///
/// Of [`Meter::interrupted_of`] for the proxy's own earlier runs, and of [`Meter::interrupted_before`] for proxies that never came back.
///
/// # Errors
/// [`Error::Ledger`] when the database is away.
pub async fn settle_interrupted(ledger: &Ledger, intents: Vec<Intent>) -> Result<usize> {
    let meter = ledger.meter();
    let mut settled = Vec::with_capacity(intents.len());
    for intent in intents {
        let price = meter.price(intent.price_id).await?;
        let latency = intent.call_id.started_at().map_or(0, |started| (Utc::now() - started).num_milliseconds().max(0));
        settled.push(settle::interrupted(intent, &price.rates, latency));
    }
    if !settled.is_empty() {
        tracing::warn!(calls = settled.len(), "settling calls that were interrupted");
    }
    // An account that is locked right now keeps nobody from starting; its calls are found again when their holds expire.
    let done = meter.post_free_calls(&settled).await?;
    Ok(settled.len() - done.deferred.len())
}
