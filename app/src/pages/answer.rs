//! What is answered to an address.

#[cfg(feature = "ssr")]
use std::pin::Pin;

use leptos::{
    prelude::*,
    server_fn::codec::{Json, Postcard},
};
use serde::{Deserialize, Serialize};

use super::{
    address::{Address, Page},
    content::Content,
};
#[cfg(feature = "ssr")]
use super::{
    admin, admin_account, admin_audit, admin_codes, admin_customers, admin_own_prices, admin_payments, admin_plans, admin_price_list,
    admin_pricing, admin_proof, admin_reprice, auto_top_up, billing, call, calls, documents, keys, limits, login, offers, pricing,
    report_keys, signup, usage,
};
#[cfg(feature = "ssr")]
use crate::server::{Caller, Seen};
use crate::{
    error::ConsoleError,
    parts::{layout::stack, whose::Whose},
};

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
        Page::Limits => {
            apart(|| limits::api::limits(caller, seen, id, query)).await.map(|page| drawn(limits::view::limits(&page, &seen.whose)))
        }
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
        Page::Login => Ok(drawn(login::view::login(login::api::login(caller, query)))),
        Page::Signup => Ok(drawn(signup::view::signup(&signup::api::signup(caller)))),
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
        Page::Customer => {
            apart(|| admin_customers::api::customer(caller, id, query)).await.map(|page| drawn(admin_customers::view::one(page)))
        }
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
