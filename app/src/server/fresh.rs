//! Secrets that were made a moment ago.
//!
//! A secret is shown once. Somebody who clicks twice sends the form twice, and the browser shows only the second answer: it must be the same
//! secret, not "already made". So the answer is remembered for a minute, in memory only, and only for whoever made it.

use std::{fmt, panic::resume_unwind, sync::Arc, time::Duration};

use domain::id::UserId;
use moka::future::Cache;
use uuid::Uuid;

/// How long a second click can come.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Secrets of a kind remembered at most.
const SECRETS_MAX: u64 = 10_000;

/// What was just made, each under who made it and an id that its form carried. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Fresh<T>(Cache<(UserId, Uuid), T>);

impl<T: Clone + Send + Sync + 'static> Default for Fresh<T> {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(SECRETS_MAX).time_to_live(REMEMBERED).build())
    }
}

impl<T> fmt::Debug for Fresh<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}

impl<T: Clone + Send + Sync + 'static> Fresh<T> {
    /// Forgets what its maker has revoked: its form shows it no longer.
    pub(crate) async fn forget(&self, user: UserId, id: Uuid) {
        self.0.invalidate(&(user, id)).await;
    }

    /// The secret of this form: made now, or the one that was made when the form came first, even if that is still under way.
    ///
    /// The second click hangs up on the first: a task of its own makes it and remembers it all the same.
    #[expect(clippy::disallowed_methods, reason = "it is one transaction, and the closing of the ledger waits for that")]
    pub(crate) async fn once<E: Send + Sync + 'static>(
        &self,
        user: UserId,
        id: Uuid,
        make: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, Arc<E>> {
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
    use crate::pages::keys::FreshKey;

    #[tokio::test]
    async fn a_key_whose_first_click_hung_up_is_shown_to_the_second() {
        let keys = Fresh::<FreshKey>::default();
        let (user, id) = (UserId::new(chrono::DateTime::UNIX_EPOCH, [1; 10]), Uuid::from_u128(2));
        let (open, gate) = oneshot::channel();
        let first = keys.once(user, id, async {
            let () = gate.await?;
            Ok::<_, oneshot::error::RecvError>(FreshKey { name: "first".to_owned(), secret: String::new(), models: None, expires_at: None })
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
