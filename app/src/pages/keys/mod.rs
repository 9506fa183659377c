//! API keys: listed, made and revoked.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
pub(crate) mod view;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A key that was just made, whole: shown once, on the page that answers its form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FreshKey {
    /// What its owner calls it.
    pub(crate) name: String,
    /// The key.
    pub(crate) secret: String,
    /// The models that it may call; `None` for every one.
    pub(crate) models: Option<Vec<String>>,
    /// When it stops working by itself.
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for FreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshKey").field("name", &self.name).finish_non_exhaustive()
    }
}
