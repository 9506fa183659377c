//! Browsers in which somebody has signed in before. Guesses of others, which the throttle stops for an address of the network or for a person, do not shut
//! such a browser out: it has tries of its own. It proves itself by a cookie, which opens nothing by itself
//! (<https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies>).

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// What the cookies are called, with whose they are behind.
const NAME: &str = "device-";
/// How long a browser is known after the last sign-in.
const KNOWN: TimeDelta = TimeDelta::days(180);

/// What signs the cookies: it must be the same in every process of a console, and be kept as a secret.
#[derive(Clone)]
pub struct DeviceSecret(String);

impl fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceSecret(…)")
    }
}

impl DeviceSecret {
    /// A secret of this text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// What a browser is given in which this address has signed in: `id.expiry.signature`, the expiry in Unix seconds.
    fn token(&self, email: &str, id: &str, now: DateTime<Utc>) -> String {
        let said = format!("{id}.{}", (now + KNOWN).timestamp());
        let signature: String = self.signature(email, &said).finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{said}.{signature}")
    }

    /// The id of the browser, if this is what one was given in which this address has signed in.
    pub(super) fn known<'a>(&self, token: &'a str, email: &str, now: DateTime<Utc>) -> Option<&'a str> {
        let (said, signature) = token.rsplit_once('.')?;
        let (id, expiry) = said.split_once('.')?;
        let signature = signature.as_bytes().chunks(2).map(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let signature: Vec<_> = signature.collect::<Option<_>>()?;
        self.signature(email, said).verify_slice(&signature).ok()?;
        (now.timestamp() < expiry.parse().ok()?).then_some(id)
    }

    /// The header that makes a browser known, by the id that it has already or by a new one.
    pub(super) fn cookie(&self, email: &str, known: Option<&str>, now: DateTime<Utc>, is_https: bool) -> String {
        let id = known.map_or_else(|| format!("{:016x}", rand::random::<u64>()), str::to_owned);
        let (name, token) = (name(email, is_https), self.token(email, &id, now));
        let secure = if is_https { "; Secure" } else { "" };
        format!("{name}={token}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}", KNOWN.num_seconds())
    }

    fn signature(&self, email: &str, said: &str) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let signature = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("any length");
        signature.chain_update(said).chain_update("\n").chain_update(normal(email))
    }
}

/// One for each person who signs in there. With the prefix, browsers take the cookie from this host over HTTPS only (RFC 6265bis, section 4.1.3.2).
pub(super) fn name(email: &str, is_https: bool) -> String {
    let whose: String = Sha256::digest(normal(email)).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}{NAME}{whose}", if is_https { "__Host-" } else { "" })
}

/// Two addresses that are the same here are one person's to the database, whatever its language: it folds these letters at least.
fn normal(email: &str) -> String {
    email.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "ada@example.com";

    #[test]
    fn a_browser_is_known_to_whom_it_was_given_until_it_expires_and_to_nobody_else() {
        let (ours, others) = (DeviceSecret::new("ours".to_owned()), DeviceSecret::new("others".to_owned()));
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let token = ours.token(ADA, "0000000000000007", now);
        assert_eq!(ours.known(&token, " ADA@example.com", now), Some("0000000000000007"));
        assert_eq!(ours.known(&token, ADA, now + KNOWN - TimeDelta::seconds(1)), Some("0000000000000007"));
        assert_eq!(ours.known(&token, ADA, now + KNOWN), None);
        assert_eq!(ours.known(&token, "eve@example.com", now), None);
        // Another letter to the database, though it looks like a K, and is one in small letters.
        let other = ours.token("\u{212a}ate@example.com", "0000000000000007", now);
        assert_eq!(ours.known(&other, "kate@example.com", now), None);
        assert_ne!(name("\u{212a}ate@example.com", true), name("kate@example.com", true));
        assert_eq!(others.known(&token, ADA, now), None);
        let (id, rest) = token.split_at(16);
        for forged in [
            String::new(),
            "..".to_owned(),
            format!("{}8{rest}", &id[..15]),
            token.replacen('1', "9", 1),
            token[..token.len() - 2].to_owned(),
        ] {
            assert_eq!(ours.known(&forged, ADA, now), None, "{forged}");
        }
        assert!(!format!("{ours:?}").contains("ours"));
        let cookie = ours.cookie(ADA, Some("0000000000000007"), now, true);
        assert!(cookie.starts_with(&format!("{}={token};", name(ADA, true))) && cookie.ends_with("; Secure"), "{cookie}");
        assert_ne!(ours.cookie(ADA, None, now, true), cookie);
    }
}
