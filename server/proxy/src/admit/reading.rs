//! Reading requests: small ones where they are served, large ones beside that, where they keep nobody waiting.
//!
//! Whoever has a key can send a large body, credit or not. So accounts that were lately refused for want of credit share one place among themselves: together
//! they take one thread at most.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::id::AccountId;
use moka::sync::Cache;
use tokio::{runtime::Handle, sync::Semaphore};

use crate::{
    admit::body::Gathered,
    dialect::{Dialect, request::Request},
    reply::Refusal,
    wire::shape,
};

/// What is larger is read on another thread: to read this much takes a fraction of a millisecond.
const LARGE_BYTES: usize = 64 * 1024;
/// How long a refusal for want of credit is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);
const ACCOUNTS_MAX: u64 = 100_000;

/// Who reads large requests.
#[derive(Debug)]
pub(crate) struct Readers {
    /// Where they are read.
    runtime: Handle,
    /// As many are read at once as there are cores; of one account, one.
    places: Arc<Semaphore>,
    of_account: Cache<AccountId, Arc<Semaphore>>,
    /// Accounts without credit, and the one place that they have together.
    poor: Cache<AccountId, ()>,
    place_of_the_poor: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(runtime: Handle) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            runtime,
            places: Arc::new(Semaphore::new(cores)),
            of_account: Cache::builder().max_capacity(ACCOUNTS_MAX).time_to_idle(REMEMBERED).build(),
            poor: Cache::builder().max_capacity(ACCOUNTS_MAX).time_to_live(REMEMBERED).build(),
            place_of_the_poor: Arc::new(Semaphore::new(1)),
        }
    }

    /// Reads an account's request, and puts its body together.
    ///
    /// # Errors
    /// A [`Refusal`] that says what is wrong with it.
    pub(crate) async fn read(&self, account: AccountId, dialect: &'static Dialect, body: Gathered) -> Result<(Bytes, Request), Refusal> {
        if body.len() <= LARGE_BYTES {
            return read_whole(dialect, body);
        }
        let of_account = self.of_account.get_with(account, || Arc::new(Semaphore::new(1)));
        let places = if self.poor.contains_key(&account) { &self.place_of_the_poor } else { &self.places };
        let (Ok(first), Ok(second)) = (of_account.acquire_owned().await, Arc::clone(places).acquire_owned().await) else {
            return Err(Refusal::unavailable());
        };
        let reading = self.runtime.spawn_blocking(move || {
            // Kept until it is read, though nobody waits for it any more.
            let _places = (first, second);
            read_whole(dialect, body)
        });
        reading.await.unwrap_or_else(|_| Err(Refusal::failed()))
    }

    /// A call came to nothing: why, is remembered of those that want for credit.
    pub(crate) fn hear(&self, account: AccountId, refusal: &Refusal) {
        if refusal.exhausted.is_some() {
            self.poor.insert(account, ());
        }
    }
}

fn read_whole(dialect: &'static Dialect, body: Gathered) -> Result<(Bytes, Request), Refusal> {
    let body = body.whole();
    let request = read(dialect, &body)?;
    Ok((body, request))
}

/// What both of them do.
pub(crate) fn read(dialect: &'static Dialect, body: &[u8]) -> Result<Request, Refusal> {
    if body.starts_with(b"\x1f\x8b") {
        return Err(Refusal::malformed("it looks compressed: send it as it is"));
    }
    let text = std::str::from_utf8(body).map_err(|error| Refusal::malformed(&format!("it is not UTF-8: {error}")))?;
    shape::check(body).map_err(|problem| Refusal::malformed(&problem.to_string()))?;
    Request::parse(dialect, text)
}
