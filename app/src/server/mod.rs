//! The server's side of the console: who is calling, what they may reach, and how a page answers a form.

mod addresses;
mod alone;
mod caller;
pub(crate) mod csv;
mod device;
mod fresh;
pub(crate) mod in_the_clear;
mod query;
mod stripe;
mod submission;
mod throttle;
mod tidy;
mod upload;
mod visitor;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{FromRef, Request, State},
    http::StatusCode,
    middleware,
    response::{IntoResponse, Redirect, Response},
};
use domain::money::Amount;
use ledger::Ledger;
use leptos::prelude::*;
use leptos_axum::{AxumRouteListing, LeptosRoutes};

pub use self::{
    addresses::every_address,
    device::DeviceSecret,
    stripe::{API as STRIPE_API, Stripe, StripeSettings, webhooks},
    upload::UPLOAD_MAX,
    visitor::SignedIn,
};
use self::{
    addresses::{Address, addresses},
    fresh::Fresh,
    throttle::Throttle,
};
pub(crate) use self::{
    caller::{Caller, Seen, answer, keep_as_it_is, page_redirect, page_status},
    submission::{FormAnswer, Refusal, Submission, about, incomplete, is_local, see_other, sentence},
    upload::Upload,
};
pub(crate) use self::{
    query::{filter_of, journal_cursor, journal_done, journal_slice, parameter, typed_form},
    stripe::{NewSession, NewSetup, NotTaken},
    visitor::Visitor,
};
use crate::{
    error::ConsoleError,
    pages::{self, admin_codes::FreshCodes, admin_customers::FreshCustomer, keys::FreshKey},
    routes::App,
    shell::shell,
    visit::Visit,
};

/// What the operator of this console configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where people reach the console, without a slash at the end.
    pub console_url: String,
    /// Where clients reach the proxy, without `/v1` and without a slash at the end.
    pub proxy_url: String,
    /// Set when this gateway is a demonstration, which every page then says.
    pub demo: Option<DemoSignIns>,
    /// Whether strangers may open an account.
    pub signup_open: bool,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Who takes payments.
    pub stripe: Option<Stripe>,
    /// Where customers ask for more than is offered: an address, and how it is written.
    pub sales_contact: Option<(String, String)>,
    /// What makes browsers known in which people have signed in.
    pub device_secret: DeviceSecret,
    /// What an operator posts beyond this they confirm by typing the customer's name.
    pub posting_limit: Amount,
}

impl Settings {
    /// Whether people reach the console over HTTPS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.console_url.starts_with("https:")
    }

    /// What clients are pointed at.
    pub(crate) fn base_url(&self) -> String {
        format!("{}/v1", self.proxy_url)
    }
}

/// Who can sign in to a demonstration; its sign-in page says so.
#[derive(Debug, Clone)]
pub struct DemoSignIns {
    /// A customer's address and password.
    pub customer: (String, String),
    /// An operator's address and password.
    pub operator: (String, String),
}

/// The addresses of the embedded files; absent ones were not built.
#[derive(Debug, Clone, Default)]
pub struct Assets {
    /// The style sheet.
    pub css: Option<String>,
    /// The script that loads the wasm.
    pub js: Option<String>,
    /// The wasm.
    pub wasm: Option<String>,
}

/// Everything that a request needs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Console {
    /// The ledger.
    pub(crate) ledger: Ledger,
    /// What was configured.
    pub(crate) settings: Arc<Settings>,
    /// Where the browser finds its files.
    pub(crate) assets: Arc<Assets>,
    /// How often someone may try to sign in.
    pub(crate) throttle: Throttle,
    /// Keys that were made a moment ago.
    pub(crate) fresh_keys: Fresh<FreshKey>,
    /// Codes that were made a moment ago.
    pub(crate) fresh_codes: Fresh<FreshCodes>,
    /// Customers whose accounts were opened a moment ago.
    pub(crate) fresh_customers: Fresh<FreshCustomer>,
}

impl Console {
    /// A console over this ledger.
    #[must_use]
    pub fn new(ledger: Ledger, settings: Settings, assets: Assets) -> Self {
        let (settings, assets) = (Arc::new(settings), Arc::new(assets));
        let (fresh_keys, fresh_codes, fresh_customers) = (Fresh::default(), Fresh::default(), Fresh::default());
        Self { ledger, settings, assets, throttle: Throttle::default(), fresh_keys, fresh_codes, fresh_customers }
    }

    fn render(&self, request: Request<Body>) -> impl Future<Output = Response> + Send {
        let (context, page) = (self.clone(), self.clone());
        leptos_axum::render_app_async_with_context(move || provide_context(context.clone()), move || shell(&page.assets))(request)
    }
}

/// Required by leptos' router; every path of this console is known without it.
impl FromRef<Console> for LeptosOptions {
    fn from_ref(_: &Console) -> Self {
        Self::builder().output_name("farebox").build()
    }
}

/// The routes of every page and server function. Walks the whole app: once per process.
fn route_list() -> Vec<AxumRouteListing> {
    leptos_axum::generate_route_list(App)
}

/// Every page, form and server function. Sessions, cross-site protection and files are layered around it by the binary.
pub fn router(console: &Console) -> Router {
    let assets = console.assets.clone();
    let pages = Router::new().leptos_routes(console, route_list(), move || shell(&assets));
    let routes = routed(pages, addresses()).fallback(not_found).method_not_allowed_fallback(not_allowed);
    identified(routes, console)
}

/// Every form that files come in, which are larger than [`router`]'s: at most [`UPLOAD_MAX`].
pub fn uploads(console: &Console) -> Router {
    identified(routed(Router::new(), addresses::uploads()), console)
}

fn routed(router: Router<Console>, addresses: Vec<Address>) -> Router<Console> {
    addresses.into_iter().fold(router, |router, Address { path, answer, .. }| router.route(path, answer))
}

/// Routes that know who is calling.
fn identified(routes: Router<Console>, console: &Console) -> Router {
    routes
        .layer(middleware::from_fn_with_state(console.clone(), pages::documents::file::files))
        .layer(middleware::from_fn_with_state(console.clone(), visitor::identify))
        .layer(middleware::from_fn(tidy::tidy))
        .layer(middleware::from_fn(alone::alone))
        .with_state(console.clone())
}

/// Where a visitor belongs.
async fn home(visitor: Visitor) -> Redirect {
    Redirect::to(visitor.visit.home())
}

async fn not_found(State(console): State<Console>, request: Request<Body>) -> Response {
    if is_api(&request) {
        return (StatusCode::NOT_FOUND, "There is nothing at this address.\n").into_response();
    }
    console.render(request).await
}

/// An address that takes no form, or only forms: it was typed, or comes from elsewhere.
async fn not_allowed(State(console): State<Console>, mut request: Request<Body>) -> Response {
    let failure = Some(ConsoleError::Invalid("There is no page to be had in this way. Start from one of the pages above.".to_owned()));
    request.extensions_mut().insert(FormAnswer { failure, ..FormAnswer::default() });
    let mut response = console.render(request).await;
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// Whether a server function is asked for.
fn is_api(request: &Request) -> bool {
    request.uri().path().starts_with("/api/")
}

/// The visitor of the request that is being rendered. While routes are listed there is none.
pub(crate) fn current_visit() -> Visit {
    use_context::<http::request::Parts>()
        .and_then(|parts| parts.extensions.get::<Visitor>().map(|visitor| visitor.visit.clone()))
        .unwrap_or_default()
}
