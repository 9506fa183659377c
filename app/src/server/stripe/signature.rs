//! Whether a message is Stripe's: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>…]`, where each v1 is the HMAC-SHA256 of `<t>.<body>` under one of the
//! endpoint's secrets (<https://docs.stripe.com/webhooks/signature>). Other schemes, such as v0, are for tests of theirs and count for nothing.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A message that is older is a replay, or was held up: Stripe signs anew each time that it sends one.
const TOLERANCE_SECONDS: i64 = 300;
/// No header needs more signatures: each is compared with each secret.
const SIGNATURES_MAX: usize = 16;

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Forged {
    /// There is no signature, or none that can be read.
    #[error("it has no signature")]
    Unsigned,
    /// It was signed too long ago, or is of the future.
    #[error("it was not signed within the last five minutes; look at this machine's clock")]
    Expired,
    /// Nobody who knows one of the secrets has signed it.
    #[error("its signature is not of this webhook's secret")]
    Wrong,
}

/// Whether the body is one that was signed with one of the secrets, a moment before now.
pub(super) fn verify(header: &str, body: &[u8], secrets: &[String], now: DateTime<Utc>) -> Result<(), Forged> {
    let pairs = || header.split(',').filter_map(|pair| pair.trim().split_once('='));
    let signed_at = pairs().find(|(name, _)| *name == "t").map(|(_, text)| text).ok_or(Forged::Unsigned)?;
    let seconds: i64 = signed_at.parse().map_err(|_| Forged::Unsigned)?;
    let signatures: Vec<_> = pairs().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| bytes(hex)).take(SIGNATURES_MAX).collect();
    if signatures.is_empty() {
        return Err(Forged::Unsigned);
    }
    let is_signed = signatures.iter().any(|signature| secrets.iter().any(|secret| is_of(secret, signed_at, body, signature)));
    if !is_signed {
        return Err(Forged::Wrong);
    }
    let age = now.timestamp().checked_sub(seconds).ok_or(Forged::Expired)?;
    if (-TOLERANCE_SECONDS..=TOLERANCE_SECONDS).contains(&age) { Ok(()) } else { Err(Forged::Expired) }
}

/// Compared in a time that does not tell how much of it is right.
fn is_of(secret: &str, signed_at: &str, body: &[u8], signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(signed_at.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.verify_slice(signature).is_ok()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || hex.len() != 64 {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_test";
    const BODY: &[u8] = br#"{"id": "evt_1"}"#;

    /// The HMAC-SHA256 of `1735689600.{"id": "evt_1"}` under [`SECRET`], as OpenSSL computes it:
    /// `printf '1735689600.{"id": "evt_1"}' | openssl dgst -sha256 -hmac whsec_test`.
    const SIGNATURE: &str = "29752777d2225e5a0c73c5efec7bedcf3fa32b4fb44ead2623efb9d05575089c";

    fn check(header: &str, seconds: i64) -> Result<(), Forged> {
        let now = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        verify(header, BODY, &["whsec_older".to_owned(), SECRET.to_owned()], now)
    }

    #[test]
    fn what_stripe_signed_a_moment_ago_is_believed() {
        let zeros = "0".repeat(64);
        for header in [
            format!("t=1735689600,v1={SIGNATURE}"),
            format!("t=1735689600,v1={zeros},v1={SIGNATURE},v0={zeros}"),
            format!("v1={SIGNATURE}, t=1735689600"),
        ] {
            assert_eq!(check(&header, 1_735_689_600), Ok(()), "{header}");
        }
        for seconds in [1_735_689_300, 1_735_689_900] {
            assert_eq!(check(&format!("t=1735689600,v1={SIGNATURE}"), seconds), Ok(()));
        }
    }

    #[test]
    fn what_nobody_signed_or_somebody_long_ago_is_not() {
        let header = format!("t=1735689600,v1={SIGNATURE}");
        for seconds in [1_735_689_299, 1_735_689_901, 0] {
            assert_eq!(check(&header, seconds), Err(Forged::Expired), "{seconds}");
        }
        let now = 1_735_689_600;
        for (header, forged) in [
            (String::new(), Forged::Unsigned),
            (format!("v1={SIGNATURE}"), Forged::Unsigned),
            ("t=1735689600".to_owned(), Forged::Unsigned),
            (format!("t=soon,v1={SIGNATURE}"), Forged::Unsigned),
            (format!("t=1735689600,v0={SIGNATURE}"), Forged::Unsigned),
            ("t=1735689600,v1=".to_owned(), Forged::Unsigned),
            (format!("t=1735689600,v1={}", &SIGNATURE[..62]), Forged::Unsigned),
            (format!("t=1735689601,v1={SIGNATURE}"), Forged::Wrong),
            (format!("t=1735689600,v1={}", "0".repeat(64)), Forged::Wrong),
        ] {
            assert_eq!(check(&header, now), Err(forged), "{header}");
        }
        let now = DateTime::from_timestamp(now, 0).unwrap_or_default();
        assert_eq!(verify(&header, b"{\"id\": \"evt_2\"}", &[SECRET.to_owned()], now), Err(Forged::Wrong), "another body");
        assert_eq!(verify(&header, BODY, &["whsec_other".to_owned()], now), Err(Forged::Wrong), "another secret");
        assert_eq!(verify(&header, BODY, &[], now), Err(Forged::Wrong), "no secret");
    }
}
