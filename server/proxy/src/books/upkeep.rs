//! What the spool needs now and then: its checkpoints written, what is posted for long deleted, its figures told.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use tokio::{
    task::spawn_blocking,
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    books::spool::{Lane, LaneState, Spool},
    instruments::{RUNNING_CALLS, SPOOL_BYTES, SPOOL_DAMAGED, SPOOL_FULL, SPOOL_OLDEST, SPOOL_UNPOSTED, gauged},
};

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
    let sum = |of: fn(&LaneState) -> u64| gauged(states.iter().map(of).fold(0, u64::saturating_add));
    let count = |of: fn(&LaneState) -> usize| gauged(states.iter().map(of).fold(0, usize::saturating_add));
    let oldest = states.iter().filter_map(|state| state.oldest_unposted).min();
    let age = oldest.and_then(|oldest| (Utc::now() - oldest).to_std().ok()).unwrap_or_default();
    let is_full = states.iter().any(|state| state.is_full || state.broken.is_some());
    RUNNING_CALLS.gauge(&[]).set(count(|state| state.unsettled));
    SPOOL_UNPOSTED.gauge(&[]).set(sum(|state| state.unposted));
    SPOOL_OLDEST.gauge(&[]).set(age);
    SPOOL_BYTES.gauge(&[]).set(sum(|state| state.bytes));
    SPOOL_DAMAGED.gauge(&[]).set(count(|state| state.damaged + state.torn));
    SPOOL_FULL.gauge(&[]).set(u8::from(is_full));
}
