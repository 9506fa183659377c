//! Connections to upstreams.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use domain::catalog::Model;
use http::{HeaderMap, Method, Request, Response};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error as ClientError, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use tower::Service;
use tower_http::decompression::Decompression;

use super::{
    address::Resolver,
    body::{Unpacked, UpstreamBody},
    connecting::InTime,
    headers::request_headers,
};
use crate::{
    admit::{body::RequestBody, target::Target},
    dialect::Dialect,
};

type Pool = Client<InTime<HttpsConnector<HttpConnector<Resolver>>>, RequestBody>;

/// Shorter than the idle time-outs of common servers and balancers (nginx: 75 s, AWS: 60 s), so that few connections die in our hands.
const POOLED_IDLE: Duration = Duration::from_secs(20);

/// What is asked of an answer at once, at most, and of its head in all: so much of each answer, and as much again that came with it, waits here for a
/// client that does not take it.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Connections to upstreams.
#[derive(Debug)]
pub(crate) struct Upstreams {
    /// Reaches only public addresses.
    public: Pool,
    any: Pool,
    /// Those of providers that have a time-out of their own for connecting, by it and by whether they reach only public addresses: as many as there are
    /// different ones.
    patient: Mutex<HashMap<(Duration, bool), Pool>>,
    tls: ClientConfig,
}

impl Upstreams {
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        let tls = trusting();
        let [public, any] = [true, false].map(|only_public| pool(only_public, connect_timeout, &tls));
        Self { public, any, patient: Mutex::default(), tls }
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
        let answering = match target.time_outs.connect {
            None if target.allow_private => ask(&self.any, request),
            None => ask(&self.public, request),
            Some(within) => {
                let mut patient = self.patient.lock().unwrap_or_else(PoisonError::into_inner);
                let only_public = !target.allow_private;
                ask(patient.entry((within, only_public)).or_insert_with(|| pool(only_public, within, &self.tls)), request)
            }
        };
        Ok(answering.await?.map(UpstreamBody::from))
    }
}

/// Some upstreams compress although they are asked not to; then what the client gets is what was compressed.
fn ask(pool: &Pool, request: Request<RequestBody>) -> impl Future<Output = Result<Response<Unpacked>, ClientError>> + use<> {
    Decompression::new(pool).call(request)
}

fn pool(only_public: bool, connect_timeout: Duration, tls: &ClientConfig) -> Pool {
    let mut http = HttpConnector::new_with_resolver(Resolver::new(only_public));
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect_timeout));
    let https = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http().enable_http1().wrap_connector(http);
    Client::builder(TokioExecutor::new())
        // Only what no connection has taken, because it was closed just then, is given to another one: a request that may have reached the upstream may
        // have been billed there, and is never sent again by itself.
        .retry_canceled_requests(true)
        .http1_max_buf_size(BUFFER_BYTES_MAX)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOLED_IDLE)
        .build(InTime::new(https, connect_timeout))
}

/// Whom an upstream's certificate may come from: the authorities that the machine trusts, which may be a company's own, or that `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` name; where there are none, as in a bare container, Mozilla's.
fn trusting() -> ClientConfig {
    let roots = ClientConfig::builder().with_native_roots().unwrap_or_else(|error| {
        tracing::warn!(%error, "upstreams over TLS are known by Mozilla's list of authorities, since this machine has none");
        ClientConfig::builder().with_webpki_roots()
    });
    roots.with_no_client_auth()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{
        io::{Read, Write},
        net::TcpListener,
        sync::mpsc,
        thread,
    };

    use http_body_util::BodyExt;

    use super::*;
    use crate::admit::{body::Received, bound::tests::model, target::Waits};

    /// The addresses that a name leads to are known only when it is connected to; what stands in the URL itself is refused long before.
    #[tokio::test]
    async fn a_name_of_a_private_address_is_reached_only_where_an_operator_has_vouched_for_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://localhost:{}/v1", listener.local_addr().unwrap().port());
        let upstream = thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            }
        });
        let upstreams = Upstreams::new(Duration::from_secs(5));
        let (dialect, model) = (Dialect::of("/v1/chat/completions").unwrap(), model());
        for connect in [None, Some(Duration::from_secs(5))] {
            for allow_private in [false, true] {
                let time_outs = Waits { connect, ..Waits::default() };
                let mut target = Target::of(&base_url, None);
                (target.allow_private, target.time_outs) = (allow_private, time_outs);
                let (body, _) = Received { bytes: "{}".into(), room: None }.edited(Vec::new());
                let answered = upstreams.send(&target, (dialect, &model), &HeaderMap::new(), body).await;
                match answered {
                    Ok(response) => assert!(allow_private && response.status().is_success(), "{connect:?}"),
                    Err(error) => assert!(!allow_private && error.is_connect(), "{connect:?}: {error:?}"),
                }
            }
        }
        upstream.join().unwrap();
    }

    #[tokio::test]
    async fn no_more_of_an_answer_is_read_at_once_than_may_wait_here() {
        const LENGTH: usize = 8 * 1024 * 1024;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n").as_bytes()).unwrap();
            stream.write_all(&vec![b'x'; LENGTH]).unwrap();
        });
        let pool = pool(false, Duration::from_secs(5), &trusting());
        let (body, _) = Received { bytes: "{}".into(), room: None }.edited(Vec::new());
        let mut answer = ask(&pool, Request::post(format!("http://{address}/")).body(body).unwrap()).await.unwrap().into_body();
        let (mut read, mut most) = (0, 0);
        while let Some(frame) = answer.frame().await {
            let piece = frame.unwrap().into_data().unwrap().len();
            (read, most) = (read + piece, most.max(piece));
        }
        assert_eq!(read, LENGTH);
        assert!(most <= 2 * BUFFER_BYTES_MAX, "{most}");
        upstream.join().unwrap();
    }

    /// The runtime has heard that the pooled connection is closed, but the connection's task has not, when the request is given to it.
    #[tokio::test]
    async fn a_request_that_no_connection_took_is_given_to_another() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (close, closing) = mpsc::channel();
        let (told, closed) = mpsc::channel();
        let upstream = thread::spawn(move || {
            for answer in ["one", "two"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n{}") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{answer}").as_bytes()).unwrap();
                closing.recv().unwrap();
                drop(stream);
                told.send(()).unwrap();
            }
        });
        let pool = pool(false, Duration::from_secs(5), &trusting());
        let send = || {
            let (body, _) = Received { bytes: "{}".into(), room: None }.edited(Vec::new());
            ask(&pool, Request::post(format!("http://{address}/")).body(body).unwrap())
        };
        let read = |response: Response<Unpacked>| response.into_body().collect();
        assert_eq!(read(send().await.unwrap()).await.unwrap().to_bytes(), "one");
        // It waits in the pool by now.
        tokio::task::yield_now().await;
        close.send(()).unwrap();
        closed.recv().unwrap();
        tokio::task::yield_now().await;
        assert_eq!(read(send().await.unwrap()).await.unwrap().to_bytes(), "two");
        close.send(()).unwrap();
        upstream.join().unwrap();
    }
}
