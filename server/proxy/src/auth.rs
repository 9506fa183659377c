//! Who calls.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::key::ApiKey;
use http::{HeaderMap, header};
use ledger::{KeyEntry, Meter, keys::digest};
use moka::sync::Cache;
use tokio::time::timeout;

use crate::reply::Refusal;

/// How long a key is taken to be what it was. Only a fast way to say no: the lease of each call looks again.
const REMEMBERED: Duration = Duration::from_secs(1);
const KEYS_MAX: u64 = 100_000;
/// How long the ledger may take to say.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Keys by digest, for a second. Unknown ones too, so that guessing does not reach the database at its own speed.
#[derive(Debug)]
pub(crate) struct Keys {
    meter: Meter,
    cache: Cache<[u8; 32], Option<Arc<KeyEntry>>>,
}

impl Keys {
    pub(crate) fn new(meter: Meter) -> Self {
        Self { meter, cache: Cache::builder().max_capacity(KEYS_MAX).time_to_live(REMEMBERED).build() }
    }

    /// The key that a request carries.
    pub(crate) async fn authenticate(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Result<Arc<KeyEntry>, Refusal> {
        let text = presented(headers)
            .ok_or_else(|| Refusal::no_key("No API key was sent. Send it in the header \"Authorization: Bearer sk-fb_…\"."))?;
        let key = ApiKey::parse(text).map_err(|malformed| Refusal::no_key(&format!("The API key {malformed}.")))?;
        let digest = digest(&key);
        let entry = match self.cache.get(&digest) {
            Some(entry) => entry,
            None => {
                let looked_up = timeout(LOOKUP_TIMEOUT, self.meter.key(&digest)).await.map_err(|_| Refusal::unavailable())?;
                let entry = looked_up.map_err(|error| unavailable(&error))?.map(Arc::new);
                self.cache.insert(digest, entry.clone());
                entry
            }
        };
        match entry {
            Some(entry) if !entry.works_at(now) => Err(Refusal::no_key("The API key was revoked or has expired.")),
            Some(entry) if !entry.account_is_active => Err(Refusal::account_suspended()),
            Some(entry) => Ok(entry),
            None => Err(Refusal::no_key("The API key is unknown.")),
        }
    }
}

/// The books are away: for the log once, and for the client without the details.
pub(crate) fn unavailable(error: &ledger::Error) -> Refusal {
    tracing::warn!(%error, "a request was refused because the ledger did not answer");
    Refusal::unavailable()
}

/// OpenAI's clients send `Authorization: Bearer`, Anthropic's `x-api-key`.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer.or_else(|| headers.get("x-api-key").and_then(|value| value.to_str().ok()).map(str::trim))
}
