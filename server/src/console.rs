//! The console's listener: pages, forms and files, with sessions and the browser's own protections around them.

mod compression;

use std::any::Any;

use app::server::{Console, UPLOAD_MAX};
pub(crate) use app::server::{DemoSignIns, Settings as ConsoleSettings};
use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
    middleware::{Next, from_fn, map_response},
    routing::get,
};
use ledger::Ledger;
use tower_http::{
    catch_panic::CatchPanicLayer,
    csrf::{CsrfLayer, ProtectionError},
    limit::RequestBodyLimitLayer,
    set_header::SetResponseHeaderLayer,
};

use crate::{assets, session};

/// No form of the console without files is larger.
const BODY_MAX: usize = 64 * 1024;
/// No message of Stripe's is larger.
const MESSAGE_MAX: usize = 256 * 1024;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What every answer says. A page brings a policy of its own, with its nonce; this one is for everything else.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // `no-referrer` would make browsers send `Origin: null`, and every form would be taken for somebody else's.
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// The console. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: sign-in attempts are counted per address.
pub(crate) fn router(ledger: Ledger, settings: ConsoleSettings) -> Router {
    let is_https = settings.is_https();
    let (files, assets) = assets::files();
    let csrf = csrf(&settings.console_url);
    let sessions = session::layer(ledger.clone(), is_https);
    let hooks = settings.stripe.clone().map(|stripe| app::server::webhooks(ledger.clone(), stripe));
    let probes = Router::new().route("/livez", get(async || "ok\n")).route("/readyz", get(ready)).with_state(ledger.clone());
    let console = Console::new(ledger, settings, assets);
    let pages = app::server::router(&console).layer(RequestBodyLimitLayer::new(BODY_MAX));
    let uploads = app::server::uploads(&console).layer(RequestBodyLimitLayer::new(UPLOAD_MAX));
    let pages = pages.merge(uploads).layer(sessions).layer(map_response(in_words)).layer(compression::layer());
    // What is not there is told so to whoever asks: a payment provider whose messages nobody takes sends no such header.
    let mut router = pages.merge(files).merge(probes).layer(csrf).route_layer(from_fn(said_from_where));
    if let Some(hooks) = hooks {
        router = router.merge(hooks.layer(RequestBodyLimitLayer::new(MESSAGE_MAX)));
    }
    router = router.layer(CatchPanicLayer::custom(panicked));
    for (name, value) in HEADERS {
        router = router.layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)));
    }
    if is_https {
        let year = HeaderValue::from_static("max-age=31536000");
        router = router.layer(SetResponseHeaderLayer::if_not_present(header::STRICT_TRANSPORT_SECURITY, year));
    }
    router
}

/// Forms are taken from this console's own pages only, wherever a proxy in front says that it is.
fn csrf(console_url: &str) -> CsrfLayer<fn(ProtectionError) -> Response<Body>> {
    let layer = CsrfLayer::new().add_trusted_origin(console_url).unwrap_or_else(|error| {
        tracing::warn!(%error, "the console's address is no origin; forms are checked against the Host header alone");
        CsrfLayer::new()
    });
    layer.with_rejection_response(from_elsewhere)
}

/// Every browser says where a form comes from, newer ones twice. [`CsrfLayer`] lets pass what says nothing; nothing of a person's own does that.
async fn said_from_where(request: Request, next: Next) -> Response<Body> {
    let is_said = [header::ORIGIN, SEC_FETCH_SITE].iter().any(|name| request.headers().get(name).is_some_and(|value| !value.is_empty()));
    if request.method().is_safe() || is_said { next.run(request).await } else { from_nowhere() }
}

fn from_nowhere() -> Response<Body> {
    let words = "This form does not say which page it was sent from, so nothing was done. Open the console and send it from there. A program, or a proxy in \
                 front, must send the header Origin on, which browsers send with every form.\n";
    plain(StatusCode::FORBIDDEN, words)
}

fn from_elsewhere(_: ProtectionError) -> Response<Body> {
    let words = "This form was sent from another site, so nothing was done. Open the console and send it from there.\n";
    plain(StatusCode::FORBIDDEN, words)
}

/// A session that could not be saved leaves nothing but a status; so do the layers around the pages. A person needs words.
async fn in_words(response: Response<Body>) -> Response<Body> {
    if response.status().is_server_error() && response.body().size_hint().exact() == Some(0) { unavailable() } else { response }
}

/// What went wrong is in the log; the connection and all others go on.
fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let problem = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(problem, "a request of the console panicked");
    unavailable()
}

fn unavailable() -> Response<Body> {
    plain(StatusCode::SERVICE_UNAVAILABLE, "Farebox cannot answer this right now. Load the page again in a moment.\n")
}

fn plain(status: StatusCode, words: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(words));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

async fn ready(State(ledger): State<Ledger>) -> (StatusCode, &'static str) {
    match ledger.ready().await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database is not available, or takes no writes\n")
        }
    }
}
