//! What must happen now and then: months of the call log made ahead, calls in quarantine tried again, ended sessions forgotten, what dead
//! proxies had leased given back, hours that have ended posted, credit that has ended lapsed, plans renewed, documents issued, days sealed and proved, what
//! became of payments asked for, accounts topped up.

use std::{
    fmt::Display,
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use app::server::Stripe;
use chrono::{TimeDelta, Utc};
use ledger::{DocumentLooks, Ledger};
use tokio::{
    sync::Mutex,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Months are made two ahead, so that this may fail for weeks.
const PARTITIONS_EVERY: Duration = Duration::from_secs(6 * 3600);
const SESSIONS_EVERY: Duration = Duration::from_secs(600);
/// What was silent at one look and still is at the next is taken for dead.
const GONE_EVERY: Duration = Duration::from_secs(60);
const NOTICES_EVERY: Duration = Duration::from_secs(60);
/// What is posted for an account closes its ended hours first; this is for those that nothing is posted for.
const BOOKS_EVERY: Duration = Duration::from_secs(60);
/// A receipt is there moments after it was paid.
const DOCUMENTS_EVERY: Duration = Duration::from_secs(5);
/// A payment that was paid and not told of is found within minutes.
const PAYMENTS_EVERY: Duration = Duration::from_secs(60);
/// A balance that is too low is topped up within seconds, where its owner wants that.
const TOP_UPS_EVERY: Duration = Duration::from_secs(5);
const PENDING_FOR: TimeDelta = TimeDelta::minutes(5);

/// Runs the jobs until they are stopped. Several processes may: each job does a thing once, however often it is done.
pub(crate) async fn run(ledger: &Ledger, stripe: Option<&Stripe>, stop: &CancellationToken) {
    let system = &ledger.system();
    let partitions = every(PARTITIONS_EVERY, "making the call log's next months", || async {
        system.make_partitions(Utc::now()).await?;
        system.forget_minutes().await?;
        post_quarantined(ledger).await
    });
    let sessions =
        every(SESSIONS_EVERY, "forgetting ended sessions", || async { system.delete_expired_sessions(Utc::now()).await.map(drop) });
    let seen = Mutex::new(Vec::new());
    let gone =
        every(GONE_EVERY, "ending what dead proxies had leased", || async { proxy::end_silent(ledger, &mut *seen.lock().await).await });
    let notices = every(NOTICES_EVERY, "forgetting what every proxy has heard", || system.forget_notices());
    // Each by itself: what keeps one of them from being done keeps no other.
    let lapses = every(BOOKS_EVERY, "posting credit that has ended", || async { system.lapse_grants().await.map(drop) });
    let renewals = every(BOOKS_EVERY, "renewing plans", || async { system.renew_plans().await.map(drop) });
    let hours = every(BOOKS_EVERY, "closing the hours of the books", || async { system.close_hours().await.map(drop) });
    let looks = Mutex::new(DocumentLooks::default());
    let documents = every(DOCUMENTS_EVERY, "issuing receipts, invoices and credit notes", || async {
        system.issue_new_documents(&mut *looks.lock().await).await.map(drop)
    });
    let days = every(BOOKS_EVERY, "sealing days", || async {
        system.seal_days().await?;
        system.prove_sealed_days().await.map(drop)
    });
    // What was told while nothing ran is missed from the beginning.
    let has_looked = AtomicBool::new(false);
    let payments = every(PAYMENTS_EVERY, "asking what became of payments", || async {
        let Some(stripe) = stripe else { return Ok(()) };
        let pending_for = if has_looked.load(Ordering::Relaxed) { PENDING_FOR } else { TimeDelta::zero() };
        stripe.look_at_pending(ledger, pending_for).await?;
        has_looked.store(true, Ordering::Relaxed);
        ledger::Result::Ok(())
    });
    let top_ups = every(TOP_UPS_EVERY, "topping accounts up", || async {
        match stripe {
            Some(stripe) => stripe.top_up(ledger).await,
            None => Ok(()),
        }
    });
    stop.run_until_cancelled(async {
        tokio::join!(partitions, sessions, gone, notices, lapses, renewals, hours, documents, days, payments, top_ups)
    })
    .await;
}

/// What the ledger refused once, for want of a month or by a defect that an upgrade has mended, is posted as soon as it can be.
async fn post_quarantined(ledger: &Ledger) -> ledger::Result<()> {
    let posting = ledger.meter().post_quarantined().await?;
    if posting.posted + posting.corrected > 0 {
        tracing::info!(posted = posting.posted, corrected = posting.corrected, "calls that were in quarantine are in the books");
    }
    for call in &posting.unleased {
        tracing::error!(%call, "a call in quarantine was charged for which nothing was leased");
    }
    if posting.quarantined.len() + posting.deferred.len() > 0 {
        tracing::warn!(refused = posting.quarantined.len(), locked = posting.deferred.len(), "calls stay in quarantine");
    }
    Ok(())
}

/// Does the work at once and then each time the period has passed. What failed is tried again next time.
async fn every<E: Display, F: Future<Output = Result<(), E>>>(period: Duration, name: &str, work: impl Fn() -> F) {
    let mut times = interval(period);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        // Boxed: all of them side by side are more than a stack should hold.
        if let Err(error) = Box::pin(work()).await {
            tracing::warn!(%error, "{name} failed");
        }
    }
}
