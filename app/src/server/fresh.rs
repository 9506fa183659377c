//! Keys that were made a moment ago.
//!
//! A key is shown once. Somebody who clicks twice sends the form twice, and the browser shows only the second answer: it must be the same
//! key, not "already made". So the answer is remembered for a minute, in memory only, and only for whoever made it.

use std::{fmt, panic::resume_unwind, sync::Arc, time::Duration};

use domain::id::{KeyId, UserId};
use moka::future::Cache;

use crate::pages::keys::FreshKey;

/// How long a second click can come.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Keys remembered at most.
const KEYS_MAX: u64 = 10_000;

/// The keys just made, each under who made it and the id that its form carried. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FreshKeys(Cache<(UserId, KeyId), FreshKey>);

impl Default for FreshKeys {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(KEYS_MAX).time_to_live(REMEMBERED).build())
    }
}

impl fmt::Debug for FreshKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshKeys").finish_non_exhaustive()
    }
}

impl FreshKeys {
    /// Forgets a key that its maker has revoked: its form shows it no longer.
    pub(crate) async fn forget(&self, user: UserId, id: KeyId) {
        self.0.invalidate(&(user, id)).await;
    }

    /// The key of this form: made now, or the one that was made when the form came first, even if that is still under way.
    ///
    /// The second click hangs up on the first: a task of its own makes the key and remembers it all the same.
    #[expect(clippy::disallowed_methods, reason = "it is one transaction, and the closing of the ledger waits for that")]
    pub(crate) async fn once<E: Send + Sync + 'static>(
        &self,
        user: UserId,
        id: KeyId,
        make: impl Future<Output = Result<FreshKey, E>> + Send + 'static,
    ) -> Result<FreshKey, Arc<E>> {
        let remembered = self.0.clone();
        let making = tokio::spawn(async move { remembered.try_get_with((user, id), make).await });
        making.await.unwrap_or_else(|failed| resume_unwind(failed.into_panic()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_key_whose_first_click_hung_up_is_shown_to_the_second() {
        let (keys, at) = (FreshKeys::default(), chrono::DateTime::UNIX_EPOCH);
        let (user, id) = (UserId::new(at, [1; 10]), KeyId::new(at, [2; 10]));
        let (open, gate) = oneshot::channel();
        let first = keys.once(user, id, async {
            let () = gate.await?;
            Ok::<_, oneshot::error::RecvError>(FreshKey { name: "first".to_owned(), secret: String::new(), expires_at: None })
        });
        tokio::select! {
            biased;
            _ = first => panic!("the gate is closed"),
            () = ready(()) => {} // and the browser hangs up
        }
        open.send(()).expect("the key is still being made");
        let second = keys.once(user, id, async { unreachable!("made twice") as Result<FreshKey, oneshot::error::RecvError> });
        assert_eq!(second.await.map(|key| key.name), Ok("first".to_owned()));
    }
}
