//! Every address of the console beside those of its pages: what answers there, and by which method. The router is made of this list, and so is the claim
//! that each of them asks who is calling: an address that nobody said anything about fails its test.

use axum::{
    extract::DefaultBodyLimit,
    http::Method,
    routing::{MethodRouter, get, post},
};
use leptos::server_fn::axum::server_fn_paths;

use super::{Console, UPLOAD_MAX, home, route_list, visitor};
use crate::pages;

/// An address and what answers there.
pub(super) struct Address {
    pub(super) path: &'static str,
    pub(super) answer: MethodRouter<Console>,
    method: Method,
}

fn form(path: &'static str, answer: MethodRouter<Console>) -> Address {
    Address { path, answer, method: Method::POST }
}

fn read(path: &'static str, answer: MethodRouter<Console>) -> Address {
    Address { path, answer, method: Method::GET }
}

/// What is sent to the server, and what is read that is no page.
pub(super) fn addresses() -> Vec<Address> {
    vec![
        read("/", get(home)),
        read("/dashboard", get(home)),
        form("/login", post(pages::login::post::sign_in)),
        form("/signup", post(pages::signup::post::sign_up)),
        form("/logout", post(pages::login::post::sign_out)),
        form("/theme", post(visitor::choose_theme)),
        form("/billing", post(pages::billing::post::top_up)),
        form("/billing/auto-top-up", post(pages::auto_top_up::post::submit)),
        form("/billing/details", post(pages::documents::post::details)),
        form("/billing/plans", post(pages::offers::post::choose)),
        form("/keys", post(pages::keys::post::revoke)),
        form("/keys/new", post(pages::keys::post::create)),
        form("/keys/reports", post(pages::report_keys::post::change)),
        form("/keys/{id}", post(pages::limits::post::change)),
        form("/admin/pricing", post(pages::admin_pricing::post::submit)),
        form("/admin/pricing/reprice", post(pages::admin_reprice::post::post)),
        form("/admin/plans/{id}", post(pages::admin_plans::post::write)),
        form("/admin/payments", post(pages::admin_payments::post::decide)),
        form("/admin/codes", post(pages::admin_codes::post::submit)),
        form("/admin/customers/new", post(pages::admin_customers::post::open)),
        form("/admin/customers/{id}", post(pages::admin_customers::post::change)),
        form("/admin/customers/{id}/prices", post(pages::admin_own_prices::post::set)),
        form("/admin/customers/{id}/settings", post(pages::admin_account::post::set)),
        form("/admin/proof", post(pages::admin_proof::post::begin)),
        read("/usage.csv", get(pages::usage::csv::download)),
        read("/calls.csv", get(pages::calls::csv::download)),
        read("/billing.csv", get(pages::billing::csv::download)),
        read("/admin/audit.csv", get(pages::admin_audit::csv::download)),
        read("/admin/customers.csv", get(pages::admin_customers::csv::download)),
        read("/admin/customers/{account}/usage.csv", get(pages::usage::csv::download)),
        read("/admin/customers/{account}/calls.csv", get(pages::calls::csv::download)),
        read("/admin/customers/{account}/billing.csv", get(pages::billing::csv::download)),
    ]
}

/// Forms that files come in, which are larger.
pub(super) fn uploads() -> Vec<Address> {
    let take = post(pages::admin_price_list::post::take).layer(DefaultBodyLimit::max(UPLOAD_MAX));
    vec![form("/admin/pricing/import", take)]
}

/// Every address of the console with its method: pages, server functions, forms and files.
#[must_use]
pub fn every_address() -> Vec<(Method, String)> {
    let pages = route_list().into_iter().map(|page| (Method::GET, page.path().to_owned()));
    let functions = server_fn_paths().map(|(path, method)| (method, path.to_owned()));
    let files = pages::documents::file::ADDRESSES.into_iter().map(|path| (Method::GET, path.to_owned()));
    let others = addresses().into_iter().chain(uploads()).map(|address| (address.method, address.path.to_owned()));
    pages.chain(functions).chain(files).chain(others).collect()
}
