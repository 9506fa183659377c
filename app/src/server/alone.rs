//! Each request by itself: what Leptos knows of one is never seen by another.

use axum::{extract::Request, middleware::Next, response::Response};
use leptos::{prelude::Owner, reactive::computed::ScopedFuture};

/// Runs a request under an owner of its own.
///
/// `leptos_axum` runs a server function under a child of whatever owner its thread has, and rendering a page leaves that page's there: the function
/// would find the other request's contexts beside its own, and lose its own when that request ends.
pub(super) async fn alone(request: Request, next: Next) -> Response {
    let owner = Owner::new_root(None);
    owner.with(|| ScopedFuture::new(next.run(request))).await
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::{Body, to_bytes},
        middleware::from_fn,
        routing::get,
    };
    use leptos::prelude::{provide_context, use_context};
    use tower::ServiceExt;

    use super::*;

    /// What a handler that works as `leptos_axum`'s does finds in its context, on a thread that another request's page was rendered on.
    async fn found(router: Router) -> String {
        let other = Owner::new_root(None);
        other.with(|| provide_context("another request's"));
        let Ok(response) = router.oneshot(Request::new(Body::empty())).await;
        drop(other);
        let body = to_bytes(response.into_body(), 100).await.unwrap_or_default();
        String::from_utf8_lossy(&body).into_owned()
    }

    #[tokio::test]
    async fn a_request_inherits_nothing_from_the_one_that_its_thread_served_before() {
        let handler = async || Owner::new().with(|| use_context::<&'static str>().unwrap_or("nothing"));
        let router = Router::new().route("/", get(handler));
        assert_eq!(found(router.clone()).await, "another request's", "what this guards against");
        assert_eq!(found(router.layer(from_fn(alone))).await, "nothing");
    }
}
