//! Customers, as operators see them.

pub(crate) mod api;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
mod view;
