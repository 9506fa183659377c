//! What must happen now and then: months of the call log made ahead, ended sessions forgotten, calls of dead proxies settled.

use std::{fmt::Display, future::Future, time::Duration};

use chrono::Utc;
use ledger::Ledger;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Months are made two ahead, so that this may fail for weeks.
const PARTITIONS_EVERY: Duration = Duration::from_secs(6 * 3600);
const SESSIONS_EVERY: Duration = Duration::from_secs(600);
const INTERRUPTED_EVERY: Duration = Duration::from_secs(60);

/// Runs the jobs until they are stopped. Several processes may: each job does a thing once, however often it is done.
pub(crate) async fn run(ledger: &Ledger, stop: &CancellationToken) {
    let system = &ledger.system();
    let partitions = every(PARTITIONS_EVERY, "making the call log's next months", || async { system.make_partitions(Utc::now()).await });
    let sessions =
        every(SESSIONS_EVERY, "forgetting ended sessions", || async { system.delete_expired_sessions(Utc::now()).await.map(drop) });
    // A proxy that comes back settles its own; this is for those that never do.
    let interrupted = every(INTERRUPTED_EVERY, "settling the calls of dead proxies", || async {
        let intents = ledger.meter().interrupted_before(Utc::now()).await?;
        proxy::settle_interrupted(ledger, intents).await.map(drop)
    });
    stop.run_until_cancelled(async { tokio::join!(partitions, sessions, interrupted) }).await;
}

/// Does the work at once and then each time the period has passed. What failed is tried again next time.
async fn every<E: Display, F: Future<Output = Result<(), E>>>(period: Duration, name: &str, work: impl Fn() -> F) {
    let mut times = interval(period);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        if let Err(error) = work().await {
            tracing::warn!(%error, "{name} failed");
        }
    }
}
