//! Keys: a prefix that says what they open, 160 random bits, and a checksum that tells a mistyped key from an unknown one without asking a database.
//! API keys begin with `sk-fb_` and call models; report keys begin with `rk-fb_` and read usage and costs.

use std::fmt;

/// What every key begins with; secret scanners look for it.
pub const PREFIX: &str = "sk-fb_";

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^27 > 2^160.
const SECRET_DIGITS: usize = 27;
/// 62^6 > 2^32.
const CHECKSUM_DIGITS: usize = 6;

/// A whole API key. `Debug` shows only its ends; `expose` is the one way to the text.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// The text is not a key that Farebox made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a Farebox key: expected {PREFIX} and 33 letters and digits whose checksum fits")]
pub struct MalformedKey;

impl ApiKey {
    /// The key of these random bits.
    #[must_use]
    pub fn from_random(random: [u8; 20]) -> Self {
        Self(made(PREFIX, random))
    }

    /// Recognises a key by its form and checksum.
    ///
    /// # Errors
    /// [`MalformedKey`].
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        is_made(PREFIX, text).then(|| Self(text.to_owned())).ok_or(MalformedKey)
    }

    /// The secret itself: for the one page that shows it and for hashing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last four characters, by which people tell keys apart.
    #[must_use]
    pub fn last_four(&self) -> &str {
        last_four(&self.0)
    }
}

/// What every report key begins with.
const REPORT_PREFIX: &str = "rk-fb_";

/// A whole report key, as [`ApiKey`].
#[derive(Clone, PartialEq, Eq)]
pub struct ReportKey(String);

impl ReportKey {
    /// The key of these random bits.
    #[must_use]
    pub fn from_random(random: [u8; 20]) -> Self {
        Self(made(REPORT_PREFIX, random))
    }

    /// Recognises a key by its form and checksum.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_made(REPORT_PREFIX, text).then(|| Self(text.to_owned()))
    }

    /// The secret itself: for the one page that shows it and for hashing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last four characters, by which people tell keys apart.
    #[must_use]
    pub fn last_four(&self) -> &str {
        last_four(&self.0)
    }

    /// How one is shown once it has been made: `rk-fb_…3kQa`.
    #[must_use]
    pub fn masked(last_four: &str) -> String {
        format!("{REPORT_PREFIX}…{last_four}")
    }
}

impl fmt::Debug for ReportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::masked(self.last_four()))
    }
}

fn made(prefix: &str, random: [u8; 20]) -> String {
    let secret = base62(&random, SECRET_DIGITS);
    let mut key = format!("{prefix}{secret}");
    key.extend(checksum(&secret).map(char::from));
    key
}

/// The CRC-32 of a secret, in base 62. Every call has its key's looked at.
fn checksum(secret: &str) -> [u8; CHECKSUM_DIGITS] {
    let mut left = crc32fast::hash(secret.as_bytes());
    let mut digits = [ALPHABET[0]; CHECKSUM_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(left % 62) as usize];
        left /= 62;
    }
    digits
}

fn is_made(prefix: &str, text: &str) -> bool {
    let Some(body) = text.strip_prefix(prefix) else { return false };
    if body.len() != SECRET_DIGITS + CHECKSUM_DIGITS || !body.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    let (secret, stated) = body.split_at(SECRET_DIGITS);
    checksum(secret) == stated.as_bytes()
}

fn last_four(key: &str) -> &str {
    &key[key.len() - 4..]
}

/// How a key is shown once it has been made: `sk-fb_…3kQa`.
#[must_use]
pub fn masked(last_four: &str) -> String {
    format!("{PREFIX}…{last_four}")
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(self.last_four()))
    }
}

/// Big-endian bytes in base 62, left-padded to `digits`.
fn base62(bytes: &[u8], digits: usize) -> String {
    let mut number = bytes.to_vec();
    let mut text = vec![ALPHABET[0]; digits];
    for place in text.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        *place = ALPHABET[remainder as usize];
    }
    text.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_has_the_documented_form() {
        let key = ApiKey::from_random([0xff; 20]);
        assert_eq!(key.expose().len(), PREFIX.len() + 33);
        assert_eq!(format!("{key:?}"), masked(key.last_four()));
        // Keys that were given out work for ever.
        assert_eq!(key.expose(), "sk-fb_aWgEPTl1tmebfsQzFP4bxwgy80V2foiOv");
        assert_eq!(ApiKey::from_random([7; 20]).expose(), "sk-fb_10AOhycyamkKyENaw2sLSsN3q0V3WwhrB");
    }

    #[test]
    fn a_key_of_one_kind_is_none_of_the_other() {
        let (call, report) = (ApiKey::from_random([7; 20]), ReportKey::from_random([7; 20]));
        assert_eq!(ReportKey::parse(report.expose()), Some(report.clone()));
        assert_eq!((ApiKey::parse(report.expose()), ReportKey::parse(call.expose())), (Err(MalformedKey), None));
        assert_eq!(format!("{report:?}"), ReportKey::masked(report.last_four()));
    }

    proptest! {
        #[test]
        fn a_made_key_is_recognised(random: [u8; 20]) {
            let key = ApiKey::from_random(random);
            prop_assert_eq!(ApiKey::parse(key.expose()), Ok(key));
        }

        #[test]
        fn one_mistyped_character_is_noticed(random: [u8; 20], place in 6_usize..39, digit in 0_usize..62) {
            let key = ApiKey::from_random(random);
            let mut typed = key.expose().as_bytes().to_vec();
            prop_assume!(typed[place] != ALPHABET[digit]);
            typed[place] = ALPHABET[digit];
            prop_assert_eq!(ApiKey::parse(std::str::from_utf8(&typed).unwrap_or_default()), Err(MalformedKey));
        }

        #[test]
        fn different_bits_are_different_keys(a: [u8; 20], b: [u8; 20]) {
            prop_assert_eq!(a == b, ApiKey::from_random(a) == ApiKey::from_random(b));
        }
    }
}
