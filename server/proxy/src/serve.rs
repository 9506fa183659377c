//! The listener: HTTP/1.1 with bounds on everything, and an orderly end.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::Utc;
use domain::id::CallId;
use http::{HeaderValue, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::{Shared, account_api, chat, reply::Refusal, settings::Settings};

/// A pause after the listener failed, which it mostly does for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What is on its way to a client may take so long, once all calls have ended.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
const X_REQUEST_ID: &str = "x-request-id";

/// Everything that the proxy answers.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::completions))
        .route("/v1/models", get(account_api::models))
        .route("/v1/models/{*name}", get(account_api::model))
        .route("/v1/generation", get(account_api::generation))
        .route("/v1/credits", get(account_api::credits))
        .route("/v1/key", get(account_api::key))
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(readyz))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(identify))
        .with_state(shared)
}

/// Gives each request its id, and each answer the same one. A call's id is the one that its client is told.
async fn identify(mut request: Request, next: Next) -> Response {
    let id = CallId::new(Utc::now(), rand::random());
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    if !shared.catalog.load().is_current() {
        let why = "the database has not answered for seconds, or this machine's clock is not the database's";
        return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    }
    if !shared.poster.is_open() {
        return (StatusCode::SERVICE_UNAVAILABLE, "calls are no longer posted: restart this proxy").into_response();
    }
    if let Some(why) = shared.why_no_call() {
        return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    }
    match shared.ledger.ready().await {
        Ok(()) if !shared.leases.are_changed() => {
            (StatusCode::SERVICE_UNAVAILABLE, "the database was away a moment ago, and has leased nothing since").into_response()
        }
        Ok(()) => "ok".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, why_not_ready(&error)).into_response()
        }
    }
}

/// For whoever watches; the details are in the log.
fn why_not_ready(error: &ledger::Error) -> &'static str {
    match error {
        ledger::Error::ReadOnly => "the database takes no writes",
        ledger::Error::Outdated => "the database has the schema of a later version, which this one must not write to",
        _ => "the database does not answer",
    }
}

async fn unknown_path(request: Request) -> Refusal {
    Refusal::unknown_path(request.method(), request.uri().path())
}

async fn wrong_method(request: Request) -> Refusal {
    Refusal::wrong_method(request.method(), request.uri().path())
}

/// Connections that were accepted, once no more are.
pub(crate) struct Connections {
    tasks: JoinSet<()>,
}

impl Connections {
    /// Lets each finish the answer that it is in the middle of.
    pub(crate) async fn finish(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Cuts off what is left, after a moment for what is on its way to clients: a call does not depend on its connection.
    pub(crate) async fn cut(mut self) {
        if timeout(FLUSH_TIMEOUT, self.finish()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "connections whose clients do not read are cut");
        }
        self.tasks.shutdown().await;
    }
}

/// Accepts connections until `shutdown`, and then asks those that are there to end with the answer that they are in the middle of.
pub(crate) async fn serve(router: Router, listener: TcpListener, settings: &Settings, shutdown: CancellationToken) -> Connections {
    let places = Arc::new(Semaphore::new(settings.connections_max));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places, settings.idle_timeout) => accepted,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.client_timeout)
            .serve_connection(TokioIo::new(stream), service(router.clone()));
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    connections.spawn(graceful.shutdown());
    Connections { tasks: connections }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    idle_timeout: Duration,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // Without this, small events wait for the acknowledgement of the one before (Nagle's algorithm).
    stream.set_nodelay(true)?;
    // A client that reads nothing for so long gives its place back.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(idle_timeout))?;
    #[cfg(not(target_os = "linux"))]
    let _ = idle_timeout; // other systems have no such time-out
    Ok((stream, place))
}

fn service(router: Router) -> impl hyper::service::Service<http::Request<Incoming>, Response = Response, Error = Infallible, Future: Send> {
    service_fn(move |request: http::Request<Incoming>| {
        let mut router = router.clone();
        async move { router.call(request.map(Body::new)).await }
    })
}
