//! Everything that the proxy answers: which address is what, and each request's id.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use chrono::Utc;
use domain::id::CallId;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Shared, account_api,
    call::client::{BrokenOff, Relayed},
    core::Core,
    cors::{self, Permission},
    dialect::{DIALECTS, Dialect, ErrorShape},
    listen::Seat,
    metered, path,
    reply::{Refusal, text_answer},
    usage_api::{self, Kind},
};

const X_REQUEST_ID: &str = "x-request-id";

/// Answers requests, on one core.
#[derive(Clone)]
pub struct Gateway(Arc<Core>);

/// The body of an answer: the proxy's own, or an upstream's.
pub struct AnswerBody(Content);

enum Content {
    Own(Full<Bytes>),
    Relayed(Relayed),
}

/// What there is.
#[derive(Debug, Clone)]
enum Route {
    /// A call of this API.
    Call(&'static Dialect),
    Told(Told),
}

/// What is told, and is no call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Models,
    /// By its name, as it stands in the address.
    Model(String),
    Generation,
    Credits,
    Key,
    Report(Kind),
    Alive,
    Ready,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        if let Some(dialect) = Dialect::of(path) {
            return Some(Self::Call(dialect));
        }
        Some(Self::Told(match path {
            "/v1/models" => Told::Models,
            "/v1/generation" => Told::Generation,
            "/v1/credits" => Told::Credits,
            "/v1/key" => Told::Key,
            "/v1/organization/usage/completions" => Told::Report(Kind::Usage),
            "/v1/organization/costs" => Told::Report(Kind::Costs),
            "/livez" => Told::Alive,
            "/readyz" => Told::Ready,
            other => Told::Model(other.strip_prefix("/v1/models/").filter(|name| !name.is_empty())?.to_owned()),
        }))
    }

    /// The methods that it answers.
    const fn methods(&self) -> &'static str {
        if matches!(self, Self::Call(_)) { "POST" } else { "GET, HEAD" }
    }

    fn answers(&self, method: &Method) -> bool {
        self.methods().split(", ").any(|known| known == method.as_str())
    }
}

impl Gateway {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Core::new(shared)))
    }

    /// Answers a request. Dropped before it has answered, or with its answer unread, a call that was forwarded goes on to its settlement by itself.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes, Error: fmt::Display> + Unpin,
    {
        self.answer_in(Ok(Seat::default()), request).await
    }

    /// The same, of a request that keeps this for as long as it takes files, or for which there is no place.
    pub(crate) async fn answer_in<B>(&self, seat: Result<Seat, Refusal>, request: Request<B>) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes, Error: fmt::Display> + Unpin,
    {
        // A call's id is the one that its client is told.
        let id = CallId::new(Utc::now(), rand::random());
        let (head, body) = request.into_parts();
        let permission = Permission::of(&head.headers, &self.0.shared.settings.allowed_origins);
        let path = path::canonical(head.uri.path());
        let route = Route::of(&path);
        let shape = error_shape(route.as_ref(), &path, &head.headers);
        let methods = route.as_ref().map(Route::methods);
        let answered = if head.method == Method::OPTIONS {
            // Of an address that does not exist all methods are told, so that a page can read why it is refused.
            cors::preflight(&head, methods.unwrap_or("GET, HEAD, POST"), permission.as_ref())
        } else {
            match seat {
                Ok(seat) => self.dispatch(id, seat, route, head, body).await,
                Err(refusal) => Err(refusal),
            }
        };
        let mut response = match answered {
            Ok(mut response) => {
                tell_id(response.headers_mut(), id, shape);
                response
            }
            Err(refusal) => {
                let allowed = methods.filter(|_| refusal.status == StatusCode::METHOD_NOT_ALLOWED);
                let mut response = refusal.into_response(shape, id);
                response.headers_mut().extend(allowed.map(|methods| (header::ALLOW, HeaderValue::from_static(methods))));
                response
            }
        };
        if let Some(permission) = permission {
            permission.tell(response.headers_mut());
        }
        response
    }

    async fn dispatch<B>(&self, id: CallId, seat: Seat, route: Option<Route>, head: Parts, body: B) -> Result<Response<AnswerBody>, Refusal>
    where
        B: Body<Data = Bytes, Error: fmt::Display> + Unpin,
    {
        let route = route.ok_or_else(|| path::unknown(&head.method, head.uri.path(), &self.0.shared.settings.proxy_url))?;
        if !route.answers(&head.method) {
            return Err(Refusal::wrong_method(&head.method, &path::canonical(head.uri.path()), route.methods()));
        }
        let told = match route {
            Route::Call(dialect) => return metered::call(&self.0, dialect, (id, seat), head.headers, body).await,
            Route::Told(told) => told,
        };
        // What may ask the database runs where its connections are, and where it keeps no call waiting.
        let shared = Arc::clone(&self.0.shared);
        let runtime = shared.runtime.clone();
        // Whoever leaves is not answered.
        let telling = AbortOnDropHandle::new(runtime.spawn(async move { tell(&shared, told, &head).await }));
        telling.await.unwrap_or_else(|_| Err(Refusal::failed()))
    }
}

