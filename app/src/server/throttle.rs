//! How often someone may try to sign in, open an account, or redeem a code. Counted in this process: it slows guessing down, while what makes guessing
//! hopeless is the password hash.
//!
//! Failed sign-ins are counted three ways. Ten for one person from one place stop a guesser long before luck helps. A hundred from one place
//! stop whoever tries one password on many people. Fifty for one person from anywhere slow a guesser who has many places down to 1,200 a day;
//! that last limit also keeps the person out, so it lies above what one place can use up in its window (forty): to lock somebody out, it takes
//! several places, and keeping at it. A browser that is known to this person has tries of its own, and guesses
//! elsewhere do not shut it out; all such browsers of one person together have as many as all others, since whoever knew a password once may have made
//! many of them.

use std::{net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::AccountId;
use moka::{ops::compute::Op, sync::Cache};

/// How many, in how long.
#[derive(Debug, Clone, Copy)]
struct Limit {
    tries: u32,
    window: TimeDelta,
}

/// Tries for one address of the network and one e-mail address together.
const PER_PAIR: Limit = Limit { tries: 10, window: TimeDelta::minutes(15) };
/// Tries for one address of the network, whomever they are for.
const PER_ADDRESS: Limit = Limit { tries: 100, window: TimeDelta::minutes(15) };
/// Tries for one e-mail address, wherever they come from.
const PER_EMAIL: Limit = Limit { tries: 50, window: TimeDelta::hours(1) };
/// Accounts opened from one address of the network, behind which there can be a whole company.
const SIGN_UPS: Limit = Limit { tries: 300, window: TimeDelta::hours(1) };

/// Codes that one account tries in vain, and all accounts of one address of the network.
const CODES_PER_ACCOUNT: Limit = Limit { tries: 10, window: TimeDelta::minutes(15) };
const CODES_PER_ADDRESS: Limit = Limit { tries: 50, window: TimeDelta::minutes(15) };

/// The longest window.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// Counters kept at most; the oldest give way, so that memory is bounded.
const COUNTERS_MAX: u64 = 100_000;
/// No e-mail address is longer; neither is a counter's name, for the same reason.
const EMAIL_CHARS_MAX: usize = 254;

#[derive(Debug, Clone, Copy)]
struct Window {
    began: DateTime<Utc>,
    tries: u32,
}

/// Counters of attempts. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Throttle {
    windows: Cache<Arc<str>, Window>,
}

/// One attempt that was let through.
#[derive(Debug)]
pub(crate) struct Attempt {
    throttle: Throttle,
    counters: Vec<Arc<str>>,
}

/// Too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// When to try again.
    pub(crate) retry_after: TimeDelta,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { windows: Cache::builder().max_capacity(COUNTERS_MAX).time_to_live(REMEMBERED).build() }
    }
}

impl Throttle {
    /// Counts an attempt to sign in before it is made, so that many at once are no way around.
    /// `device` is the browser's id, if it is known to this person.
    pub(crate) fn sign_in(&self, address: IpAddr, email: &str, device: Option<&str>, now: DateTime<Utc>) -> Result<Attempt, TooMany> {
        if let Some(device) = device {
            return self.attempt([(format!("device {device}"), PER_PAIR), (format!("devices {}", normal(email)), PER_EMAIL)], now);
        }
        let (network, email) = (network_of(address), normal(email));
        // What one place may not try is not counted against the person.
        let counters = [
            (format!("pair {network} {email}"), PER_PAIR),
            (format!("address {network}"), PER_ADDRESS),
            (format!("email {email}"), PER_EMAIL),
        ];
        self.attempt(counters, now)
    }

    /// Counts an account before it is opened.
    pub(crate) fn sign_up(&self, address: IpAddr, now: DateTime<Utc>) -> Result<Attempt, TooMany> {
        self.attempt([(format!("sign-ups {}", network_of(address)), SIGN_UPS)], now)
    }

    /// Counts a code before it is redeemed.
    pub(crate) fn redeem(&self, address: IpAddr, account: AccountId, now: DateTime<Utc>) -> Result<Attempt, TooMany> {
        let counters =
            [(format!("codes of {account}"), CODES_PER_ACCOUNT), (format!("codes from {}", network_of(address)), CODES_PER_ADDRESS)];
        self.attempt(counters, now)
    }

    fn attempt<const N: usize>(&self, counters: [(String, Limit); N], now: DateTime<Utc>) -> Result<Attempt, TooMany> {
        let mut counted = Vec::with_capacity(N);
        for (name, limit) in counters {
            let name = Arc::from(name);
            let window = self.count(&name, limit, now);
            if window.tries > limit.tries {
                return Err(TooMany { retry_after: window.began + limit.window - now });
            }
            counted.push(name);
        }
        Ok(Attempt { throttle: self.clone(), counters: counted })
    }

    fn count(&self, counter: &Arc<str>, limit: Limit, now: DateTime<Utc>) -> Window {
        let fresh = Window { began: now, tries: 1 };
        let entry = self.windows.entry(counter.clone()).and_upsert_with(|old| match old {
            Some(old) if now < old.value().began + limit.window => Window { tries: old.value().tries.saturating_add(1), ..*old.value() },
            _ => fresh,
        });
        *entry.value()
    }
}

