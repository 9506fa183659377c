//! Calls that run for long are announced to the ledger: should this machine be lost with its spool, they are settled from that.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::id::{CallId, EpochId};
use ledger::{Admitted, Meter};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::admit::leases::Leases;

/// A call that has run for so long is announced.
const LONG: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(1);
/// Calls that are announced together.
const TOGETHER: usize = 100;
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(5);

/// The calls that run, to be looked through for those that do so for long.
#[derive(Debug, Default)]
pub(crate) struct LongCalls(Mutex<HashMap<CallId, Entry>>);

#[derive(Debug)]
struct Entry {
    call: Arc<Admitted>,
    since: Instant,
    is_announced: bool,
}

impl LongCalls {
    /// A call begins.
    pub(crate) fn add(&self, call: &Arc<Admitted>, since: Instant) {
        self.lock().insert(call.call_id, Entry { call: Arc::clone(call), since, is_announced: false });
    }

    /// A call ends.
    pub(crate) fn remove(&self, call: CallId) {
        self.lock().remove(&call);
    }

    /// Some that have run for long by now and are not announced.
    fn due(&self, now: Instant) -> Vec<Arc<Admitted>> {
        let is_due = |entry: &&Entry| !entry.is_announced && now.saturating_duration_since(entry.since) >= LONG;
        self.lock().values().filter(is_due).take(TOGETHER).map(|entry| Arc::clone(&entry.call)).collect()
    }

    fn announced(&self, calls: &[Admitted]) {
        let mut running = self.lock();
        for call in calls {
            running.entry(call.call_id).and_modify(|entry| entry.is_announced = true);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Announces calls as they become long, until it is told to `quit`.
pub(crate) async fn announce(calls: Arc<LongCalls>, leases: Arc<Leases>, meter: Meter, quit: CancellationToken) {
    let announcing = async {
        let mut times = interval(EVERY);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_troubled = false;
        loop {
            times.tick().await;
            let announced = announce_due(&calls, leases.epoch(), &meter).await;
            let is_troubled = announced.is_err();
            if let Err(problem) = announced
                && !was_troubled
            {
                tracing::warn!(problem, "calls that run for long could not be announced; trying again every second");
            }
            was_troubled = is_troubled;
        }
    };
    quit.run_until_cancelled(announcing).await;
}

/// Announces all that are due, or says why not.
async fn announce_due(calls: &LongCalls, epoch: EpochId, meter: &Meter) -> Result<(), String> {
    loop {
        let due: Vec<_> = calls.due(Instant::now()).iter().map(|call| Admitted::clone(call)).collect();
        if due.is_empty() {
            return Ok(());
        }
        // The slices of an earlier epoch have gone back: there is nothing to be settled from.
        let (own, others): (Vec<_>, Vec<_>) = due.into_iter().partition(|call| call.epoch == Some(epoch));
        calls.announced(&others);
        match announce_together(meter, epoch, &own).await? {
            Err(error) if error.is_of_the_data() => announce_apart(calls, meter, epoch, &own).await?,
            announced => announced.map_err(|error| error.to_string())?,
        }
        calls.announced(&own);
    }
}

/// One by one: what is at fault with one keeps no other back. It is settled from the spool alone.
async fn announce_apart(calls: &LongCalls, meter: &Meter, epoch: EpochId, own: &[Admitted]) -> Result<(), String> {
    for call in own {
        match announce_together(meter, epoch, std::slice::from_ref(call)).await? {
            Err(error) if error.is_of_the_data() => tracing::error!(%error, call = %call.call_id, "a call cannot be announced"),
            announced => announced.map_err(|error| error.to_string())?,
        }
        calls.announced(std::slice::from_ref(call));
    }
    Ok(())
}

/// What the ledger says to it, if it answers.
async fn announce_together(meter: &Meter, epoch: EpochId, calls: &[Admitted]) -> Result<ledger::Result<()>, String> {
    timeout(ANNOUNCE_TIMEOUT, meter.announce(epoch, calls)).await.map_err(|_| "the database does not answer".to_owned())
}
