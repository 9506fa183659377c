//! The log of calls.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod page;
pub(crate) mod view;
