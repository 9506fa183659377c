//! Every page of the console in one place.

use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    SsrMode::Async,
    components::{FlatRoutes, Route, Router},
    path,
};

use crate::{pages, parts::frame, visit::Visit};

/// The console, in the browser as on the server.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    let visit = SharedValue::new(current_visit).into_inner();
    provide_context(visit.clone());
    view! {
        <Title formatter=|title: String| if title.is_empty() { "Farebox".to_owned() } else { format!("{title} · Farebox") }/>
        <Router>
            {frame::header(&visit)}
            <main id="content">
                <FlatRoutes fallback=pages::not_found::page>
                    <Route path=path!("/usage") view=pages::usage::page::page ssr=Async/>
                    <Route path=path!("/calls") view=pages::calls::page::page ssr=Async/>
                    <Route path=path!("/calls/:id") view=pages::call::page::page ssr=Async/>
                    <Route path=path!("/keys") view=pages::keys::page::list ssr=Async/>
                    <Route path=path!("/keys/new") view=pages::keys::page::new ssr=Async/>
                    <Route path=path!("/billing") view=pages::billing::page::page ssr=Async/>
                    <Route path=path!("/pricing") view=pages::pricing::page::page ssr=Async/>
                    <Route path=path!("/login") view=pages::login::page::page ssr=Async/>
                    <Route path=path!("/signup") view=pages::signup::page::page ssr=Async/>
                    <Route path=path!("/admin/pricing") view=pages::admin_pricing::page::page ssr=Async/>
                    <Route path=path!("/admin/customers") view=pages::admin_customers::page::list ssr=Async/>
                    <Route path=path!("/admin/customers/:id") view=pages::admin_customers::page::one ssr=Async/>
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
