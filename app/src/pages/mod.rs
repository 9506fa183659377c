//! The pages, one folder each: `page.rs` says what a page consists of, `api.rs` reads it behind a scope, `view.rs` draws it, and where it has a
//! form, `post.rs` answers it.
//!
//! What a page consists of travels as one type, [`Content`], read by one server function, [`read`]. With a function and a Resource for each
//! page, the wasm was a third larger: nearly all of what they are made of is compiled again for each type. It travels as postcard, here and
//! inside the pages that the server sends: readers of JSON, which know every field's name, made a tenth of the wasm.

pub(crate) mod admin_audit;
pub(crate) mod admin_customers;
pub(crate) mod admin_pricing;
pub(crate) mod admin_proof;
pub(crate) mod billing;
pub(crate) mod call;
pub(crate) mod calls;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod login;
pub(crate) mod pricing;
pub(crate) mod signup;
pub(crate) mod usage;

use leptos::{
    prelude::*,
    server_fn::codec::{Json, Postcard},
};
use serde::{Deserialize, Serialize};

use crate::error::ConsoleError;

/// A page of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Page {
    /// No page at all.
    #[default]
    None,
    /// `/usage`
    Usage,
    /// `/calls`
    Calls,
    /// `/calls/:id`
    Call,
    /// `/keys`
    Keys,
    /// `/keys/new`
    NewKey,
    /// `/keys/:id`
    Limits,
    /// `/billing`
    Billing,
    /// `/pricing`
    Pricing,
    /// `/login`
    Login,
    /// `/signup`
    Signup,
    /// `/admin/pricing`
    Prices,
    /// `/admin/customers`
    Customers,
    /// `/admin/customers/:id`
    Customer,
    /// `/admin/proof`
    Proof,
    /// `/admin/audit`
    Audit,
}

impl Page {
    /// Its name in the browser's title.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::None => "Not found",
            Self::Usage => "Usage",
            Self::Calls => "Calls",
            Self::Call => "Receipt",
            Self::Keys => "Keys",
            Self::NewKey => "New key",
            Self::Limits => "Limits",
            Self::Billing => "Billing",
            Self::Pricing => "Pricing",
            Self::Login => "Sign in",
            Self::Signup => "Sign up",
            Self::Prices => "Prices",
            Self::Customers => "Customers",
            Self::Customer => "Customer",
            Self::Proof => "Proof",
            Self::Audit => "Audit",
        }
    }

    /// Whether it may be compressed: whoever asks for it can have no secret in it, neither one that it shows nor one that it takes. A new page is
    /// taken to have one.
    #[cfg(feature = "ssr")]
    const fn is_without_secrets(self) -> bool {
        matches!(
            self,
            Self::None
                | Self::Usage
                | Self::Calls
                | Self::Call
                | Self::Keys
                | Self::Limits
                | Self::Billing
                | Self::Pricing
                | Self::Prices
                | Self::Customers
                | Self::Customer
                | Self::Proof
                | Self::Audit
        )
    }
}

/// What an address asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Address {
    /// The page.
    pub(crate) page: Page,
    /// The `:id` in its path.
    pub(crate) id: String,
    /// Its query string.
    pub(crate) query: String,
}

/// What a page consists of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Content {
    Usage(usage::page::Usage),
    Calls(calls::page::Calls),
    Call(Box<call::page::OneCall>),
    Keys(keys::page::Keys),
    NewKey(keys::page::NewKey),
    Limits(limits::page::Limits),
    Billing(billing::page::Billing),
    Pricing(pricing::page::Pricing),
    Login(login::page::Login),
    Signup(signup::page::Signup),
    Prices(admin_pricing::page::Prices),
    Customers(admin_customers::page::Customers),
    Customer(admin_customers::page::OneCustomer),
    Proof(admin_proof::page::ProofPage),
    Audit(admin_audit::page::Audit),
}

impl Content {
    /// The page.
    pub(crate) fn view(self) -> AnyView {
        match self {
            Self::Usage(page) => usage::view::usage(&page),
            Self::Calls(page) => calls::view::calls(page),
            Self::Call(call) => call::view::receipt(&call),
            Self::Keys(page) => keys::view::list(&page),
            Self::NewKey(page) => keys::view::new(page),
            Self::Limits(page) => limits::view::limits(&page),
            Self::Billing(page) => billing::view::billing(page),
            Self::Pricing(page) => pricing::view::pricing(&page),
            Self::Login(page) => login::view::login(page),
            Self::Signup(page) => signup::view::signup(&page),
            Self::Prices(page) => admin_pricing::view::prices(&page),
            Self::Customers(page) => admin_customers::view::list(page),
            Self::Customer(page) => admin_customers::view::one(page),
            Self::Proof(page) => admin_proof::view::proof(&page),
            Self::Audit(page) => admin_audit::view::audit(page),
        }
    }
}

/// Reads a page for whoever asks. What they may see is decided by the scope that each page's `api` must obtain.
#[server(prefix = "/api", endpoint = "page", input = Json, output = Postcard)]
pub(crate) async fn read(address: Address) -> Result<Content, ConsoleError> {
    use crate::server::{Caller, FormAnswer, answer, keep_as_it_is};

    let Address { page, id, query } = address;
    if !page.is_without_secrets() || FormAnswer::here().is_some() {
        keep_as_it_is();
    }
    answer(
        async {
            let caller = Caller::here()?;
            match page {
                Page::None => Err(ConsoleError::NotFound),
                Page::Usage => usage::api::usage(&caller, &query).await.map(Content::Usage),
                Page::Calls => calls::api::calls(&caller, &query).await.map(Content::Calls),
                Page::Call => call::api::call(&caller, &id).await.map(|call| Content::Call(Box::new(call))),
                Page::Keys => keys::api::keys(&caller, &query).await.map(Content::Keys),
                Page::NewKey => keys::api::new_key(&caller).await.map(Content::NewKey),
                Page::Limits => limits::api::limits(&caller, &id, &query).await.map(Content::Limits),
                Page::Billing => billing::api::billing(&caller, &query).await.map(Content::Billing),
                Page::Pricing => pricing::api::pricing(&caller, &query).await.map(Content::Pricing),
                Page::Login => Ok(Content::Login(login::api::login(&caller, &query))),
                Page::Signup => Ok(Content::Signup(signup::api::signup(&caller))),
                Page::Prices => admin_pricing::api::prices(&caller, &query).await.map(Content::Prices),
                Page::Customers => admin_customers::api::customers(&caller, &query).await.map(Content::Customers),
                Page::Customer => admin_customers::api::customer(&caller, &id, &query).await.map(Content::Customer),
                Page::Proof => admin_proof::api::proof(&caller, &query).await.map(Content::Proof),
                Page::Audit => admin_audit::api::audit(&caller, &query).await.map(Content::Audit),
            }
        }
        .await,
    )
}
