//! What was used: figures, bars and tables over a range.

pub(crate) mod api;
pub(crate) mod page;
mod view;
