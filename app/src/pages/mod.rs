//! The pages, one folder each: `page.rs` says what a page consists of, `api.rs` reads it behind a scope, `view.rs` draws it, and where it has a
//! form, `post.rs` answers it.
//!
//! Where a page only says and asks, its `view.rs` is the server's alone, and the browser is sent what it drew:
//! [`Content::Drawn`](content::Content::Drawn). Every page of that kind that was not cost the browser some thousand bytes of wasm more.
//!
//! What a page consists of travels as one type, [`Content`](content::Content), read by one server function, [`read`]. With a function and a
//! Resource for each page, the wasm was a third larger: nearly all of what they are made of is compiled again for each type. It travels as
//! postcard, here and inside the pages that the server sends: readers of JSON, which know every field's name, made a tenth of the wasm.

mod address;
pub(crate) mod admin;
#[cfg(feature = "ssr")]
pub(crate) mod admin_account;
#[cfg(feature = "ssr")]
pub(crate) mod admin_audit;
#[cfg(feature = "ssr")]
pub(crate) mod admin_codes;
pub(crate) mod admin_customers;
#[cfg(feature = "ssr")]
pub(crate) mod admin_own_prices;
#[cfg(feature = "ssr")]
pub(crate) mod admin_payments;
#[cfg(feature = "ssr")]
pub(crate) mod admin_plans;
#[cfg(feature = "ssr")]
pub(crate) mod admin_price_list;
pub(crate) mod admin_pricing;
pub(crate) mod admin_proof;
pub(crate) mod admin_reprice;
mod answer;
#[cfg(feature = "ssr")]
pub(crate) mod auto_top_up;
pub(crate) mod billing;
pub(crate) mod call;
pub(crate) mod calls;
mod content;
#[cfg(feature = "ssr")]
pub(crate) mod documents;
pub(crate) mod keys;
pub(crate) mod limits;
#[cfg(feature = "ssr")]
pub(crate) mod login;
pub(crate) mod offers;
#[cfg(feature = "ssr")]
pub(crate) mod pricing;
#[cfg(feature = "ssr")]
pub(crate) mod report_keys;
#[cfg(feature = "ssr")]
pub(crate) mod signup;
pub(crate) mod usage;

pub(crate) use self::{
    address::{Address, Page},
    answer::read,
};
