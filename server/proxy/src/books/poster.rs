//! Settled calls on their way to the books, many at a time.
//!
//! Accounts are spread over a few groups, each with a queue and a transaction of its own. While one batch is being posted the next one gathers
//! ([`feed`](super::feed) lets it, for a moment), so that a lone call is posted at once and a crowd in few transactions. An account that is locked by somebody else is set aside
//! alone: a task of its own waits for the lock, and the group goes on. While the database is away a batch is repeated until it lands, and the queues fill:
//! then the spool keeps what comes. The ledger posts each call once, however often it is handed over.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::Utc;
use domain::id::AccountId;
use ledger::{Meter, PostedCalls, SettledCall};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    books::spool::{Begun, Lane, Position},
    instruments::posting::Posting,
};

#[cfg(test)]
mod tests;

/// Transactions that may run side by side.
const GROUPS: usize = 4;
/// Accounts that are waited for at once, beside the groups: the connections of the background are for both.
const ASIDE_MAX: usize = 3;
/// A batch that has so many calls takes no more.
const BATCH_MAX: usize = 500;
/// What is handed over at once and waits for a group's batch to come: some hundred calls each, where calls come in a crowd.
const QUEUE: usize = 8;
/// What one batch may take. A connection that hangs then gives way to another; what it did after all is not done twice.
const POST_TIMEOUT: Duration = Duration::from_secs(20);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(2);

/// Takes settled calls.
#[derive(Debug, Clone)]
pub(crate) struct Poster {
    groups: Arc<[mpsc::Sender<Vec<Queued>>]>,
}

/// A settled call, and where it is in the spool.
#[derive(Debug)]
pub(crate) struct Queued {
    call: Arc<SettledCall>,
    spooled: Spooled,
}

/// What the spool has of a settled call.
#[derive(Debug)]
enum Spooled {
    At(Arc<Lane>, Position),
    /// Its beginning alone, if anything: its settlement is in memory only, and its task waits until it is posted.
    Not {
        left: Option<(Arc<Lane>, Begun)>,
        posted: oneshot::Sender<()>,
    },
}

impl Spooled {
    /// The call is in the books.
    fn posted(self) {
        match self {
            Self::At(lane, position) => lane.posted(position),
            Self::Not { left, posted } => {
                left.into_iter().for_each(|(lane, begun)| lane.settled_elsewhere(begun));
                let _ = posted.send(()); // whoever no longer waits no longer needs to know
            }
        }
    }
}

/// Posts what [`Poster`] takes of some accounts.
pub(crate) struct Group {
    queue: mpsc::Receiver<Vec<Queued>>,
    books: Books,
    /// Accounts that are waited for, with what came in for them meanwhile.
    aside: HashMap<AccountId, Vec<Queued>>,
    waiting: JoinSet<AccountId>,
}

/// Where calls are posted to, until the process must end.
#[derive(Clone)]
struct Books {
    meter: Meter,
    aside: Arc<Semaphore>,
    give_up: CancellationToken,
    counted: Posting,
}

/// How a locked account is dealt with.
#[derive(Clone, Copy)]
enum Way {
    /// It is passed over.
    Free,
    /// It is waited for.
    Aside,
}

/// With `give_up` nothing is repeated any more: the process must end.
pub(crate) fn poster(meter: Meter, give_up: CancellationToken) -> (Poster, Vec<Group>) {
    let books = Books { meter, aside: Arc::new(Semaphore::new(ASIDE_MAX)), give_up, counted: Posting::new() };
    let (senders, groups): (Vec<_>, Vec<_>) = (0..GROUPS)
        .map(|_| {
            let (sender, queue) = mpsc::channel(QUEUE);
            (sender, Group { queue, books: books.clone(), aside: HashMap::new(), waiting: JoinSet::new() })
        })
        .unzip();
    (Poster { groups: senders.into() }, groups)
}

impl Queued {
    /// One that is in the spool.
    pub(crate) fn of_spool(call: Arc<SettledCall>, lane: Arc<Lane>, position: Position) -> Self {
        Self { call, spooled: Spooled::At(lane, position) }
    }

    /// One that the spool did not take, with what it has of it, and what resolves when it is posted.
    pub(crate) fn of_memory(call: Arc<SettledCall>, left: Option<(Arc<Lane>, Begun)>) -> (Self, oneshot::Receiver<()>) {
        let (posted, waiting) = oneshot::channel();
        (Self { call, spooled: Spooled::Not { left, posted } }, waiting)
    }

    /// The process ends before it is posted. What is in the spool the next run posts; what is not is here for a person to post.
    fn lost(&self) {
        if matches!(self.spooled, Spooled::Not { .. }) {
            let whole = serde_json::to_string(&*self.call).unwrap_or_default();
            tracing::error!(call = %self.call.call_id, whole, "a call is in no spool and was not posted; the next run settles it as interrupted");
        }
    }
}

impl Poster {
    /// Whether what is handed over will be posted: a poster that has died takes nothing any more, and no call may start that could not be paid.
    pub(crate) fn is_open(&self) -> bool {
        self.groups.iter().all(|group| !group.is_closed())
    }

