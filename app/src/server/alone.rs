//! Each server function by itself: what Leptos knows of one request is never found by another.

use axum::{extract::Request, middleware::Next, response::Response};
use leptos::{prelude::Owner, reactive::computed::ScopedFuture};

use super::is_api;

/// Runs a server function under an owner of its own. A page makes one by itself.
///
/// `leptos_axum` runs a server function under a child of whatever owner its thread has, and rendering a page leaves that page's there: the function
/// would find the other request's contexts beside its own.
pub(super) async fn alone(request: Request, next: Next) -> Response {
    if !is_api(&request) {
        return next.run(request).await;
    }
    // `Owner::new_root` would also become the owner of whatever this thread has in hand.
    let owner = Owner::default();
    owner.with(|| ScopedFuture::new(next.run(request))).await
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use axum::{
        Router,
        body::{Body, to_bytes},
        middleware::from_fn,
        routing::get,
    };
    use leptos::prelude::{provide_context, use_context};
    use tower::ServiceExt;

    use super::*;
    use crate::{
        server::{Assets, route_list},
        shell::shell,
    };

    async fn answer(router: Router, path: &str) -> String {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let Ok(response) = router.oneshot(request).await;
        let body = to_bytes(response.into_body(), 100_000).await.unwrap_or_default();
        String::from_utf8_lossy(&body).into_owned()
    }

    /// What a handler that works as `leptos_axum`'s does finds in its context, on a thread that another request's page was rendered on.
    async fn found(router: Router) -> String {
        let other = Owner::new_root(None);
        other.with(|| provide_context("another request's"));
        answer(router, "/api/page").await
    }

    #[tokio::test]
    async fn a_request_inherits_nothing_from_the_one_that_its_thread_served_before() {
        let handler = async || Owner::new().with(|| use_context::<&'static str>().unwrap_or("nothing"));
        let router = Router::new().route("/api/page", get(handler));
        assert_eq!(found(router.clone()).await, "another request's", "what this guards against");
        assert_eq!(found(router.layer(from_fn(alone))).await, "nothing");
    }
    #[tokio::test]
    async fn a_page_is_whole_whatever_its_thread_does_between_its_steps() {
        let _ = route_list(); // listing routes is what readies Leptos' executor
        let page = get(leptos_axum::render_app_async(|| shell(&Assets::default())));
        // An owner brings its arena along; at each step the thread is made to have another one than the page's.
        let elsewhere = from_fn(async |request: Request, next: Next| {
            let owner = Owner::default();
            owner.with(|| ScopedFuture::new(next.run(request))).await
        });
        // Without a console behind it, it can only say that there is none.
        let page = answer(Router::new().route("/", page).layer(elsewhere), "/").await;
        assert!(page.contains("<title>Not available right now · Farebox</title>"), "{page}");
    }
}
