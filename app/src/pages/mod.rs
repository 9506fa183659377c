//! The pages, one folder each: `page.rs` says what a page consists of, `api.rs` reads it behind a scope, `view.rs` draws it, and where it has a
//! form, `post.rs` answers it.
//!
//! Where a page only says and asks, its `view.rs` is the server's alone, and the browser is sent what it drew: [`Content::Drawn`]. Every page of that kind
//! that was not cost the browser some thousand bytes of wasm more.
//!
//! What a page consists of travels as one type, [`Content`], read by one server function, [`read`]. With a function and a Resource for each
//! page, the wasm was a third larger: nearly all of what they are made of is compiled again for each type. It travels as postcard, here and
//! inside the pages that the server sends: readers of JSON, which know every field's name, made a tenth of the wasm.

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
#[cfg(feature = "ssr")]
pub(crate) mod auto_top_up;
pub(crate) mod billing;
pub(crate) mod call;
pub(crate) mod calls;
#[cfg(feature = "ssr")]
pub(crate) mod documents;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod login;
pub(crate) mod offers;
#[cfg(feature = "ssr")]
pub(crate) mod pricing;
#[cfg(feature = "ssr")]
pub(crate) mod report_keys;
pub(crate) mod signup;
pub(crate) mod usage;

#[cfg(feature = "ssr")]
use std::pin::Pin;

use leptos::{
    prelude::*,
    server_fn::codec::{Json, Postcard},
};
use serde::{Deserialize, Serialize};

#[cfg(feature = "ssr")]
use crate::server::{Caller, Seen};
use crate::{
    error::ConsoleError,
    parts::{
        layout::{self, stack},
        whose::Whose,
    },
};

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
    /// `/keys/reports`
    ReportKeys,
    /// `/keys/:id`
    Limits,
    /// `/billing`
    Billing,
    /// `/billing/auto-top-up`
    AutoTopUp,
    /// `/billing/plans`
    Offers,
    /// `/billing/documents`
    Documents,
    /// `/billing/documents/:id`
    Document,
    /// `/billing/statements/:id`
    Statement,
    /// `/billing/details`
    BillingDetails,
    /// `/pricing`
    Pricing,
    /// `/login`
    Login,
    /// `/signup`
    Signup,
    /// `/admin`
    Today,
    /// `/admin/pricing`
    Prices,
    /// `/admin/pricing/import`
    PriceList,
    /// `/admin/pricing/reprice`
    Repricing,
    /// `/admin/plans`
    Plans,
    /// `/admin/plans/:id`
    Plan,
    /// `/admin/payments`
    Payments,
    /// `/admin/codes`
    Codes,
    /// `/admin/customers`
    Customers,
    /// `/admin/customers/new`
    NewCustomer,
    /// `/admin/customers/:id`
    Customer,
    /// `/admin/customers/:id/prices`
    OwnPrices,
    /// `/admin/customers/:id/settings`
    AccountSettings,
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
            Self::ReportKeys => "Report keys",
            Self::Limits => "Limits",
            Self::Billing => "Billing",
            Self::AutoTopUp => "Auto top-up",
            Self::Offers => "Plans and packages",
            Self::Documents => "Documents",
            Self::Document => "Document",
            Self::Statement => "Statement",
            Self::BillingDetails => "Billing details",
            Self::Pricing => "Pricing",
            Self::Login => "Sign in",
            Self::Signup => "Sign up",
            Self::Today => "Today",
            Self::Prices => "Prices",
            Self::PriceList => "Import a price list",
            Self::Repricing => "Charge past calls anew",
            Self::Plans => "Plans",
            Self::Plan => "Plan",
            Self::Payments => "Payments",
            Self::Codes => "Codes",
            Self::Customers => "Customers",
            Self::NewCustomer => "New customer",
            Self::Customer => "Customer",
            Self::OwnPrices => "Own prices",
            Self::AccountSettings => "Account settings",
            Self::Proof => "Proof",
            Self::Audit => "Audit",
        }
    }

    /// Whether it shows an account: the visitor's own, or the one that its address names.
    #[cfg(feature = "ssr")]
    const fn is_of_an_account(self) -> bool {
        matches!(
            self,
            Self::Usage
                | Self::Calls
                | Self::Call
                | Self::Keys
                | Self::Limits
                | Self::Billing
                | Self::Documents
                | Self::Document
                | Self::Statement
        )
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
                | Self::Offers
                | Self::Documents
                | Self::Document
                | Self::Statement
                | Self::BillingDetails
                | Self::Pricing
                | Self::Today
                | Self::Prices
                | Self::PriceList
                | Self::Repricing
                | Self::Plans
                | Self::Plan
                | Self::Payments
                | Self::Customers
                | Self::Customer
                | Self::OwnPrices
                | Self::AccountSettings
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
    /// The `:account` in its path: the customer's, at whose pages an operator looks. Empty for one's own.
    pub(crate) account: String,
    /// The `:id` in its path.
    pub(crate) id: String,
    /// Its query string.
    pub(crate) query: String,
}

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

