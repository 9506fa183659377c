//! Calls that are sent again, with the same `Idempotency-Key`, by clients that gave up waiting for an answer: OpenAI's libraries do so by themselves. The
//! first call goes on, and is paid for; a second one would be paid for twice.
//!
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/> answers a repeat whose first is under way with 409.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use domain::id::{CallId, KeyId};
use http::{HeaderMap, HeaderName};
use moka::sync::Cache;

use crate::reply::Refusal;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// No call runs for longer.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
const CALLS_MAX: u64 = 100_000;
/// What is longer says nothing.
const BYTES_MAX: usize = 256;

type Name = (KeyId, Box<[u8]>);

/// The calls of this proxy that are running, or were charged lately, by their key and their `Idempotency-Key`.
#[derive(Debug, Clone)]
pub(crate) struct Repeats(Cache<Name, CallId>);

/// A call that no other is the same as. Dropped, it may be made again, unless it was charged.
#[derive(Debug)]
pub(crate) struct Once {
    calls: Repeats,
    name: Name,
    is_charged: AtomicBool,
}

impl Repeats {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(CALLS_MAX).time_to_live(REMEMBERED).build())
    }

    /// Begins a call; `None` where its client does not say which one it is.
    ///
    /// # Errors
    /// The [`Refusal`] of a repeat.
    pub(crate) fn begin(&self, key: KeyId, headers: &HeaderMap, call: CallId) -> Result<Option<Once>, Refusal> {
        let said = headers.get(IDEMPOTENCY_KEY).map(|value| value.as_bytes()).filter(|said| (1..=BYTES_MAX).contains(&said.len()));
        let Some(said) = said else { return Ok(None) };
        let name = (key, said.into());
        let entry = self.0.entry_by_ref(&name).or_insert(call);
        if !entry.is_fresh() {
            return Err(Refusal::repeated(*entry.value()));
        }
        Ok(Some(Once { calls: self.clone(), name, is_charged: AtomicBool::new(false) }))
    }
}

impl Once {
    /// It has cost something.
    pub(crate) fn is_charged(&self) {
        self.is_charged.store(true, Ordering::Relaxed);
    }
}

impl Drop for Once {
    fn drop(&mut self) {
        if !*self.is_charged.get_mut() {
            self.calls.0.invalidate(&self.name);
        }
    }
}
