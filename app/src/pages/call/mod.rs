//! One call: its receipt.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod page;
mod said;
pub(crate) mod view;
