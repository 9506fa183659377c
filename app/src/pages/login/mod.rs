//! Signing in and out.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
pub(crate) mod view;
