//! Who calls.
//!
//! Keys are kept in memory until the ledger says that something of their account has changed. Those that are not known are looked up many at a time, by
//! one task: whoever guesses keys does not reach the database at their own speed.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{account::AccountState, id::AccountId};
use futures_util::{StreamExt, stream};
use ledger::{KeyEntry, Meter};
use moka::sync::Cache;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    admit::{
        leases::Changed,
        presented::{Digest, Presented},
    },
    reply::Refusal,
};

/// How long a key is taken to be what it was, if nothing is said of its account.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How long one that was not found is taken not to be there.
const UNKNOWN_REMEMBERED: Duration = Duration::from_secs(1);
const KEYS_MAX: u64 = 100_000;
/// How long the ledger may take to say.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one round of looking up may take.
const ROUND_TIMEOUT: Duration = Duration::from_secs(3);
/// Keys that are read at once.
const AT_ONCE: usize = 8;
/// Keys that are looked up together, and that wait for it.
const TOGETHER_MAX: usize = 256;
const WAITING_MAX: usize = 4 * TOGETHER_MAX;
/// After unknown keys. So a flood of them is a hundred statements a second.
const PAUSE: Duration = Duration::from_millis(10);

/// Keys by digest.
#[derive(Debug)]
pub(crate) struct Keys {
    cache: Cache<Digest, Known>,
    /// When something was said of accounts: what was read of them before is not believed.
    noticed: Cache<AccountId, Instant>,
    /// How often that was.
    notices: AtomicU64,
    lookups: mpsc::Sender<Lookup>,
}

/// A key that was found to work, for a request that may have to wait, and must know then whether it still does.
#[derive(Debug, Clone)]
pub(crate) struct WorkingKey {
    presented: Presented,
    entry: Arc<KeyEntry>,
    asked: Instant,
    /// How often something had been said of accounts before it was looked at.
    notices: u64,
}

/// What the ledger said of a key, and when it was asked.
#[derive(Debug, Clone)]
struct Known {
    entry: Option<Arc<KeyEntry>>,
    asked: Instant,
}

/// A key that somebody waits for.
#[derive(Debug)]
struct Lookup {
    digest: Digest,
    reply: oneshot::Sender<Known>,
}

/// Looks keys up.
pub(crate) struct Lookups(mpsc::Receiver<Lookup>);

impl Keys {
    /// With what looks up those that are not known.
    pub(crate) fn new() -> (Self, Lookups) {
        let (lookups, waiting) = mpsc::channel(WAITING_MAX);
        let cache = Cache::builder().max_capacity(KEYS_MAX).time_to_live(REMEMBERED).build();
        // Longer than any key that was asked for before.
        let noticed = Cache::builder().max_capacity(KEYS_MAX).time_to_live(REMEMBERED + 2 * LOOKUP_TIMEOUT).build();
        (Self { cache, noticed, notices: AtomicU64::new(0), lookups }, Lookups(waiting))
    }

    /// Something of these accounts may have changed.
    pub(crate) fn forget(&self, changed: Changed<'_>) {
        match changed {
            Changed::Of(accounts) => accounts.iter().for_each(|account| self.noticed.insert(*account, Instant::now())),
            Changed::Any => self.cache.invalidate_all(),
        }
        self.notices.fetch_add(1, Ordering::Release);
    }

    /// Whose key it is that a request presents.
    pub(crate) async fn authenticate(&self, presented: Presented, now: DateTime<Utc>) -> Result<WorkingKey, Refusal> {
        let notices = self.notices.load(Ordering::Acquire);
        let digest = presented.digest();
        let known = match self.cache.get(&digest).filter(|known| self.is_believed(known)) {
            Some(known) => known,
            None => {
                let looked_up = timeout(LOOKUP_TIMEOUT, self.look_up(digest)).await.map_err(|_| Refusal::unavailable())?;
                let known = looked_up.ok_or_else(Refusal::unavailable)?;
                self.cache.insert(digest, known.clone());
                known
            }
        };
        let Some(entry) = known.entry else { return Err(Refusal::no_key("The API key is unknown.")) };
        expect_working(&entry, now)?;
        Ok(WorkingKey { presented, entry, asked: known.asked, notices })
    }

