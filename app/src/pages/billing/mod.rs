//! Balance, books and top-up.

#[cfg(feature = "ssr")]
pub(crate) mod api;
#[cfg(feature = "ssr")]
pub(crate) mod csv;
pub(crate) mod held;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
#[cfg(feature = "ssr")]
mod redeem;
pub(crate) mod view;
