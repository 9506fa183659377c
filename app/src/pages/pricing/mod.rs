//! The public price list.

pub(crate) mod api;
pub(crate) mod estimate;
pub(crate) mod page;
mod read;
pub(crate) mod view;
