//! The log of calls.

#[cfg(feature = "ssr")]
pub(crate) mod api;
#[cfg(feature = "ssr")]
pub(crate) mod csv;
pub(crate) mod page;
pub(crate) mod view;
