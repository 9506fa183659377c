//! What calls wanted lately.

use std::time::Duration;

use domain::{credit::Demand, money::Amount};
use tokio::time::Instant;

/// How long a bucket is.
const BUCKET: Duration = Duration::from_secs(1);

/// What an account's calls wanted in this second and in the one before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recent {
    since: Instant,
    current: Demand,
    before: Demand,
}

impl Recent {
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, current: Demand::NOTHING, before: Demand::NOTHING }
    }

    pub(super) fn add(&mut self, demand: Demand, now: Instant) {
        self.pass(now);
        self.current = sum(self.current, demand);
    }

    /// All of it: what calls may want in the two seconds to come.
    pub(super) fn total(&mut self, now: Instant) -> Demand {
        self.pass(now);
        sum(self.current, self.before)
    }

    fn pass(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age >= 2 * BUCKET {
            *self = Self::new(now);
        } else if age >= BUCKET {
            *self = Self { since: self.since + BUCKET, current: Demand::NOTHING, before: self.current };
        }
    }
}

/// Both together, or as much as can be said.
pub(super) fn sum(one: Demand, other: Demand) -> Demand {
    Demand {
        money: one.money.checked_add(other.money).unwrap_or(Amount::from_nanos(i64::MAX)),
        tokens: one.tokens.saturating_add(other.tokens),
        requests: one.requests.saturating_add(other.requests),
    }
}

#[cfg(test)]
mod tests {
    use domain::tokens::Tokens;

    use super::*;

    fn of(requests: u32) -> Demand {
        Demand { money: Amount::from_nanos(10), tokens: Tokens::from_sum(5), requests }
    }

    #[test]
    fn what_was_wanted_two_seconds_ago_is_forgotten() {
        let start = Instant::now();
        let mut recent = Recent::new(start);
        let after = |millis| start + Duration::from_millis(millis);
        recent.add(of(1), after(100));
        recent.add(of(2), after(900));
        recent.add(of(4), after(1_100));
        assert_eq!(recent.total(after(1_999)).requests, 7);
        assert_eq!(recent.total(after(2_100)).requests, 4);
        assert_eq!(recent.total(after(3_200)), Demand::NOTHING);
    }

    #[test]
    fn more_than_can_be_said_is_as_much_as_can_be_said() {
        let all = Demand { money: Amount::from_nanos(i64::MAX), tokens: Tokens::from_sum(i64::MAX), requests: u32::MAX };
        assert_eq!(sum(all, of(1)), all);
    }
}
