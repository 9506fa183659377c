//! The gateway's day at a glance, for operators.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod page;
pub(crate) mod view;
