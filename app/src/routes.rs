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
                    <Route path=path!("/usage") view=shown(Page::Usage) ssr=Async/>
                    <Route path=path!("/calls") view=shown(Page::Calls) ssr=Async/>
                    <Route path=path!("/calls/:id") view=shown(Page::Call) ssr=Async/>
                    <Route path=path!("/keys") view=shown(Page::Keys) ssr=Async/>
                    <Route path=path!("/keys/new") view=shown(Page::NewKey) ssr=Async/>
                    <Route path=path!("/keys/reports") view=shown(Page::ReportKeys) ssr=Async/>
                    <Route path=path!("/keys/:id") view=shown(Page::Limits) ssr=Async/>
                    <Route path=path!("/billing") view=shown(Page::Billing) ssr=Async/>
                    <Route path=path!("/billing/auto-top-up") view=shown(Page::AutoTopUp) ssr=Async/>
                    <Route path=path!("/billing/plans") view=shown(Page::Offers) ssr=Async/>
                    <Route path=path!("/billing/documents") view=shown(Page::Documents) ssr=Async/>
                    <Route path=path!("/billing/documents/:id") view=shown(Page::Document) ssr=Async/>
                    <Route path=path!("/billing/statements/:id") view=shown(Page::Statement) ssr=Async/>
                    <Route path=path!("/billing/details") view=shown(Page::BillingDetails) ssr=Async/>
                    <Route path=path!("/pricing") view=shown(Page::Pricing) ssr=Async/>
                    <Route path=path!("/login") view=shown(Page::Login) ssr=Async/>
                    <Route path=path!("/signup") view=shown(Page::Signup) ssr=Async/>
                    <Route path=path!("/admin") view=shown(Page::Today) ssr=Async/>
                    <Route path=path!("/admin/pricing") view=shown(Page::Prices) ssr=Async/>
                    <Route path=path!("/admin/pricing/import") view=shown(Page::PriceList) ssr=Async/>
                    <Route path=path!("/admin/pricing/reprice") view=shown(Page::Repricing) ssr=Async/>
                    <Route path=path!("/admin/plans") view=shown(Page::Plans) ssr=Async/>
                    <Route path=path!("/admin/plans/:id") view=shown(Page::Plan) ssr=Async/>
                    <Route path=path!("/admin/payments") view=shown(Page::Payments) ssr=Async/>
                    <Route path=path!("/admin/codes") view=shown(Page::Codes) ssr=Async/>
                    <Route path=path!("/admin/customers") view=shown(Page::Customers) ssr=Async/>
                    <Route path=path!("/admin/customers/new") view=shown(Page::NewCustomer) ssr=Async/>
                    <Route path=path!("/admin/customers/:id") view=shown(Page::Customer) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/usage") view=shown(Page::Usage) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/calls") view=shown(Page::Calls) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/calls/:id") view=shown(Page::Call) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/keys") view=shown(Page::Keys) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/keys/:id") view=shown(Page::Limits) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/billing") view=shown(Page::Billing) ssr=Async/>
                    <Route path=path!("/admin/customers/:id/prices") view=shown(Page::OwnPrices) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/billing/documents") view=shown(Page::Documents) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/billing/documents/:id") view=shown(Page::Document) ssr=Async/>
                    <Route path=path!("/admin/customers/:account/billing/statements/:id") view=shown(Page::Statement) ssr=Async/>
                    <Route path=path!("/admin/customers/:id/settings") view=shown(Page::AccountSettings) ssr=Async/>
                    <Route path=path!("/admin/proof") view=shown(Page::Proof) ssr=Async/>
                    <Route path=path!("/admin/audit") view=shown(Page::Audit) ssr=Async/>
                </FlatRoutes>
            </main>
            {frame::footer(&visit)}
        </Router>
    }
}

/// One type of view for all routes: with a closure for each, what a route is made of was compiled again for each of them.
fn shown(which: Page) -> impl Fn() -> AnyView + Clone + Send + 'static {
    move || page(which)
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
