//! Pages on their way to the browser, a tenth as long. Proxied calls never come this way, and the console's files are compressed when it is built.
//!
//! What holds a secret goes out as it is: whoever makes a browser ask for it again and again, with guesses of theirs in it, could read the secret from
//! the answers' lengths (BREACH, CVE-2013-3587). The console marks such answers `no-transform`, which also binds whatever stands in front of it.

use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer,
        predicate::{And, DefaultPredicate, Predicate},
    },
};

/// Of brotli and gzip alike: a page is made for one request, so that it is not worth more than a millisecond or two.
const LEVEL: CompressionLevel = CompressionLevel::Precise(4);

/// Decides by an answer's head.
type ByHead = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// The layer around pages and server functions.
pub(super) fn layer() -> CompressionLayer<And<DefaultPredicate, ByHead>> {
    CompressionLayer::new().quality(LEVEL).compress_when(DefaultPredicate::new().and(may_be_transformed as ByHead))
}

/// RFC 9111, section 5.2.2.6.
fn may_be_transformed(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let mut said = headers.get_all(header::CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    !said.any(|value| value.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("no-transform")))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{
        Router,
        body::{Body, Bytes},
        http::{HeaderValue, Request, Response},
        routing::get,
    };
    use futures_util::{StreamExt, stream};
    use tokio::sync::mpsc;
    use tower::{Layer, ServiceExt};
    use tower_http::decompression::DecompressionLayer;

    use super::*;

    fn page(said: &'static str) -> Router {
        Router::new().route("/", get(move || async move { ([(header::CACHE_CONTROL, said)], "a page ".repeat(1_000)) })).layer(layer())
    }

    async fn answer(router: Router, accepted: &str) -> Response<Body> {
        let request = Request::get("/").header(header::ACCEPT_ENCODING, accepted).body(Body::empty()).expect("a request");
        router.oneshot(request).await.unwrap_or_else(|never| match never {})
    }

    #[tokio::test]
    async fn a_page_goes_out_in_what_the_browser_reads() {
        let encoding = async |accepted| answer(page("no-store"), accepted).await.headers().get(header::CONTENT_ENCODING).cloned();
        assert_eq!(encoding("gzip, deflate, br, zstd").await, Some(HeaderValue::from_static("br")));
        assert_eq!(encoding("gzip").await, Some(HeaderValue::from_static("gzip")));
        assert_eq!(encoding("identity").await, None);
    }

    #[tokio::test]
    async fn what_must_not_be_transformed_goes_out_as_it_is() {
        for said in ["no-store, no-transform", "No-Transform"] {
            assert_eq!(answer(page(said), "br, gzip").await.headers().get(header::CONTENT_ENCODING), None, "{said}");
        }
    }

    /// The second half is made only once the first has been read.
    #[tokio::test]
    async fn a_page_that_comes_in_pieces_is_passed_on_piece_by_piece() {
        let (pieces, mut made) = mpsc::channel::<&'static str>(1);
        let body = Body::from_stream(stream::poll_fn(move |context| made.poll_recv(context)).map(Ok::<_, Infallible>));
        let mut response = Response::new(body);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        let compressed = layer().layer(tower::service_fn(move |_: Request<Body>| {
            let response = std::mem::take(&mut response);
            async move { Ok::<_, Infallible>(response) }
        }));
        let browser = DecompressionLayer::new().layer(compressed);
        let read = browser.oneshot(Request::new(Body::empty())).await.unwrap_or_else(|never| match never {});
        assert!(read.headers().get(header::CONTENT_LENGTH).is_none());
        let mut body = Body::new(read.into_body()).into_data_stream();
        for piece in ["<p>first</p>", "<p>second</p>"] {
            pieces.send(piece).await.expect("the page is being read");
            let mut seen = Vec::new();
            while seen.len() < piece.len() {
                seen.extend_from_slice(&body.next().await.expect("there is more").expect("it is whole"));
            }
            assert_eq!(Bytes::from(seen), piece);
        }
    }
}
