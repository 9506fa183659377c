//! Report keys: for programs that read an account's usage and costs.

pub(crate) mod api;
pub(crate) mod page;
pub(crate) mod post;
pub(crate) mod view;

/// Where it is.
pub(crate) const PATH: &str = "/keys/reports";
