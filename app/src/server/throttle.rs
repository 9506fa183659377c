//! How often someone may try to sign in. Counted in this process: it slows guessing down, while what makes guessing hopeless is the
//! password hash.

use std::{net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use moka::{ops::compute::Op, sync::Cache};

/// Tries for one address of the network and one e-mail address together, per window.
const PER_PAIR: u32 = 10;
/// Tries for one address of the network, per window, whomever they are for.
const PER_ADDRESS: u32 = 100;
/// The window.
const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// Counters kept at most; the oldest give way, so that memory is bounded.
const COUNTERS_MAX: u64 = 100_000;

#[derive(Debug, Clone, Copy)]
struct Window {
    began: DateTime<Utc>,
    tries: u32,
}

/// Counters of sign-in attempts. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Throttle {
    windows: Cache<Arc<str>, Window>,
}

/// One attempt that was let through.
#[derive(Debug)]
pub(crate) struct Attempt {
    throttle: Throttle,
    keys: [(Arc<str>, u32); 2],
}

/// Too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// When to try again.
    pub(crate) retry_after: TimeDelta,
}

impl Default for Throttle {
    fn default() -> Self {
        let live = Duration::from_secs(u64::try_from(WINDOW.num_seconds()).unwrap_or_default());
        Self { windows: Cache::builder().max_capacity(COUNTERS_MAX).time_to_live(live).build() }
    }
}

impl Throttle {
    /// Counts an attempt before it is made, so that many at once are no way around.
    pub(crate) fn attempt(&self, address: IpAddr, email: &str, now: DateTime<Utc>) -> Result<Attempt, TooMany> {
        let address = network_of(address);
        let pair: Arc<str> = format!("{address} {}", email.trim().to_lowercase()).into();
        let keys = [(pair, PER_PAIR), (Arc::from(address), PER_ADDRESS)];
        for (key, most) in &keys {
            let window = self.count(key, now);
            if window.tries > *most {
                return Err(TooMany { retry_after: window.began + WINDOW - now });
            }
        }
        Ok(Attempt { throttle: self.clone(), keys })
    }

    fn count(&self, key: &Arc<str>, now: DateTime<Utc>) -> Window {
        let fresh = Window { began: now, tries: 1 };
        let entry = self.windows.entry(key.clone()).and_upsert_with(|old| match old {
            Some(old) if now < old.value().began + WINDOW => Window { tries: old.value().tries.saturating_add(1), ..*old.value() },
            _ => fresh,
        });
        *entry.value()
    }
}

impl Attempt {
    /// It was the right password: it counts for nothing.
    pub(crate) fn succeeded(self) {
        for (key, _) in &self.keys {
            self.throttle.windows.entry(key.clone()).and_compute_with(|old| match old {
                Some(old) => Op::Put(Window { tries: old.value().tries.saturating_sub(1), ..*old.value() }),
                None => Op::Nop,
            });
        }
    }
}

/// Whoever has one IPv6 address usually has the whole /64.
fn network_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments()[..4].iter().map(|part| format!("{part:x}:")).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::net::Ipv4Addr;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::<Utc>::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    #[test]
    fn guessing_one_password_stops_after_ten_tries_and_starts_again_later() {
        let throttle = Throttle::default();
        for _ in 0..PER_PAIR {
            throttle.attempt(HOME, "a@example.com", at(0)).unwrap();
        }
        assert_eq!(throttle.attempt(HOME, " A@example.com", at(5)).unwrap_err().retry_after, TimeDelta::minutes(10));
        throttle.attempt(HOME, "b@example.com", at(5)).unwrap();
        throttle.attempt(HOME, "a@example.com", at(15)).unwrap();
    }

    #[test]
    fn trying_many_people_from_one_address_stops_too() {
        let throttle = Throttle::default();
        let refused = (0..=PER_ADDRESS).filter(|person| throttle.attempt(HOME, &format!("{person}@example.com"), at(0)).is_err());
        assert_eq!(refused.count(), 1);
    }

    #[test]
    fn signing_in_often_is_no_attack() {
        let throttle = Throttle::default();
        for _ in 0..PER_ADDRESS * 2 {
            throttle.attempt(HOME, "a@example.com", at(0)).unwrap().succeeded();
        }
    }
}
