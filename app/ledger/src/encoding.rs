//! How a row is written into the digest that seals it: whole numbers and instants (microseconds since 1970, which is what Postgres keeps) as eight bytes,
//! big-endian; a text as its length in bytes, so written, and its UTF-8, bytes likewise; what may be missing after one byte, 0 or 1.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::settled::PaidShare;

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
