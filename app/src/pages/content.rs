//! What a page consists of, whichever it is.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::{admin, admin_customers, admin_pricing, admin_proof, billing, call, calls, keys, usage};
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
    Billing(billing::page::Billing),
    Today(admin::page::Today),
    Prices(admin_pricing::page::Prices),
    Customers(admin_customers::list::Customers),
    NewCustomer(admin_customers::new::NewCustomer),
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
            Self::Billing(page) => billing::view::billing(page, whose),
            Self::Today(page) => admin::view::today(&page),
            Self::Prices(page) => admin_pricing::view::prices(&page),
            Self::Customers(page) => admin_customers::list::list(page),
            Self::NewCustomer(page) => admin_customers::new::new(page),
            Self::Proof(page) => admin_proof::view::proof(&page),
        }
    }
}
