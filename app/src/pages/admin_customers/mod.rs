//! Customers, as operators see them.

#[cfg(feature = "ssr")]
pub(crate) mod api;
#[cfg(feature = "ssr")]
pub(crate) mod csv;
mod list;
mod money_form;
mod new;
pub(crate) mod page;
#[cfg(feature = "ssr")]
pub(crate) mod post;
#[cfg(feature = "ssr")]
mod post_new;
mod state;
pub(crate) mod view;

pub(crate) use new::FreshCustomer;
