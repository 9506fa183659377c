//! What a page consists of, whichever it is.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::{admin, admin_customers, admin_pricing, admin_proof, billing, call, calls, keys, limits, login, signup, usage};
use crate::parts::{layout, whose::Whose};

/// What a page consists of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Content {
    /// One that only says and asks: it is drawn by the server, and the browser needs no code for it.
    Drawn(String),
    Usage(usage::page::Usage),
    Calls(calls::page::Calls),
    Call(Box<call::page::OneCall>),
    Keys(keys::page::Keys),
    NewKey(keys::page::NewKey),
    Limits(limits::page::Limits),
    Billing(billing::page::Billing),
    Login(login::page::Login),
    Signup(signup::page::Signup),
    Today(admin::page::Today),
    Prices(admin_pricing::page::Prices),
    Customers(admin_customers::page::Customers),
    NewCustomer(admin_customers::page::NewCustomer),
    Customer(admin_customers::page::OneCustomer),
    Proof(admin_proof::page::ProofPage),
}

impl Content {
    /// The page.
    pub(super) fn view(self, whose: &Whose) -> AnyView {
        match self {
            Self::Drawn(html) => layout::drawn(html),
            Self::Usage(page) => usage::view::usage(&page, whose),
            Self::Calls(page) => calls::view::calls(page, whose),
            Self::Call(call) => call::view::receipt(&call, whose),
            Self::Keys(page) => keys::view::list(&page, whose),
            Self::NewKey(page) => keys::view::new(page),
            Self::Limits(page) => limits::view::limits(&page, whose),
            Self::Billing(page) => billing::view::billing(page, whose),
            Self::Login(page) => login::view::login(page),
            Self::Signup(page) => signup::view::signup(&page),
            Self::Today(page) => admin::view::today(&page),
            Self::Prices(page) => admin_pricing::view::prices(&page),
            Self::Customers(page) => admin_customers::view::list(page),
            Self::NewCustomer(page) => admin_customers::view::new(page),
            Self::Customer(page) => admin_customers::view::one(page),
            Self::Proof(page) => admin_proof::view::proof(&page),
        }
    }
}
