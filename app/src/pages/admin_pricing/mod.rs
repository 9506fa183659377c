//! Prices, as operators set them.

pub(crate) mod api;
mod fields;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
mod view;
