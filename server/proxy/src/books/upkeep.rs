//! What the spool needs now and then: its checkpoints written, what is posted for long deleted, its figures told.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use ledger::Ledger;
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::recovery::Left;
use crate::spool::{Lane, Spool};

const EVERY: Duration = Duration::from_secs(1);

/// Looks after the spool until it is told to `quit`, and then once more.
pub(crate) async fn look_after(spool: Arc<Spool>, left: Left, ledger: Ledger, quit: CancellationToken) {
    let mut left = Some(left);
    let mut times = interval(EVERY);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_last = quit.run_until_cancelled(times.tick()).await.is_none();
        write_checkpoints(&spool).await;
        tell(&spool);
        if is_last {
            return;
        }
        if let Some(ending) = left.take_if(|left| left.is_posted(&spool))
            && let Err(error) = ending.end(&ledger).await
        {
            tracing::warn!(%error, "holds of an earlier run could not be given back; trying again");
            left = Some(ending);
        }
    }
}

async fn write_checkpoints(spool: &Arc<Spool>) {
    let spool = Arc::clone(spool);
    let written = spawn_blocking(move || {
        for lane in spool.lanes() {
            if let Err(error) = lane.checkpoint(Utc::now()) {
                tracing::warn!(%error, lane = lane.number(), "how far the spool is posted could not be written");
            }
        }
    });
    if let Err(panicked) = written.await {
        tracing::error!(%panicked, "the spool is not looked after");
    }
}

fn tell(spool: &Spool) {
    let states: Vec<_> = spool.lanes().iter().map(|lane| Lane::state(lane)).collect();
    let oldest = states.iter().filter_map(|state| state.oldest_unposted).min();
    let age = oldest.map_or(0, |oldest| (Utc::now() - oldest).num_milliseconds().max(0));
    let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
    let sum = |of: fn(&crate::spool::LaneState) -> u64| states.iter().map(of).fold(0, u64::saturating_add);
    let small = |of: u64| u32::try_from(of).unwrap_or(u32::MAX);
    metrics::gauge!("farebox_spool_unposted_calls").set(f64::from(small(sum(|state| state.unposted))));
    metrics::gauge!("farebox_spool_running_calls").set(f64::from(count(states.iter().map(|state| state.unsettled).sum())));
    metrics::gauge!("farebox_spool_oldest_unposted_milliseconds").set(f64::from(u32::try_from(age).unwrap_or(u32::MAX)));
    metrics::gauge!("farebox_spool_mebibytes").set(f64::from(small(sum(|state| state.bytes) >> 20)));
    metrics::gauge!("farebox_spool_damaged_records").set(f64::from(count(states.iter().map(|state| state.damaged + state.torn).sum())));
    let is_full = states.iter().any(|state| state.is_full || state.broken.is_some());
    metrics::gauge!("farebox_spool_is_full").set(f64::from(u8::from(is_full)));
}