    /// Takes calls, once there is room for them. Those of a group come to it together: it would post the first by itself, which costs as much as all of
    /// them. Returns whether it did: a poster that has died takes nothing.
    pub(crate) async fn take(&self, queued: Vec<Queued>) -> bool {
        let mut by_group: [Vec<Queued>; GROUPS] = Default::default();
        for queued in queued {
            by_group[group_of(queued.call.account_id)].push(queued);
        }
        let mut is_open = true;
        for (group, queued) in self.groups.iter().zip(by_group).filter(|(_, queued)| !queued.is_empty()) {
            if let Err(refused) = group.send(queued).await {
                refused.0.iter().for_each(Queued::lost);
                is_open = false;
            }
        }
        is_open
    }
}

/// All of an account's calls are of one group, by the random end of its id.
fn group_of(account: AccountId) -> usize {
    usize::from(account.uuid().as_bytes()[15]) % GROUPS
}

impl Group {
    /// Posts until it is told to `quit`, and then what is left.
    pub(crate) async fn run(mut self, quit: CancellationToken) {
        loop {
            tokio::select! {
                taken = self.queue.recv() => {
                    let Some(mut batch) = taken else { break };
                    while batch.len() < BATCH_MAX && let Ok(more) = self.queue.try_recv() {
                        batch.extend(more);
                    }
                    self.post(batch).await;
                }
                Some(account) = self.waiting.join_next() => self.come_back(account),
                () = quit.cancelled(), if !self.queue.is_closed() => self.queue.close(),
            }
        }
        while let Some(account) = self.waiting.join_next().await {
            self.come_back(account);
        }
    }

    /// Posts what can be posted now, and sets the rest aside, account by account.
    async fn post(&mut self, batch: Vec<Queued>) {
        let (aside, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(|queued| self.aside.contains_key(&queued.call.account_id));
        for queued in aside {
            self.aside.entry(queued.call.account_id).or_default().push(queued);
        }
        let mut deferred: HashMap<AccountId, Vec<Queued>> = HashMap::new();
        for queued in self.books.post_free(batch).await {
            deferred.entry(queued.call.account_id).or_default().push(queued);
        }
        for (account, batch) in deferred {
            self.wait_for(account, batch);
        }
    }

    fn wait_for(&mut self, account: AccountId, batch: Vec<Queued>) {
        self.aside.insert(account, Vec::new());
        let books = self.books.clone();
        self.waiting.spawn(async move {
            books.post_aside(batch).await;
            account
        });
    }

    /// What came in for an account while it was waited for is waited for in its turn.
    fn come_back(&mut self, account: Result<AccountId, tokio::task::JoinError>) {
        match account {
            Ok(account) => match self.aside.remove(&account) {
                Some(batch) if !batch.is_empty() => self.wait_for(account, batch),
                _ => {}
            },
            // Nobody aborts these. Without a poster no call may start that could not be paid.
            Err(panicked) => {
                tracing::error!(%panicked, "posting has failed");
                self.queue.close();
            }
        }
    }
}

impl Books {
    /// Posts the calls of accounts that nobody has locked. Returns the others; what could not be posted before the process must end is dropped.
    async fn post_free(&self, batch: Vec<Queued>) -> Vec<Queued> {
        if batch.is_empty() { batch } else { self.post(batch, Way::Free).await }
    }

    /// Posts an account's calls, waiting for whoever has locked it.
    async fn post_aside(&self, mut batch: Vec<Queued>) {
        while !batch.is_empty() {
            // Mostly it was another call of its own, and is over by now: no place is taken for that.
            batch = self.post_free(batch).await;
            batch = if batch.is_empty() { batch } else { self.post(batch, Way::Aside).await };
        }
    }

    async fn try_to_post(&self, calls: &[Arc<SettledCall>], way: Way) -> ledger::Result<PostedCalls> {
        match way {
            Way::Free => self.meter.post_free_calls(calls).await,
            Way::Aside => self.meter.post_calls(calls).await,
        }
    }

    /// Repeats until the books have answered. Returns what they deferred.
    async fn post(&self, batch: Vec<Queued>, way: Way) -> Vec<Queued> {
        let (calls, spooled): (Vec<_>, Vec<_>) = batch.into_iter().map(|queued| (queued.call, queued.spooled)).unzip();
        let mut pause = RETRY_FIRST;
        let posting = async {
            loop {
                // A place for each try: whoever is locked for long must not keep the others from theirs.
                let place = match way {
                    Way::Free => None,
                    Way::Aside => self.aside.acquire().await.ok(),
                };
                // A connection that hangs must keep neither the other calls from the books nor the process from ending.
                match timeout(POST_TIMEOUT, self.try_to_post(&calls, way)).await {
                    Ok(Ok(done)) => return done,
                    Ok(Err(error)) => tracing::warn!(%error, calls = calls.len(), "calls could not be posted; trying again"),
                    Err(_) => tracing::warn!(calls = calls.len(), "the database does not answer; posting again"),
                }
                drop(place);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_LAST);
            }
        };
        let Some(done) = self.give_up.run_until_cancelled(posting).await else {
            tracing::warn!(calls = calls.len(), "stopping with calls that are not posted; the next run posts what is in the spool");
            calls.into_iter().zip(spooled).for_each(|(call, spooled)| Queued { call, spooled }.lost());
            return Vec::new();
        };
        self.counted.posted(done.posted);
        for call in &done.unleased {
            tracing::error!(%call, "a call was charged for which nothing was leased");
        }
        let mut deferred = Vec::new();
        let now = Utc::now();
        for (call, spooled) in calls.into_iter().zip(spooled) {
            if done.deferred.contains(&call.call_id) {
                deferred.push(Queued { call, spooled });
                continue;
            }
            self.counted.landed(&call, now);
            spooled.posted();
        }
        deferred
    }
}
