//! Leases: calls are admitted in memory, within slices of the account's pools that the ledger has leased to this proxy.
//!
//! Each account has its [`state`]: the slices, and the calls that wait for room in them. A step is done under its lock and never waits; what follows from
//! it is done by tasks. One sends changes to the ledger and takes in what it answers ([`outbox`]), one renews the epoch that all of it is leased to
//! ([`life`]), one gives back what is idle ([`idle`]), one hears what other proxies want ([`notices`]).
//!
//! A change whose answer did not come is sent again as it is, with the number that it had: the ledger makes it once.

mod accounts;
mod books;
mod clock;
mod held;
mod idle;
mod life;
mod notices;
mod outbox;
mod recent;
mod state;
#[cfg(test)]
mod tests;
mod waiting;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, RwLock, atomic::AtomicU64},
    time::Duration,
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use domain::{
    credit::Exhausted,
    id::{AccountId, EpochId},
    proxies::Report,
};
use tokio::{runtime::Handle, sync::Notify, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::{
    accounts::Accounts,
    clock::Clock,
    held::Place,
    life::{Life, Problem, Trouble},
    outbox::{Lane, Outbox},
    state::Found,
};
pub(crate) use self::{
    books::{Books, LeaseBooks},
    held::Held,
    life::RENEWED_EVERY,
    notices::Changed,
    waiting::Wanted,
};

/// Why a call holds nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoHold {
    /// A pool has not all that it can take, though everybody has given back what was idle of it.
    Exhausted(Box<Exhausted>),
    /// The ledger had to be asked, and is away.
    Unavailable,
}

/// What becomes of new calls while the database is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenAway {
    /// Those that have room in what is leased are served, for as long as the lease lasts.
    #[default]
    GoOn,
    /// All are refused.
    Refuse,
}

/// Whose leases they are, and what bounds them.
pub(crate) struct Options {
    /// The proxy.
    pub(crate) proxy: Uuid,
    /// Since when its spool knows of all its calls.
    pub(crate) spool_since: DateTime<Utc>,
    /// How long a call may run and take to be posted.
    pub(crate) longest_call: Duration,
    /// How the proxy is, for operators.
    pub(crate) report: Box<dyn Fn() -> Report + Send + Sync>,
    /// What becomes of calls while the ledger is away.
    pub(crate) when_away: WhenAway,
    /// A ledger that has not said for so long what is new is away: it reads a few rows for that, and waits for no lock and no disk.
    pub(crate) away_after: Duration,
    /// How long a call waits for room.
    pub(crate) lease_timeout: Duration,
    /// The proxy must end.
    pub(crate) quit: CancellationToken,
    /// Everything that runs for it.
    pub(crate) background: TaskTracker,
}

/// All that is leased to this proxy.
pub(crate) struct Leases {
    books: Box<dyn LeaseBooks>,
    options: Options,
    /// Where all that runs beside the calls: their cores only hold and settle.
    runtime: Handle,
    clock: Clock,
    accounts: Accounts,
    life: ArcSwap<Life>,
    /// The epoch is to be renewed, or another to begin, at once.
    wanted_alive: Notify,
    trouble: Trouble,
    together: Outbox,
    leisurely: Outbox,
    alone: Outbox,
    /// What others are to be asked to give back.
    recalls: Mutex<BTreeSet<AccountId>>,
    recalls_wanted: Notify,
    /// Changes that were sent.
    sent: AtomicU64,
    /// Asks that were refused.
    refused: AtomicU64,
}

impl Leases {
    /// Begins this proxy's first epoch, and all that goes on beside the calls. `heard` is told of accounts of which something has
    /// changed.
    ///
    /// # Errors
    /// The ledger is away.
    pub(crate) async fn begin(
        books: impl LeaseBooks,
        options: Options,
        heard: impl Fn(Changed<'_>) + Send + Sync + 'static,
    ) -> ledger::Result<Arc<Self>> {
        Self::begin_by(Clock::new(Utc::now), books, options, heard).await
    }

    async fn begin_by(
        clock: Clock,
        books: impl LeaseBooks,
        options: Options,
        heard: impl Fn(Changed<'_>) + Send + Sync + 'static,
    ) -> ledger::Result<Arc<Self>> {
        let leases = Arc::new(Self {
            books: Box::new(books),
            options,
            runtime: Handle::current(),
            accounts: RwLock::new(HashMap::new()),
            life: ArcSwap::from_pointee(Life::none(clock.now())),
            clock,
            wanted_alive: Notify::new(),
            trouble: Trouble::default(),
            together: Outbox::new(Lane::Together),
            leisurely: Outbox::new(Lane::Leisurely),
            alone: Outbox::new(Lane::Alone),
            recalls: Mutex::default(),
            recalls_wanted: Notify::new(),
            sent: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        leases.life.store(Arc::new(leases.begin_life().await.map_err(Problem::into_error)?));
        leases.spawn(Arc::clone(&leases).live());
        leases.spawn(Arc::clone(&leases).send(Lane::Together));
        leases.spawn(Arc::clone(&leases).send(Lane::Leisurely));
        leases.spawn(Arc::clone(&leases).send(Lane::Alone));
        leases.spawn(Arc::clone(&leases).look_after());
        leases.spawn(Arc::clone(&leases).tell_others());
        leases.spawn(Arc::clone(&leases).listen(heard));
        Ok(leases)
    }

    /// Holds all that a call can take in what is leased. Only if that has no room, the ledger is asked.
    ///
    /// # Errors
    /// [`NoHold`].
    pub(crate) async fn hold(self: &Arc<Self>, account: AccountId, wanted: &Wanted) -> Result<Held, NoHold> {
        let account = self.account(account);
        let is_away = self.trouble.is_on();
        if is_away && self.options.when_away == WhenAway::Refuse {
            return Err(NoHold::Unavailable);
        }
        let found = self.step(&account, |state, life, now| state.want(wanted, life, is_away, now));
        let place = match found {
            Found::Room(split, epoch) => return Ok(Held::new(Arc::clone(self), account, split, epoch)),
            Found::Nobody => return Err(NoHold::Unavailable),
            Found::Wait(ticket, told) => Place::new(Arc::clone(self), account, ticket, told),
        };
        if !self.is_on() {
            self.wanted_alive.notify_one();
        }
        timeout(self.options.lease_timeout, place).await.unwrap_or(Err(NoHold::Unavailable))
    }

    /// Whether calls are admitted.
    pub(crate) fn is_on(&self) -> bool {
        self.life.load().is_on(self.clock.now())
    }

    /// Whether the ledger changes and renews leases, as far as is known.
    pub(crate) fn are_changed(&self) -> bool {
        !self.trouble.is_on()
    }

    /// Admits nothing more: the proxy ends, and its epoch with it.
    pub(crate) fn stop(&self) {
        self.life.load().epoch.is_over_now();
    }

    /// The epoch that there is.
    pub(crate) fn epoch(&self) -> EpochId {
        self.life.load().epoch.id
    }

    const fn outbox(&self, lane: Lane) -> &Outbox {
        match lane {
            Lane::Together => &self.together,
            Lane::Leisurely => &self.leisurely,
            Lane::Alone => &self.alone,
        }
    }

    /// Does something beside the calls, until the proxy must end.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let quit = self.options.quit.clone();
        self.options.background.spawn_on(async move { quit.run_until_cancelled_owned(task).await }, &self.runtime);
    }
}
