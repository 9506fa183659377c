//! Connections to upstreams.

use std::time::Duration;

use domain::catalog::Model;
use http::{HeaderMap, Method, Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::{
    client::legacy::{Client, Error as ClientError, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tower::Service;
use tower_http::decompression::Decompression;

use super::{address::Resolver, body::UpstreamBody, connecting::InTime, headers::request_headers};
use crate::{
    admit::{body::RequestBody, catalog::Target},
    dialect::Dialect,
};

/// Some upstreams compress although they are asked not to; then what the client gets is what was compressed.
type Pool = Decompression<Client<InTime<HttpsConnector<HttpConnector<Resolver>>>, RequestBody>>;

/// Shorter than the idle time-outs of common servers and balancers (nginx: 75 s, AWS: 60 s), so that few connections die in our hands.
const POOLED_IDLE: Duration = Duration::from_secs(20);

/// Connections to upstreams.
#[derive(Debug, Clone)]
pub(crate) struct Upstreams {
    /// Reaches only public addresses.
    public: Pool,
    any: Pool,
}

impl Upstreams {
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        Self { public: pool(Resolver::new(true), connect_timeout), any: pool(Resolver::new(false), connect_timeout) }
    }

    /// Sends a request of this API. Redirects are answers like any other.
    pub(crate) async fn send(
        &self,
        target: &Target,
        (dialect, model): (&Dialect, &Model),
        client_headers: &HeaderMap,
        body: RequestBody,
    ) -> Result<Response<UpstreamBody>, ClientError> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.address(dialect);
        *request.headers_mut() = request_headers(client_headers, dialect, target, model);
        let pool = if target.allow_private { &self.any } else { &self.public };
        Ok(pool.clone().call(request).await?.map(UpstreamBody::from))
    }
}

fn pool(resolver: Resolver, connect_timeout: Duration) -> Pool {
    let mut http = HttpConnector::new_with_resolver(resolver);
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect_timeout));
    let https = trusting().https_or_http().enable_http1().wrap_connector(http);
    let client = Client::builder(TokioExecutor::new())
        // A request that may have reached the upstream may have been billed there: it is never sent again by itself.
        .retry_canceled_requests(false)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOLED_IDLE)
        .build(InTime::new(https, connect_timeout));
    Decompression::new(client)
}

/// Whom an upstream's certificate may come from: the authorities that the machine trusts, which may be a company's own, or that `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` name; where there are none, as in a bare container, Mozilla's.
fn trusting() -> HttpsConnectorBuilder<WantsSchemes> {
    HttpsConnectorBuilder::new().with_native_roots().unwrap_or_else(|error| {
        tracing::warn!(%error, "upstreams over TLS are known by Mozilla's list of authorities, since this machine has none");
        HttpsConnectorBuilder::new().with_webpki_roots()
    })
}
