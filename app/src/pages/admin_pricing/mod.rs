//! Prices, as operators set them: a form, a review of what it would change, and only then a version.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(in crate::pages) mod fields;
pub(in crate::pages) mod form;
mod history;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
mod replay;
pub(in crate::pages) mod review;
pub(crate) mod view;
pub(in crate::pages) mod words;
