//! What bounds an account, or one of its keys: listed, set and removed; and what else is set of a key.

#[cfg(feature = "ssr")]
pub(crate) mod api;
#[cfg(feature = "ssr")]
mod fields;
#[cfg(feature = "ssr")]
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
#[cfg(feature = "ssr")]
pub(crate) mod view;

use domain::id::KeyId;

/// What stands for the account where an address names a key.
const ACCOUNT: &str = "account";

/// Where the limits and settings of a key are, or the limits of the account.
pub(crate) fn address(key: Option<KeyId>) -> String {
    key.map_or_else(|| format!("/keys/{ACCOUNT}"), |key| format!("/keys/{key}"))
}

/// The key that an address names; `None` for the account.
#[cfg(feature = "ssr")]
fn subject(id: &str) -> Result<Option<KeyId>, crate::error::ConsoleError> {
    if id == ACCOUNT { Ok(None) } else { id.parse().map(Some).map_err(|_| crate::error::ConsoleError::NotFound) }
}