impl Attempt {
    /// It was the right password, or a code that gave credit: it counts for nothing.
    pub(crate) fn forget(self) {
        for counter in self.counters {
            self.throttle.windows.entry(counter).and_compute_with(|old| match old {
                Some(old) => Op::Put(Window { tries: old.value().tries.saturating_sub(1), ..*old.value() }),
                None => Op::Nop,
            });
        }
    }
}

/// An address by which a person is counted, however it is typed.
fn normal(email: &str) -> String {
    email.trim().to_lowercase().chars().take(EMAIL_CHARS_MAX).collect()
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

    fn place(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn guessing_one_password_stops_after_ten_tries_and_starts_again_later() {
        let throttle = Throttle::default();
        for _ in 0..PER_PAIR.tries {
            throttle.sign_in(HOME, "a@example.com", None, at(0)).unwrap();
        }
        assert_eq!(throttle.sign_in(HOME, " A@example.com", None, at(5)).unwrap_err().retry_after, TimeDelta::minutes(10));
        throttle.sign_in(HOME, "b@example.com", None, at(5)).unwrap();
        throttle.sign_in(HOME, "a@example.com", None, at(15)).unwrap();
    }

    #[test]
    fn trying_many_people_from_one_address_stops_too() {
        let throttle = Throttle::default();
        let refused =
            (0..=PER_ADDRESS.tries).filter(|person| throttle.sign_in(HOME, &format!("{person}@example.com"), None, at(0)).is_err());
        assert_eq!(refused.count(), 1);
    }

    #[test]
    fn guessing_one_password_from_many_places_stops_for_the_rest_of_the_hour() {
        let throttle = Throttle::default();
        for number in 0..PER_EMAIL.tries {
            throttle.sign_in(place(number), "a@example.com", None, at(0)).unwrap();
        }
        assert_eq!(throttle.sign_in(HOME, "a@example.com", None, at(20)).unwrap_err().retry_after, TimeDelta::minutes(40));
        throttle.sign_in(HOME, "a@example.com", None, at(60)).unwrap();
    }

    #[test]
    fn a_known_browser_is_shut_out_by_its_own_guesses_alone() {
        let throttle = Throttle::default();
        for number in 0..PER_EMAIL.tries {
            throttle.sign_in(place(number), "a@example.com", None, at(0)).unwrap();
        }
        for person in 0..PER_ADDRESS.tries {
            let _ = throttle.sign_in(HOME, &format!("{person}@example.com"), None, at(0));
        }
        assert!(throttle.sign_in(HOME, "a@example.com", None, at(0)).is_err());
        for _ in 0..PER_PAIR.tries {
            throttle.sign_in(HOME, "a@example.com", Some("1"), at(0)).unwrap();
        }
        assert!(throttle.sign_in(HOME, "a@example.com", Some("1"), at(0)).is_err());
        throttle.sign_in(HOME, "a@example.com", Some("2"), at(0)).unwrap();
        // Who has many of them has no more guesses than who has many places.
        let passed = (3..99).filter(|number| throttle.sign_in(HOME, "a@example.com", Some(&number.to_string()), at(0)).is_ok());
        assert_eq!(passed.count(), usize::try_from(PER_EMAIL.tries - PER_PAIR.tries - 1).unwrap());
    }

    #[test]
    fn nobody_is_locked_out_from_one_place() {
        let throttle = Throttle::default();
        for minute in 0..60 {
            for _ in 0..PER_ADDRESS.tries {
                let _ = throttle.sign_in(place(7), "a@example.com", None, at(minute));
            }
        }
        throttle.sign_in(HOME, "a@example.com", None, at(59)).unwrap();
    }

    #[test]
    fn signing_in_often_is_no_attack() {
        let throttle = Throttle::default();
        for _ in 0..PER_ADDRESS.tries * 2 {
            throttle.sign_in(HOME, "a@example.com", None, at(0)).unwrap().forget();
        }
    }

    #[test]
    fn guessing_codes_stops_for_an_account_and_for_a_place() {
        let throttle = Throttle::default();
        let account = |number: u128| AccountId::from_uuid(uuid::Uuid::from_u128(number));
        for _ in 0..CODES_PER_ACCOUNT.tries {
            throttle.redeem(HOME, account(1), at(0)).unwrap();
        }
        assert!(throttle.redeem(place(7), account(1), at(5)).is_err(), "wherever it is");
        throttle.redeem(place(7), account(1), at(15)).unwrap();
        let refused =
            (0..=CODES_PER_ADDRESS.tries).filter(|number| throttle.redeem(place(9), account(9 + u128::from(*number)), at(0)).is_err());
        assert_eq!(refused.count(), 1, "whoever it is");
    }

    #[test]
    fn opening_accounts_without_end_stops_and_keeps_nobody_from_signing_in() {
        let throttle = Throttle::default();
        for _ in 0..SIGN_UPS.tries {
            throttle.sign_up(HOME, at(0)).unwrap();
        }
        assert!(throttle.sign_up(HOME, at(59)).is_err());
        throttle.sign_up(place(7), at(59)).unwrap();
        throttle.sign_in(HOME, "a@example.com", None, at(59)).unwrap();
    }
}
