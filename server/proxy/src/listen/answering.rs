//! The answer to one request, and whether another may follow it.

use chrono::Utc;
use domain::id::CallId;
use http::{HeaderName, HeaderValue, Request, Response, header};
use hyper::body::Incoming;

use super::{framing, places::Seat, stream::Exchange};
use crate::{
    dialect::ErrorShape,
    gateway::{AnswerBody, Gateway},
    reply::Refusal,
};

/// How long an idle connection stays open, so that clients do not send into one that is about to be closed.
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Answers a request, and says whether another may follow it on its connection.
pub(super) async fn answer(
    gateway: &Gateway,
    request: Request<Incoming>,
    seat: Result<Seat, Refusal>,
    exchange: &Exchange,
    keep_alive: Option<HeaderValue>,
) -> Response<AnswerBody> {
    let (head, body) = request.into_parts();
    let odd = exchange.lock().begin_answer(&head);
    let is_last = odd.is_some() || framing::is_last(&head.headers);
    let mut response = match odd {
        Some(refusal) => refused(refusal),
        None => gateway.answer_in(seat, Request::from_parts(head, body)).await,
    };
    // What is left of a refused request's body is read, but nothing after it.
    if is_last || exchange.lock().is_in_body() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    } else if let Some(announced) = keep_alive {
        response.headers_mut().insert(KEEP_ALIVE, announced);
    }
    response
}

fn refused(refusal: Refusal) -> Response<AnswerBody> {
    refusal.into_response(ErrorShape::default(), CallId::new(Utc::now(), rand::random()))
}
