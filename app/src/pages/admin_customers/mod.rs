//! Customers, as operators see them.

#[cfg(feature = "ssr")]
pub(crate) mod api;
mod money_form;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
pub(crate) mod view;
