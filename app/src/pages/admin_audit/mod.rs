//! Who changed money, prices or rights, when, and from where.

#[cfg(feature = "ssr")]
pub(crate) mod api;
#[cfg(feature = "ssr")]
mod changes;
#[cfg(feature = "ssr")]
pub(crate) mod csv;
pub(crate) mod page;
pub(crate) mod view;
