//! Past calls of a model, charged anew by a version of its price, as `farebox price reprice` does: which calls, by which price and why; what would go back to
//! whom; and only then is it posted.

#[cfg(feature = "ssr")]
pub(crate) mod api;
mod fields;
#[cfg(feature = "ssr")]
pub(crate) mod post;
#[cfg(feature = "ssr")]
pub(crate) mod view;

pub(crate) use fields::address;
