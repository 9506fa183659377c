//! Balance, books and top-up.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod held;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
pub(crate) mod view;
