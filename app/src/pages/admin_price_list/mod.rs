//! Price lists, as operators import them: upload, look at the difference, publish.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
#[cfg(feature = "ssr")]
mod review;
pub(crate) mod view;
