//! How a customer's calls are paid: what the operator sets for an account.

pub(crate) mod api;
mod draft;
mod fields;
pub(crate) mod page;
pub(crate) mod post;
pub(crate) mod view;
