//! The public price list.

pub(crate) mod api;
pub(crate) mod page;
mod view;
