//! The proof, as operators run it and see how it ended.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
pub(crate) mod view;
