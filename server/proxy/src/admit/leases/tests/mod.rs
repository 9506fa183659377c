//! Proxies on a ledger in memory, by a clock that goes on when nobody has anything to do.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admitting;
mod epochs;
mod fake;
mod sending;
mod sharing;
mod walk;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use domain::{
    billing::GrantKind,
    credit::{Caller, Demand, Grant, Pool, Quantity, Strictness, Unit, settle},
    id::{AccountId, GrantId, KeyId, ProjectId},
    money::Amount,
    tokens::Tokens,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::fake::{Fake, FakeAccount, Line, NOW};
use super::{Changed, Held, Leases, NoHold, Options, Wanted, WhenAway, clock::Clock};

const ACCOUNT: AccountId = AccountId::from_uuid(Uuid::from_u128(1));
const LEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// A ledger, and the proxies that use it.
struct World {
    fake: Arc<Mutex<Fake>>,
    start: Instant,
}

struct Proxy {
    leases: Arc<Leases>,
    line: Line,
    /// What was heard of accounts.
    heard: Arc<Mutex<Vec<AccountId>>>,
}

impl World {
    /// With an account whose wallet has so much.
    fn new(nanos: i64) -> Self {
        let world = Self { fake: Arc::default(), start: Instant::now() };
        world.open(ACCOUNT, nanos);
        world
    }

    fn open(&self, account: AccountId, nanos: i64) {
        let account_of_wallet = FakeAccount { grants: vec![wallet(nanos)], ..FakeAccount::default() };
        self.fake().accounts.insert(account, account_of_wallet);
    }

    fn fake(&self) -> MutexGuard<'_, Fake> {
        self.fake.lock().unwrap()
    }

    async fn proxy(&self) -> Proxy {
        let line = Line::new(&self.fake, self.start);
        let options = Options {
            longest_call: LEASE_TIMEOUT,
            when_away: WhenAway::GoOn,
            report: Box::new(domain::proxies::Report::default),
            proxy: Uuid::nil(),
            spool_since: NOW,
            away_after: Duration::from_secs(1),
            lease_timeout: LEASE_TIMEOUT,
            quit: CancellationToken::new(),
            background: TaskTracker::new(),
        };
        let (of_clock, heard) = (line.clone(), Arc::<Mutex<Vec<AccountId>>>::default());
        let hears = Arc::clone(&heard);
        let hear = move |changed: Changed<'_>| match changed {
            Changed::Of(accounts) => hears.lock().unwrap().extend(accounts),
            Changed::Any => {}
        };
        let leases = Leases::begin_by(Clock::new(move || of_clock.wall()), line.clone(), options, hear).await.unwrap();
        Proxy { leases, line, heard }
    }

    /// How much of the wallet is leased to anybody.
    fn leased(&self) -> i64 {
        self.fake().accounts[&ACCOUNT].grants[0].pool.leased.get()
    }

    /// How many changes have come.
    fn said(&self) -> usize {
        self.fake().said.len()
    }
}

impl Proxy {
    async fn hold(&self, nanos: i64) -> Result<Held, NoHold> {
        self.leases.hold(ACCOUNT, &wanted(nanos)).await
    }

    /// Many calls at once.
    fn hold_many(&self, many: usize, nanos: i64) -> Vec<JoinHandle<Result<Held, NoHold>>> {
        (0..many).map(|_| self.spawn_hold(wanted(nanos))).collect()
    }

    fn spawn_hold(&self, wanted: Wanted) -> JoinHandle<Result<Held, NoHold>> {
        let leases = Arc::clone(&self.leases);
        self.leases.options.background.spawn(async move { leases.hold(ACCOUNT, &wanted).await })
    }

    /// How much is free, and how much is held.
    fn money(&self) -> (i64, i64) {
        self.leases.figures().units[0]
    }
}

fn wallet(nanos: i64) -> Grant {
    Grant {
        id: GrantId::from_uuid(Uuid::from_u128(1)),
        kind: GrantKind::Wallet,
        pool: Pool::new(Unit::Money, Quantity::from_count(nanos)),
        models: None,
        floor: Quantity::ZERO,
        starts_at: NOW,
        expires_at: None,
        priority: 0,
    }
}

fn demand(nanos: i64) -> Demand {
    Demand { money: Amount::from_nanos(nanos), tokens: Tokens::from_sum(1), requests: 1 }
}

fn wanted(nanos: i64) -> Wanted {
    let caller = Caller { key: KeyId::from_uuid(Uuid::nil()), project: ProjectId::from_uuid(Uuid::nil()), member: None, run: None };
    Wanted { demand: demand(nanos), caller, model: "m".to_owned(), at: NOW }
}

/// Ends a call that came to so much, and posts it.
fn settle_and_post(world: &World, held: Held, nanos: i64) {
    let (charge, epoch) = (settle(held.split(), demand(nanos), Strictness::Strict), held.epoch());
    held.settle(&charge);
    world.fake().post(ACCOUNT, epoch, &charge);
}

async fn all(calls: Vec<JoinHandle<Result<Held, NoHold>>>) -> (Vec<Held>, Vec<NoHold>) {
    let (mut held, mut refused) = (Vec::new(), Vec::new());
    for call in calls {
        match call.await.unwrap() {
            Ok(it) => held.push(it),
            Err(why) => refused.push(why),
        }
    }
    (held, refused)
}

async fn pass(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}

/// How long something takes.
async fn timed<T>(what: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    (what.await, start.elapsed())
}
