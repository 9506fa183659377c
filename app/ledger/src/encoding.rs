//! How a row is written into the digest that seals it: whole numbers and instants (microseconds since 1970, which is what Postgres keeps) as eight bytes,
//! big-endian; a text as its length in bytes, so written, and its UTF-8, bytes likewise; what may be missing after one byte, 0 or 1.

use chrono::{DateTime, Utc};
use domain::{attribution::Tags, call::Attempt};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::settled::PaidShare;

/// A version of an encoding and a row's digest in it. A new column is a new version; a row keeps the one that it was sealed under, and stays provable.
pub(crate) type Seal = [u8; 33];

/// The seal of a digest.
pub(crate) fn seal(version: u8, digest: [u8; 32]) -> Seal {
    let mut seal = [version; 33];
    seal[1..].copy_from_slice(&digest);
    seal
}

/// Whether a seal is that of the row whose digest in each version is given. `None` if a later version of Farebox sealed it.
pub(crate) fn fits(seal: &[u8], digest: impl FnOnce(u8) -> Option<[u8; 32]>) -> Option<bool> {
    let (version, sealed) = seal.split_first()?;
    Some(sealed == digest(*version)?)
}

/// A row on its way into a digest.
pub(crate) struct Encoding(Sha256);

impl Encoding {
    /// Begins with what is encoded and in which version, so that no row of one kind passes for one of another.
    pub(crate) fn new(kind: &[u8]) -> Self {
        Self(Sha256::new_with_prefix(kind))
    }

    pub(crate) fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    pub(crate) fn shares(&mut self, shares: &[PaidShare]) {
        self.number(shares.len() as i64);
        for share in shares {
            self.id(share.grant_id.uuid());
            self.number(share.amount);
        }
    }

    pub(crate) fn attempts(&mut self, attempts: &[Attempt]) {
        self.number(attempts.len() as i64);
        for Attempt { provider, failure, http_status, took_ms } in attempts {
            self.text(provider);
            self.text(failure.name());
            self.maybe(http_status.map(i64::from), Self::number);
            self.number(*took_ms);
        }
    }

    pub(crate) fn tags(&mut self, tags: &Tags) {
        self.number(tags.iter().count() as i64);
        for (name, value) in tags.iter() {
            self.text(name.as_str());
            self.text(value.as_str());
        }
    }

    pub(crate) fn number(&mut self, number: i64) {
        self.0.update(number.to_be_bytes());
    }

    pub(crate) fn instant(&mut self, at: DateTime<Utc>) {
        self.number(at.timestamp_micros());
    }

    pub(crate) fn id(&mut self, id: Uuid) {
        self.0.update(id.as_bytes());
    }

    pub(crate) fn truth(&mut self, truth: bool) {
        self.0.update([u8::from(truth)]);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as i64);
        self.0.update(bytes);
    }

    pub(crate) fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.truth(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }
}
