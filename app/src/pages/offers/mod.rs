//! What a customer may buy, what it would come to, and the purchase.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod fields;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
mod review;
pub(crate) mod view;

/// Where it is.
pub(crate) const PATH: &str = "/billing/plans";
