//! What is counted of posting, by handles that the poster keeps.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use ledger::SettledCall;
use metrics::{Counter, Histogram};

use super::{POSTED, POSTING_LAG};

#[derive(Clone)]
pub(crate) struct Posting {
    posted: Counter,
    lag: Histogram,
}

impl Posting {
    pub(crate) fn new() -> Self {
        Self { posted: POSTED.counter(&[]), lag: POSTING_LAG.histogram(&[]) }
    }

    /// So many calls were posted that the books did not have.
    pub(crate) fn posted(&self, calls: usize) {
        self.posted.increment(u64::try_from(calls).unwrap_or(u64::MAX));
    }

    /// The books have this call now.
    pub(crate) fn landed(&self, call: &SettledCall, now: DateTime<Utc>) {
        if let Some(settled_at) = settled_at(call) {
            self.lag.record((now - settled_at).to_std().unwrap_or(Duration::ZERO));
        }
    }
}

fn settled_at(call: &SettledCall) -> Option<DateTime<Utc>> {
    call.call_id.started_at()?.checked_add_signed(TimeDelta::try_milliseconds(call.latency_ms)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{books::settled, instruments::meters::tests::rendered};

    #[test]
    fn the_lag_of_posting_begins_when_a_call_has_settled() {
        let call = settled();
        let said = rendered(|| {
            let posting = Posting::new();
            posting.posted(1);
            let began = call.call_id.started_at().unwrap_or_default();
            posting.landed(&call, began + TimeDelta::milliseconds(call.latency_ms + 250));
        });
        assert!(said.contains("farebox_posted_calls_total 1\n"), "{said}");
        assert!(said.contains("farebox_posting_lag_seconds_sum 0.25\n"), "{said}");
    }
}
