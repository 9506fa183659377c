//! Prices, as operators set them: a form, a review of what it would change, and only then a version.

#[cfg(feature = "ssr")]
pub(crate) mod api;
mod fields;
mod form;
mod history;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
mod replay;
mod review;
pub(crate) mod view;
mod words;
