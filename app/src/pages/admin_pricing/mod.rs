//! Prices, as operators set them.

#[cfg(feature = "ssr")]
pub(crate) mod api;
mod fields;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
pub(crate) mod view;