/// How errors look at an address. Where both APIs' clients ask, and where there is nothing, Anthropic's are known by the version that each of their requests
/// must name (<https://docs.claude.com/en/api/versioning>), and whatever is below the address of a call by that call's API.
fn error_shape(route: Option<&Route>, path: &str, headers: &HeaderMap) -> ErrorShape {
    match route {
        Some(Route::Call(dialect)) => dialect.errors,
        _ if headers.contains_key("anthropic-version") => ErrorShape::Anthropic,
        _ => DIALECTS.into_iter().find(|dialect| is_below(path, dialect.upstream_path)).map(|dialect| dialect.errors).unwrap_or_default(),
    }
}

fn is_below(path: &str, call: &str) -> bool {
    path.strip_prefix("/v1").and_then(|path| path.strip_prefix(call)).is_some_and(|rest| rest.starts_with('/'))
}

/// Says by which id a request is known, where its API's clients look for it.
pub(crate) fn tell_id(headers: &mut HeaderMap, id: CallId, shape: ErrorShape) {
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        if shape == ErrorShape::Anthropic {
            headers.insert("request-id", value.clone());
        }
        headers.insert(X_REQUEST_ID, value);
    }
}

/// Answers what is no call.
async fn tell(shared: &Shared, told: Told, head: &Parts) -> Result<Response<AnswerBody>, Refusal> {
    match told {
        Told::Models => account_api::models(shared, &head.headers).await,
        Told::Model(name) => account_api::model(shared, &name, &head.headers).await,
        Told::Generation => account_api::generation(shared, head.uri.query().unwrap_or_default(), &head.headers).await,
        Told::Credits => account_api::credits(shared, &head.headers).await,
        Told::Key => account_api::key(shared, &head.headers).await,
        Told::Report(kind) => usage_api::report(shared, kind, head.uri.query().unwrap_or_default(), &head.headers).await,
        Told::Alive => Ok(text_answer(StatusCode::OK, "ok")),
        Told::Ready => Ok(match shared.readiness.why_not(shared).await {
            None => text_answer(StatusCode::OK, "ok"),
            Some(why) => text_answer(StatusCode::SERVICE_UNAVAILABLE, why),
        }),
    }
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self(Content::Own(Full::new(bytes)))
    }
}

impl From<Relayed> for AnswerBody {
    fn from(relayed: Relayed) -> Self {
        Self(Content::Relayed(relayed))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut self.0 {
            Content::Own(own) => Pin::new(own).poll_frame(context).map_err(|never| match never {}),
            Content::Relayed(relayed) => Pin::new(relayed).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Own(own) => own.is_end_stream(),
            Content::Relayed(relayed) => relayed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Own(own) => own.size_hint(),
            Content::Relayed(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_offered_is() {
        for (method, path) in path::offered() {
            let route = Route::of(&format!("/v1{}", path.split('?').next().unwrap_or_default()));
            assert!(route.is_some_and(|route| method.parse().is_ok_and(|method| route.answers(&method))), "{method} {path}");
        }
    }

    #[test]
    fn an_address_is_one_thing_or_none() {
        assert!(matches!(Route::of("/v1/models/vendor/large"), Some(Route::Told(Told::Model(name))) if name == "vendor/large"));
        assert!(matches!(Route::of("/v1/models"), Some(Route::Told(Told::Models))));
        for nothing in ["/v1/models/", "/v1/chat", "/v1/chat/completions/", "/", ""] {
            assert!(Route::of(nothing).is_none(), "{nothing}");
        }
        let key = Route::Told(Told::Key);
        assert!(key.answers(&Method::HEAD) && !key.answers(&Method::POST));
        assert!(Route::of("/v1/messages").is_some_and(|call| call.answers(&Method::POST) && !call.answers(&Method::GET)));
    }
}
