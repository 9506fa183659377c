//! How often an account may ask for reports.

use std::time::Duration;

use domain::id::AccountId;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::reply::Refusal;

/// Requests of an account in a window. A month by hours, a page a week, is five.
const REQUESTS_MAX: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);
/// Accounts that are counted; the oldest give way, so that memory is bounded.
const ACCOUNTS_MAX: u64 = 100_000;

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    requests: u32,
}

/// Counters, which begin anew a minute after their first request.
#[derive(Debug)]
pub(super) struct Pace(Cache<AccountId, Window>);

impl Default for Pace {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(ACCOUNTS_MAX).time_to_live(2 * WINDOW).build())
    }
}

impl Pace {
    /// Counts a request, or refuses it.
    pub(super) fn take(&self, account: AccountId) -> Result<(), Refusal> {
        let now = Instant::now();
        let entry = self.0.entry(account).and_upsert_with(|old| match old.map(moka::Entry::into_value) {
            Some(window) if now < window.began + WINDOW => Window { requests: window.requests.saturating_add(1), ..window },
            _ => Window { began: now, requests: 1 },
        });
        let window = *entry.value();
        if window.requests <= REQUESTS_MAX { Ok(()) } else { Err(Refusal::too_many_reports(REQUESTS_MAX, window.began + WINDOW - now)) }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_account_that_asks_too_often_is_refused_for_the_rest_of_the_minute_and_no_other_is() {
        let (pace, account) = (Pace::default(), |number| AccountId::new(DateTime::UNIX_EPOCH, [number; 10]));
        for _ in 0..REQUESTS_MAX {
            assert_eq!(pace.take(account(1)), Ok(()));
        }
        advance(Duration::from_secs(50)).await;
        assert_eq!(pace.take(account(1)).map_err(|refusal| refusal.retry_after), Err(Some(Duration::from_secs(10))));
        assert_eq!(pace.take(account(2)), Ok(()));
        advance(Duration::from_secs(10)).await;
        assert_eq!(pace.take(account(1)), Ok(()));
    }
}
