//! What the spool needs now and then: its checkpoints written, what is posted for long deleted, its figures told.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use tokio::{
    task::spawn_blocking,
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::books::spool::{Lane, Spool};

const EVERY: Duration = Duration::from_secs(1);

/// Looks after the spool until it is told to `quit`, and then once more.
pub(crate) async fn look_after(spool: Arc<Spool>, quit: CancellationToken) {
    let mut times = every();
    let mut troubled = false;
    loop {
        let is_last = quit.run_until_cancelled(times.tick()).await.is_none();
        write_checkpoints(&spool, &mut troubled).await;
        tell(&spool);
        if is_last {
            return;
        }
    }
}

fn every() -> Interval {
    let mut times = interval(EVERY);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    times
}

/// What goes wrong is said once, until it has gone well again.
async fn write_checkpoints(spool: &Arc<Spool>, troubled: &mut bool) {
    let spool = Arc::clone(spool);
    let written = spawn_blocking(move || {
        let mut all = Ok(());
        for lane in spool.lanes() {
            all = all.and(lane.checkpoint(Utc::now()));
        }
        all
    });
    let problem = match written.await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(panicked) => Some(panicked.to_string()),
    };
    if let Some(problem) = problem.as_ref().filter(|_| !*troubled) {
        tracing::error!(problem, "the spool cannot be looked after; trying again every second");
    }
    *troubled = problem.is_some();
}

fn tell(spool: &Spool) {
    let states: Vec<_> = spool.lanes().iter().map(|lane| Lane::state(lane)).collect();
    let oldest = states.iter().filter_map(|state| state.oldest_unposted).min();
    let age = oldest.map_or(0, |oldest| (Utc::now() - oldest).num_milliseconds().max(0));
    let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
    let sum = |of: fn(&crate::books::spool::LaneState) -> u64| states.iter().map(of).fold(0, u64::saturating_add);
    let small = |of: u64| u32::try_from(of).unwrap_or(u32::MAX);
    metrics::gauge!("farebox_spool_unposted_calls").set(f64::from(small(sum(|state| state.unposted))));
    metrics::gauge!("farebox_spool_running_calls").set(f64::from(count(states.iter().map(|state| state.unsettled).sum())));
    metrics::gauge!("farebox_spool_oldest_unposted_milliseconds").set(f64::from(u32::try_from(age).unwrap_or(u32::MAX)));
    metrics::gauge!("farebox_spool_mebibytes").set(f64::from(small(sum(|state| state.bytes) >> 20)));
    metrics::gauge!("farebox_spool_damaged_records").set(f64::from(count(states.iter().map(|state| state.damaged + state.torn).sum())));
    let is_full = states.iter().any(|state| state.is_full || state.broken.is_some());
    metrics::gauge!("farebox_spool_is_full").set(f64::from(u8::from(is_full)));
}
