//! Customers, as operators see them.

#[cfg(feature = "ssr")]
pub(crate) mod api;
#[cfg(feature = "ssr")]
pub(crate) mod csv;
pub(crate) mod list;
#[cfg(feature = "ssr")]
mod money_form;
pub(crate) mod new;
#[cfg(feature = "ssr")]
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
#[cfg(feature = "ssr")]
mod post_new;
#[cfg(feature = "ssr")]
mod state;
#[cfg(feature = "ssr")]
pub(crate) mod view;

#[cfg(feature = "ssr")]
pub(crate) use new::FreshCustomer;
