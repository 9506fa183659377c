//! The proxy's life, as the ledger counts it: epoch after epoch, each going on for as long as it is renewed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::EpochId;
use ledger::{Error, NewEpoch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use super::{Leases, clock::Moment};

/// How long an epoch goes on after it was renewed: so long after the death of a proxy nobody knows whether it still admits.
pub(super) const LASTS: Duration = Duration::from_secs(30);
/// Admitting stops so long before that, for a call that is being admitted at that very moment and for clocks that do not run equally fast.
const MARGIN: Duration = Duration::from_secs(2);
/// How often an epoch is renewed: five tries may be lost before anybody is refused.
pub(crate) const RENEWED_EVERY: Duration = Duration::from_secs(5);
/// How often it is tried while the ledger is away.
const TRIED_EVERY: Duration = Duration::from_secs(1);
/// How long a request to the ledger may take before it is made again.
pub(super) const TRY_TIMEOUT: Duration = Duration::from_secs(5);

/// One epoch.
#[derive(Debug)]
pub(super) struct Epoch {
    pub(super) id: EpochId,
    /// The number of the change that was made last.
    number: AtomicI64,
    /// The ledger has said that it is over: nothing is asked in its name any more.
    is_over: AtomicBool,
}

impl Epoch {
    fn new(id: EpochId) -> Self {
        Self { id, number: AtomicI64::new(0), is_over: AtomicBool::new(false) }
    }

    /// The next change's. Whoever takes it under an account's lock takes a higher one than the account's change before.
    pub(super) fn next_number(&self) -> i64 {
        self.number.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Ends it here. Returns whether it was over already.
    pub(super) fn is_over_now(&self) -> bool {
        self.is_over.swap(true, Ordering::AcqRel)
    }
}

/// The epoch that there is, and since when it is sure to go on.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) epoch: Arc<Epoch>,
    /// When that renewal was sent which succeeded last, by either clock.
    renewed: Instant,
    renewed_by_wall: DateTime<Utc>,
}

impl Life {
    /// Before the first.
    pub(super) fn none(now: Moment) -> Self {
        let none = Epoch::new(EpochId::from_uuid(Uuid::nil()));
        none.is_over.store(true, Ordering::Release);
        Self::new(Arc::new(none), now)
    }

    fn new(epoch: Arc<Epoch>, sent: Moment) -> Self {
        Self { epoch, renewed: sent.monotonic, renewed_by_wall: sent.wall }
    }

    /// Whether calls may be admitted: not when the epoch may have ended by either clock. One stands still in a machine that is suspended, the other
    /// may be set back, and neither makes an epoch longer.
    pub(super) fn is_on(&self, now: Moment) -> bool {
        let by_wall = (now.wall - self.renewed_by_wall).to_std().unwrap_or_default();
        let age = now.monotonic.saturating_duration_since(self.renewed).max(by_wall);
        !self.epoch.is_over() && age < LASTS - MARGIN
    }
}

impl Leases {
    /// A life that begins with an epoch of its own, once the ledger knows of it.
    pub(super) async fn begin_life(&self) -> Result<Life, Problem> {
        let sent = self.clock.now();
        // Another id with every try: what came of the one before it nobody knows, and nothing is ever leased to it.
        let id = EpochId::new(sent.wall, rand::random());
        let new = NewEpoch {
            id,
            proxy: self.options.proxy,
            spool_since: self.options.spool_since,
            lasts: lasts(),
            longest: TimeDelta::from_std(self.options.longest_call).unwrap_or(TimeDelta::MAX),
        };
        let clock = self.within_time(self.books.begin_epoch(&new)).await?;
        self.clock.hear(sent, clock);
        Ok(Life::new(Arc::new(Epoch::new(id)), sent))
    }

    /// Renews the epoch, and begins another when it is over, until the proxy ends.
    pub(super) async fn live(self: Arc<Self>) {
        let mut ticks = interval(RENEWED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.wanted_alive.notified() => {}
            }
            while let Err(problem) = self.go_on().await {
                self.trouble.begins(&problem);
                // Whoever waits for an epoch waits in vain.
                if !self.is_on() {
                    self.fail_all();
                }
                tokio::time::sleep(TRIED_EVERY).await;
            }
            ticks.reset();
        }
    }

    /// Renews the epoch, or begins another.
    async fn go_on(self: &Arc<Self>) -> Result<(), Problem> {
        let was_on = self.is_on();
        let before = self.life.load_full();
        let renewed = if before.epoch.is_over() { Err(Error::EpochOver.into()) } else { self.renew(&before).await };
        let life = match renewed {
            Err(Problem::Said(Error::EpochOver)) => {
                self.end(&before.epoch);
                self.begin_life().await?
            }
            renewed => renewed?,
        };
        self.life.store(Arc::new(life));
        self.trouble.ends();
        if !was_on {
            self.advance_all();
        }
        Ok(())
    }

    async fn renew(&self, life: &Life) -> Result<Life, Problem> {
        let sent = self.clock.now();
        let clock = self.within_time(self.books.renew_epoch(life.epoch.id, lasts(), (self.options.report)())).await?;
        self.clock.hear(sent, clock);
        Ok(Life::new(Arc::clone(&life.epoch), sent))
    }

    /// The ledger has ended an epoch: what was leased to it is somebody else's.
    pub(super) fn end(&self, epoch: &Epoch) {
        if !epoch.is_over_now() {
            tracing::warn!(epoch = %epoch.id, "the ledger has ended this proxy's epoch: another begins, with nothing leased");
            self.wanted_alive.notify_one();
        }
    }

    /// What the ledger answers, if it does.
    pub(super) async fn within_time<T>(&self, asked: impl Future<Output = ledger::Result<T>> + Send) -> Result<T, Problem> {
        Ok(timeout(TRY_TIMEOUT, asked).await.map_err(|_| Problem::Silence)??)
    }
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// The ledger has said so.
    #[error(transparent)]
    Said(#[from] Error),
    /// It says nothing.
    #[error("the database does not answer")]
    Silence,
}

impl Problem {
    /// The same, for whoever knows only errors of the ledger.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Said(error) => error,
            Self::Silence => Error::no_answer(),
        }
    }

    /// Whether the ledger says of itself that it cannot be asked now.
    pub(super) fn is_away(&self) -> bool {
        let of_one = |error: &Error| error.is_a_lock() || error.is_of_the_data();
        matches!(self, Self::Said(error @ (Error::Unavailable(_) | Error::ReadOnly | Error::Outdated)) if !of_one(error))
    }
}

fn lasts() -> TimeDelta {
    TimeDelta::from_std(LASTS).unwrap_or_default()
}

/// Whether the ledger is away: said once when it begins, and once when it is over.
#[derive(Debug, Default)]
pub(super) struct Trouble(AtomicBool);

impl Trouble {
    pub(super) fn begins(&self, problem: &Problem) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::warn!(%problem, "leases can be neither changed nor renewed: calls go on within what is leased");
        }
    }

    pub(super) fn ends(&self) {
        if self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed) {
            tracing::info!("leases are changed and renewed again");
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
