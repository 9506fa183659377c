//! The log of calls.

pub(crate) mod api;
pub(crate) mod page;
mod view;
