//! One call: its receipt.

pub(crate) mod api;
pub(crate) mod page;
mod view;
