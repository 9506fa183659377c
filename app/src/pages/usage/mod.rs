//! What was used: figures, bars and tables over a range.

#[cfg(feature = "ssr")]
pub(crate) mod api;
mod bars;
#[cfg(feature = "ssr")]
pub(crate) mod csv;
pub(crate) mod page;
pub(crate) mod view;