    /// The same key again, as it is by now: nothing is looked up where nothing was said of any account since.
    pub(crate) async fn authenticate_again(&self, key: &WorkingKey, now: DateTime<Utc>) -> Result<WorkingKey, Refusal> {
        if key.notices == self.notices.load(Ordering::Acquire) && key.asked.elapsed() < REMEMBERED {
            return expect_working(&key.entry, now).map(|()| key.clone());
        }
        self.authenticate(key.presented, now).await
    }

    fn is_believed(&self, known: &Known) -> bool {
        match &known.entry {
            None => known.asked.elapsed() < UNKNOWN_REMEMBERED,
            Some(entry) => self.noticed.get(&entry.account_id).is_none_or(|noticed| noticed < known.asked),
        }
    }

    /// `None` when the ledger did not answer.
    async fn look_up(&self, digest: Digest) -> Option<Known> {
        let (reply, answered) = oneshot::channel();
        self.lookups.send(Lookup { digest, reply }).await.ok()?;
        answered.await.ok()
    }
}

fn expect_working(key: &KeyEntry, now: DateTime<Utc>) -> Result<(), Refusal> {
    if !key.works_at(now) {
        return Err(Refusal::no_key("The API key was revoked or has expired."));
    }
    match key.account_state {
        AccountState::Active => Ok(()),
        AccountState::Suspended => Err(Refusal::account_suspended()),
        AccountState::Closed => Err(Refusal::account_closed()),
    }
}

impl Deref for WorkingKey {
    type Target = KeyEntry;

    fn deref(&self) -> &KeyEntry {
        &self.entry
    }
}

impl Lookups {
    /// Looks keys up until it is told to `quit`.
    pub(crate) async fn run(mut self, meter: Meter, quit: CancellationToken) {
        let looking = async {
            let mut waiting = Vec::new();
            while self.0.recv_many(&mut waiting, TOGETHER_MAX).await > 0 {
                // A connection that hangs must not keep those that come later waiting; whoever waits for it hears so by the end of waiting.
                if timeout(ROUND_TIMEOUT, look_up(&meter, std::mem::take(&mut waiting))).await.unwrap_or(false) {
                    sleep(PAUSE).await;
                }
            }
        };
        quit.run_until_cancelled(looking).await;
    }
}

/// Whether any was unknown.
async fn look_up(meter: &Meter, waiting: Vec<Lookup>) -> bool {
    let asked = Instant::now();
    let mut by_digest: HashMap<Digest, Vec<oneshot::Sender<Known>>> = HashMap::new();
    for Lookup { digest, reply } in waiting {
        by_digest.entry(digest).or_default().push(reply);
    }
    let digests: Vec<_> = by_digest.keys().copied().collect();
    let owners = match meter.owners_of_keys(&digests).await {
        Ok(owners) => owners,
        // Whoever waits hears of it by the end of waiting.
        Err(error) => {
            drop(unavailable(&error));
            return false;
        }
    };
    let any_is_unknown = owners.len() < digests.len();
    let reading = by_digest.into_iter().map(async |(digest, replies)| {
        let entry = match owners.get(&digest) {
            Some((account, key)) => meter.key_of(*account, *key).await,
            None => Ok(None),
        };
        match entry.map(|entry| entry.map(Arc::new)) {
            Ok(entry) => replies.into_iter().for_each(|reply| {
                let _ = reply.send(Known { entry: entry.clone(), asked }); // whoever has left needs no answer
            }),
            Err(error) => drop(unavailable(&error)),
        }
    });
    stream::iter(reading).buffer_unordered(AT_ONCE).collect::<()>().await;
    any_is_unknown
}

/// The books are away: for the log once, and for the client without the details.
pub(crate) fn unavailable(error: &ledger::Error) -> Refusal {
    tracing::warn!(%error, "a request was refused because the ledger did not answer");
    Refusal::unavailable()
}
