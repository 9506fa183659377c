//! Who changed money, prices or rights, when, and from where.

pub(crate) mod api;
mod changes;
pub(crate) mod csv;
pub(crate) mod page;
pub(crate) mod view;
