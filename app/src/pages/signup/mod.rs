//! Opening an account.

pub(crate) mod api;
pub(crate) mod page;
pub(crate) mod post;
pub(crate) mod view;
