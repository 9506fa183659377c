//! What one customer has agreed to pay, as operators set it: a form, a review of what it would change, and only then a price.

pub(crate) mod api;
mod fields;
pub(crate) mod page;
pub(crate) mod post;
pub(crate) mod view;
