//! Every page of the console in one place.

use codee::binary::PostcardCodec;
use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    SsrMode::Async,
    components::{FlatRoutes, Route, Router},
    path,
};

use crate::{
    pages::Page,
    parts::{frame, page::page, travel::Travel},
    visit::Visit,
};

/// The console, in the browser as on the server.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    let visit = SharedValue::<Visit, PostcardCodec>::new_with_encoding(current_visit).into_inner();
    let travel = Travel::new();
    view! {
        <Title formatter=|title: String| if title.is_empty() { "Farebox".to_owned() } else { format!("{title} · Farebox") }/>
        <Router set_is_routing=travel.report()>
            {travel.keep_places()}
            {frame::header(&visit)}
            <main id="content" tabindex="-1" class:is-asking=move || travel.is_under_way()>
                <FlatRoutes fallback=|| page(Page::None)>
                    <Route path=path!("/usage") view=|| page(Page::Usage) ssr=Async/>
                    <Route path=path!("/calls") view=|| page(Page::Calls) ssr=Async/>
                    <Route path=path!("/calls/:id") view=|| page(Page::Call) ssr=Async/>
                    <Route path=path!("/keys") view=|| page(Page::Keys) ssr=Async/>
                    <Route path=path!("/keys/new") view=|| page(Page::NewKey) ssr=Async/>
                    <Route path=path!("/keys/reports") view=|| page(Page::ReportKeys) ssr=Async/>
                    <Route path=path!("/keys/:id") view=|| page(Page::Limits) ssr=Async/>
                    <Route path=path!("/billing") view=|| page(Page::Billing) ssr=Async/>
                    <Route path=path!("/billing/auto-top-up") view=|| page(Page::AutoTopUp) ssr=Async/>
                    <Route path=path!("/billing/plans") view=|| page(Page::Offers) ssr=Async/>
                    <Route path=path!("/billing/documents") view=|| page(Page::Documents) ssr=Async/>
                    <Route path=path!("/billing/documents/:id") view=|| page(Page::Document) ssr=Async/>
                    <Route path=path!("/billing/statements/:id") view=|| page(Page::Statement) ssr=Async/>
                    <Route path=path!("/billing/details") view=|| page(Page::BillingDetails) ssr=Async/>
                    <Route path=path!("/pricing") view=|| page(Page::Pricing) ssr=Async/>
                    <Route path=path!("/login") view=|| page(Page::Login) ssr=Async/>
                    <Route path=path!("/signup") view=|| page(Page::Signup) ssr=Async/>
                    <Route path=path!("/admin") view=|| page(Page::Today) ssr=Async/>
                    <Route path=path!("/admin/pricing") view=|| page(Page::Prices) ssr=Async/>
                    <Route path=path!("/admin/pricing/import") view=|| page(Page::PriceList) ssr=Async/>
                    <Route path=path!("/admin/pricing/reprice") view=|| page(Page::Repricing) ssr=Async/>
                    <Route path=path!("/admin/plans") view=|| page(Page::Plans) ssr=Async/>
                    <Route path=path!("/admin/plans/:id") view=|| page(Page::Plan) ssr=Async/>
                    <Route path=path!("/admin/payments") view=|| page(Page::Payments) ssr=Async/>
                    <Route path=path!("/admin/codes") view=|| page(Page::Codes) ssr=Async/>
                    <Route path=path!("/admin/customers") view=|| page(Page::Customers) ssr=Async/>
                    <Route path=path!("/admin/customers/new") view=|| page(Page::NewCustomer) ssr=Async/>
                    <Route path=path!("/admin/customers/:id") view=|| page(Page::Customer) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/usage") view=|| page(Page::Usage) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/calls") view=|| page(Page::Calls) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/calls/:id") view=|| page(Page::Call) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/keys") view=|| page(Page::Keys) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/keys/:id") view=|| page(Page::Limits) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/billing") view=|| page(Page::Billing) ssr=Async/>
                    <Route path=path!("/admin/customers/:id/prices") view=|| page(Page::OwnPrices) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/billing/documents") view=|| page(Page::Documents) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/billing/documents/:id") view=|| page(Page::Document) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/billing/statements/:id") view=|| page(Page::Statement) ssr=Async/>
                    <Route path=path!("/admin/customers/:id/settings") view=|| page(Page::AccountSettings) ssr=Async/>
                    <Route path=path!("/admin/proof") view=|| page(Page::Proof) ssr=Async/>
                    <Route path=path!("/admin/audit") view=|| page(Page::Audit) ssr=Async/>
                </FlatRoutes>
            </main>
            {frame::footer(&visit)}
        </Router>
    }
}

#[cfg(feature = "ssr")]
fn current_visit() -> Visit {
    crate::server::current_visit()
}

/// In the browser the visit comes with the page; this is what a page without one would show.
#[cfg(not(feature = "ssr"))]
fn current_visit() -> Visit {
    Visit::default()
}
