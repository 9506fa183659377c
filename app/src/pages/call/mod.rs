//! One call: its receipt.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod page;
mod remarks;
mod said;
pub(crate) mod view;
