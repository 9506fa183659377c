//! What a customer may buy, what it would come to, and the purchase.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod end;
#[cfg_attr(not(feature = "ssr"), expect(dead_code, reason = "pages that the server draws use the rest"))]
pub(crate) mod fields;
#[cfg(feature = "ssr")]
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
#[cfg(feature = "ssr")]
mod review;
#[cfg(feature = "ssr")]
pub(crate) mod view;

/// Where it is.
pub(crate) const PATH: &str = "/billing/plans";
