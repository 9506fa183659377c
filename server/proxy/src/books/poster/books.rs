//! Where calls are posted to, again and again until they are there.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use ledger::{Meter, PostedCalls, SettledCall};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

use super::Queued;
use crate::instruments::posting::Posting;

/// Accounts that are waited for at once, beside the groups: the connections of the background are for both.
const ASIDE_MAX: usize = 3;
/// What one batch may take. A connection that hangs then gives way to another; what it did after all is not done twice.
const POST_TIMEOUT: Duration = Duration::from_secs(20);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(2);

/// Where calls are posted to, until the process must end.
#[derive(Clone)]
pub(super) struct Books {
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

impl Books {
    pub(super) fn new(meter: Meter, give_up: CancellationToken) -> Self {
        Self { meter, aside: Arc::new(Semaphore::new(ASIDE_MAX)), give_up, counted: Posting::new() }
    }

    /// Posts the calls of accounts that nobody has locked. Returns the others; what could not be posted before the process must end is dropped.
    pub(super) async fn post_free(&self, batch: Vec<Queued>) -> Vec<Queued> {
        if batch.is_empty() { batch } else { self.post(batch, Way::Free).await }
    }

    /// Posts an account's calls, waiting for whoever has locked it.
    pub(super) async fn post_aside(&self, mut batch: Vec<Queued>) {
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