/// What is answered to an address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Whose page it is.
    pub(crate) whose: Whose,
    /// What it consists of.
    pub(crate) content: Content,
}

impl Answer {
    /// The page.
    pub(crate) fn view(self, page: Page) -> AnyView {
        let Self { whose, content } = self;
        stack(vec![whose.banner(page), content.view(&whose)])
    }

    /// What the browser's title says of it.
    pub(crate) fn title(&self, page: Page) -> String {
        match &self.whose {
            Whose::Own => page.title().to_owned(),
            Whose::Customer(customer) => format!("{} of {}", page.title(), customer.name),
        }
    }
}

impl Content {
    fn view(self, whose: &Whose) -> AnyView {
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

/// Reads a page for whoever asks. What they may see is decided by the scope that each page's `api` must obtain.
#[server(prefix = "/api", endpoint = "page", input = Json, output = Postcard)]
pub(crate) async fn read(address: Address) -> Result<Answer, ConsoleError> {
    use crate::server::{FormAnswer, answer, keep_as_it_is};

    let Address { page, account, id, query } = address;
    if !page.is_without_secrets() || FormAnswer::here().is_some() {
        keep_as_it_is();
    }
    answer(
        async {
            let caller = Caller::here()?;
            if page.is_of_an_account() {
                let seen = caller.seen(&account).await?;
                let content = of_an_account(page, &caller, &seen, &id, &query).await?;
                return Ok(Answer { whose: seen.whose, content });
            }
            Ok(Answer { whose: Whose::Own, content: of_the_gateway(page, &caller, &id, &query).await? })
        }
        .await,
    )
}

/// A page that shows an account, to its own people and to operators.
#[cfg(feature = "ssr")]
async fn of_an_account(page: Page, caller: &Caller, seen: &Seen, id: &str, query: &str) -> Result<Content, ConsoleError> {
    match page {
        Page::Usage => apart(|| usage::api::usage(caller, seen, query)).await.map(Content::Usage),
        Page::Calls => apart(|| calls::api::calls(caller, seen, query)).await.map(Content::Calls),
        Page::Call => apart(|| call::api::call(caller, seen, id)).await.map(|call| Content::Call(Box::new(call))),
        Page::Keys => apart(|| keys::api::keys(caller, seen, query)).await.map(Content::Keys),
        Page::Limits => apart(|| limits::api::limits(caller, seen, id, query)).await.map(Content::Limits),
        Page::Documents => {
            apart(|| documents::api::documents(caller, seen, query)).await.map(|page| drawn(documents::view::documents(&page, &seen.whose)))
        }
        Page::Document => {
            apart(|| documents::api::document(&seen.reader, id)).await.map(|page| drawn(documents::document(&page, &seen.whose)))
        }
        Page::Statement => {
            apart(|| documents::api::statement(caller, &seen.reader, id)).await.map(|page| drawn(documents::statement(&page, &seen.whose)))
        }
        Page::Billing => apart(|| billing::api::billing(caller, seen, query)).await.map(Content::Billing),
        _ => Err(ConsoleError::NotFound),
    }
}

/// Every other page.
#[cfg(feature = "ssr")]
async fn of_the_gateway(page: Page, caller: &Caller, id: &str, query: &str) -> Result<Content, ConsoleError> {
    match page {
        Page::NewKey => apart(|| keys::api::new_key(caller)).await.map(Content::NewKey),
        Page::ReportKeys => {
            apart(|| report_keys::api::report_keys(caller, query)).await.map(|page| drawn(report_keys::view::report_keys(&page)))
        }
        Page::Pricing => apart(|| pricing::api::pricing(caller, query)).await.map(|page| drawn(pricing::view::pricing(&page))),
        Page::Login => Ok(Content::Login(login::api::login(caller, query))),
        Page::Signup => Ok(Content::Signup(signup::api::signup(caller))),
        Page::Today => apart(|| admin::api::today(caller)).await.map(Content::Today),
        Page::Prices => apart(|| admin_pricing::api::prices(caller, query)).await.map(Content::Prices),
        Page::PriceList => {
            apart(|| admin_price_list::api::page(caller, query)).await.map(|page| drawn(admin_price_list::view::list(&page)))
        }
        Page::Repricing => {
            apart(|| admin_reprice::api::repricing(caller, query)).await.map(|page| drawn(admin_reprice::view::repricing(&page)))
        }
        Page::Offers => apart(|| offers::api::offers(caller, query)).await.map(|page| drawn(offers::view::offers(&page))),
        Page::OwnPrices => {
            apart(|| admin_own_prices::api::prices(caller, id, query)).await.map(|page| drawn(admin_own_prices::view::prices(&page)))
        }
        Page::AutoTopUp => apart(|| auto_top_up::api::page(caller, query)).await.map(|page| drawn(auto_top_up::view::page(&page))),
        Page::BillingDetails => apart(|| documents::api::details(caller)).await.map(|page| drawn(documents::details(&page))),
        Page::AccountSettings => {
            apart(|| admin_account::api::settings(caller, id, query)).await.map(|page| drawn(admin_account::view::settings(&page)))
        }
        Page::Plans => apart(|| admin_plans::api::plans(caller)).await.map(|page| drawn(admin_plans::view::list(&page))),
        Page::Plan => apart(|| admin_plans::api::plan(caller, id, query)).await.map(|page| drawn(admin_plans::view::one(&page))),
        Page::Payments => {
            apart(|| admin_payments::api::payments(caller, query)).await.map(|page| drawn(admin_payments::view::payments(&page)))
        }
        Page::Codes => apart(|| admin_codes::api::codes(caller, query)).await.map(|page| drawn(admin_codes::view::codes(&page))),
        Page::Customers => apart(|| admin_customers::api::customers(caller, query)).await.map(Content::Customers),
        Page::NewCustomer => apart(|| admin_customers::api::new_customer(caller)).await.map(Content::NewCustomer),
        Page::Customer => apart(|| admin_customers::api::customer(caller, id, query)).await.map(Content::Customer),
        Page::Proof => apart(|| admin_proof::api::proof(caller, query)).await.map(Content::Proof),
        Page::Audit => apart(|| admin_audit::api::audit(caller, query)).await.map(|page| drawn(admin_audit::view::audit(page))),
        _ => Err(ConsoleError::NotFound),
    }
}

/// One page's reading by itself: a match whose arms hold the reading of every page takes as much of a thread's stack as all of them together, which is more than
/// there is where nothing is optimised.
#[cfg(feature = "ssr")]
fn apart<'a, F: Future<Output: 'a> + Send + 'a>(read: impl FnOnce() -> F) -> Pin<Box<dyn Future<Output = F::Output> + Send + 'a>> {
    Box::pin(read())
}

#[cfg(feature = "ssr")]
fn drawn(page: AnyView) -> Content {
    Content::Drawn(page.to_html())
}
