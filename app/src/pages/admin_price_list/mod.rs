//! Price lists, as operators import them: upload, look at the difference, publish.

pub(crate) mod api;
pub(crate) mod page;
pub(crate) mod post;
mod review;
pub(crate) mod view;
