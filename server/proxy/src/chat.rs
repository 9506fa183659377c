//! `POST /v1/chat/completions`: from a request to a running call.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use domain::id::CallId;
use http::{HeaderMap, Request, header};
use http_body_util::BodyExt;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use crate::{
    Shared,
    call::{Call, Head},
    catalog::{Entry, Snapshot, Target},
    dialect::openai_chat::request::ChatRequest,
    reply::Refusal,
};

/// Refuses the request, or starts the call and answers with what it relays.
pub(crate) async fn completions(
    State(shared): State<Arc<Shared>>,
    Extension(id): Extension<CallId>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let started = Instant::now();
    let at = id.started_at().unwrap_or_else(Utc::now);
    let (head, body) = request.into_parts();
    let key = shared.keys.authenticate(&head.headers, at).await?;
    expect_json(&head.headers)?;
    let body = collect(&shared, &head.headers, body).await?;
    let text = std::str::from_utf8(&body).map_err(|error| Refusal::malformed(&format!("it is not UTF-8: {error}")))?;
    let request = ChatRequest::parse(text)?;
    let (entry, target, price) = find(&shared.catalog.load(), &request.model, at)?;
    let call = Call { id, at, started, key, entry, target, price, request, headers: head.headers, body };

    let (reply, answered) = oneshot::channel();
    shared.calls.spawn(call.run(Arc::clone(&shared), reply));
    let Head { status, headers, body } = answered.await.unwrap_or_else(|_| Err(Refusal::unavailable()))?;
    Ok((status, headers, Body::new(body)).into_response())
}

type Found = (Arc<Entry>, Arc<Target>, Arc<domain::catalog::PriceVersion>);

fn find(catalog: &Snapshot, model: &str, at: DateTime<Utc>) -> Result<Found, Refusal> {
    let entry = catalog.models.get(model).ok_or_else(|| Refusal::model_not_found(model))?;
    let price = entry.price_at(at).ok_or_else(|| Refusal::model_not_priced(model))?;
    let target = entry.target.as_ref().ok_or_else(|| Refusal::bad_gateway("The address of the model's upstream cannot be used."))?;
    Ok((Arc::clone(entry), Arc::clone(target), Arc::clone(price)))
}

fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|value| value.split(';').next());
    let is_json = essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
    // A compressed body would have to be unpacked to be read.
    if is_json && !headers.contains_key(header::CONTENT_ENCODING) { Ok(()) } else { Err(Refusal::wrong_content_type()) }
}

/// The whole body, within the bounds on its size and its time.
async fn collect(shared: &Shared, headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let settings = &shared.settings;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|value| value.parse::<usize>().ok());
    if declared.is_some_and(|length| length > settings.body_bytes_max) {
        return Err(Refusal::too_large(settings.body_bytes_max));
    }
    timeout(settings.body_timeout, collect_pieces(body, settings.body_bytes_max, settings.client_timeout))
        .await
        .unwrap_or_else(|_| Err(Refusal::too_slow()))
}

async fn collect_pieces(mut body: Body, bytes_max: usize, piece_timeout: Duration) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = timeout(piece_timeout, body.frame()).await.map_err(|_| Refusal::too_slow())? {
        let Ok(piece) = frame.map_err(|_| Refusal::malformed("it broke off"))?.into_data() else { continue };
        if first.len() + rest.len() + piece.len() > bytes_max {
            return Err(Refusal::too_large(bytes_max));
        }
        if first.is_empty() {
            first = piece; // most bodies are one piece, and need no copy
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
                first.clear();
                first = Bytes::new();
            }
            rest.extend_from_slice(&piece);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
