//! Redemption codes: the batches, each with how often its codes were redeemed, the form that makes another, and the one answer that shows its codes.

pub(crate) mod api;
mod draft;
mod fields;
pub(crate) mod page;
pub(crate) mod post;
pub(crate) mod view;

pub(crate) use page::FreshCodes;

/// Where they are.
const PATH: &str = "/admin/codes";
