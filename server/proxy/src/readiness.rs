//! Whether calls can be made here, for whoever watches.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

use crate::Shared;

/// The database is asked for all who want to know it within this time: nobody needs a key for that.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// What the database said last, and when.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Option<&'static str>)>>);

impl Readiness {
    /// Why no call can be made here; the details are in the log.
    pub(crate) async fn why_not(&self, shared: &Shared) -> Option<&'static str> {
        if !shared.catalog.load().is_current() {
            return Some("the database has not answered for seconds, or this machine's clock is not the database's");
        }
        if !shared.poster.is_open() {
            return Some("calls are no longer posted: restart this proxy");
        }
        if let Some(why) = shared.why_no_call() {
            return Some(why);
        }
        self.of_the_database(|| why_not_by(shared)).await
    }

    async fn of_the_database<F: Future<Output = Option<&'static str>>>(&self, ask: impl FnOnce() -> F) -> Option<&'static str> {
        let mut said = self.0.lock().await;
        if let Some((at, why)) = *said
            && at.elapsed() < ASKED_EVERY
        {
            return why;
        }
        let why = ask().await;
        *said = Some((Instant::now(), why));
        why
    }
}

async fn why_not_by(shared: &Shared) -> Option<&'static str> {
    match shared.ledger.ready().await {
        Ok(()) if !shared.leases.are_changed() => Some("the database was away a moment ago, and has leased nothing since"),
        Ok(()) => None,
        Err(error) => {
            tracing::warn!(%error, "not ready");
            Some(match error {
                ledger::Error::ReadOnly => "the database takes no writes",
                ledger::Error::Outdated => "the database has the schema of a later version, which this one must not write to",
                _ => "the database does not answer",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::{task::yield_now, time::advance};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn however_many_ask_the_database_is_asked_once_a_second() {
        let (readiness, asked) = (Readiness::default(), AtomicUsize::new(0));
        let ask = || async {
            let answers = [None, Some("away")];
            let why = answers[asked.fetch_add(1, Ordering::Relaxed) % 2];
            yield_now().await;
            why
        };
        let all = join_all((0..100).map(|_| readiness.of_the_database(ask))).await;
        assert_eq!((asked.load(Ordering::Relaxed), all), (1, vec![None; 100]));
        advance(ASKED_EVERY).await;
        assert_eq!(readiness.of_the_database(ask).await, Some("away"));
        assert_eq!((asked.load(Ordering::Relaxed), readiness.of_the_database(ask).await), (2, Some("away")), "bad news is kept as long");
    }
}
