//! The public price list.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod estimate;
pub(crate) mod page;
#[cfg(feature = "ssr")]
mod read;
pub(crate) mod view;
