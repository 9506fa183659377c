//! Keys that were made a moment ago.
//!
//! A key is shown once. Somebody who clicks twice sends the form twice, and the browser shows only the second answer: it must be the same
//! key, not "already made". So the answer is remembered for a minute, in memory only, and only for whoever made it.

use std::{fmt, sync::Arc, time::Duration};

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
    pub(crate) async fn once<E: Send + Sync + 'static>(
        &self,
        user: UserId,
        id: KeyId,
        make: impl Future<Output = Result<FreshKey, E>>,
    ) -> Result<FreshKey, Arc<E>> {
        self.0.try_get_with((user, id), make).await
    }
}
