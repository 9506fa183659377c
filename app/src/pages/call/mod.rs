//! One call: its receipt.

#[cfg(feature = "ssr")]
pub(crate) mod api;
pub(crate) mod page;
mod pair;
mod particulars;
mod remarks;
mod said;
mod sum;
#[cfg(test)]
mod testing;
pub(crate) mod view;
