//! A metered request: from its first byte to a running call.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{
    id::{AccountId, CallId},
    service_tier::ServiceTier,
};
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::Body;
use http_body_util::BodyExt;
use ledger::KeyEntry;
use tokio::time::{Instant, timeout};

use crate::{
    Shared,
    admit::{
        attribution,
        auth::WorkingKey,
        body::{Arrived, Gathered, Received},
        catalog::{self, Entry, Price, Snapshot},
        presented::Presented,
        room::Place,
    },
    call::{Call, client::Attended, cost},
    core::Core,
    dialect::{Dialect, request::Request},
    gateway::AnswerBody,
    listen::Seat,
    reply::Refusal,
};

/// Refuses the request, or runs the call until it answers.
pub(crate) async fn call<B>(
    core: &Arc<Core>,
    dialect: &'static Dialect,
    (id, seat): (CallId, Seat),
    headers: HeaderMap,
    mut body: B,
) -> Result<Response<AnswerBody>, Refusal>
where
    B: Body<Data = Bytes, Error: fmt::Display> + Unpin,
{
    let shared = &core.shared;
    let started = Instant::now();
    let at = id.started_at().unwrap_or_else(Utc::now);
    let (key, body) = receive(shared, &headers, &mut body, at).await?;
    // Before anything is held for it. That there is room again shows without calls.
    let Some(lane) = core.lane().filter(|_| shared.poster.is_open()).cloned() else { return Err(Refusal::unavailable()) };
    let (bytes, mut request) = shared.readers.read(key.account_id, dialect, body.gathered).await?;
    let body = Received { bytes, room: body.room };
    let attribution = attribution::of_call(&headers, request.said.clone())?;
    let tells_cost = cost::is_asked_for(&headers)?.unwrap_or(key.tells_cost);
    // A price takes effect on all proxies at once, or on none: one that cannot read the catalog might charge by yesterday's.
    let current = catalog::current(&shared.catalog, &shared.renewed);
    let found = find(&*current.await.ok_or_else(Refusal::unavailable)?, &request.model, &key, at);
    let (entry, own) = found.inspect_err(|_| shared.wanted.ask(&request.model))?;
    if let Some(allowed) = key.models.as_deref().filter(|_| !key.may_call(&request.model)) {
        return Err(Refusal::model_not_allowed(&request.model, allowed));
    }
    request.set_lenient(key.line.excess.is_charged());
    let (price, or_price) = at_its_tier(&entry, own, &mut request, &key, at)?;
    let route = Arc::clone(entry.first_route(&request)?);
    if request.prompt.is_near_the_window(&entry.model) {
        request.prompt.count_apart(&shared.runtime).await;
    }
    if let Some(prompt) = request.prompt.too_long(&entry.model) {
        return Err(Refusal::context_length_exceeded(&request.model, entry.model.context_window, prompt));
    }
    let account = key.account_id;
    let once = shared.repeats.begin(key.key_id, &headers, id)?;
    let call = Box::new(Call {
        id,
        at,
        started,
        lane,
        key,
        entry,
        route,
        probe: None,
        attempts: Vec::new(),
        price,
        or_price,
        request,
        attribution,
        tells_cost,
        once,
        headers,
        _seat: seat,
    });

    let core = Arc::clone(core);
    let attended = Attended::new(&shared.calls, |client| call.run(body, Arc::clone(&core), client));
    let (head, body) = attended.head().await.inspect_err(|refusal| shared.readers.hear(account, refusal))?;
    let mut response = Response::new(body.into());
    (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers);
    Ok(response)
}

/// Who calls, and the whole body.
async fn receive<B>(shared: &Shared, headers: &HeaderMap, body: &mut B, at: DateTime<Utc>) -> Result<(WorkingKey, Arrived), Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let key = shared.keys.authenticate(Presented::by(headers)?, at).await?;
    expect_json(headers)?;
    let body = collect(shared, key.account_id, headers, body).await?;
    // It may have been revoked while the body came.
    let key = shared.keys.authenticate_again(&key, Utc::now()).await?;
    Ok((key, body))
}

/// A model, and what it costs at the default service tier: without that it is not called, whatever else has a price.
fn find(catalog: &Snapshot, model: &str, key: &KeyEntry, at: DateTime<Utc>) -> Result<(Arc<Entry>, Price), Refusal> {
    let entry = catalog.models.get(model).ok_or_else(|| Refusal::model_not_found(model))?;
    let price = entry.price_at((key.account_id, key.discount), ServiceTier::Default, at).ok_or_else(|| Refusal::model_not_priced(model))?;
    Ok((Arc::clone(entry), price))
}

/// The price at the service tier that a request asks for, and the default's if it may be served at that instead.
fn at_its_tier(
    entry: &Entry,
    own: Price,
    request: &mut Request,
    key: &KeyEntry,
    at: DateTime<Utc>,
) -> Result<(Price, Option<Price>), Refusal> {
    let Some(asked) = request.service_tier.other() else { return Ok((own, None)) };
    let price = |tier| entry.price_at((key.account_id, key.discount), tier, at);
    if let Some(price) = price(asked) {
        request.service_tier_is_priced();
        return Ok((price, asked.may_become_the_default().then_some(own)));
    }
    if asked.wants_a_price() && !entry.opens("service_tier") {
        let priced: Vec<_> = ServiceTier::OTHERS
            .into_iter()
            .filter(|tier| tier.can_be_asked_for() && price(*tier).is_some())
            .map(ServiceTier::name)
            .collect();
        return Err(Refusal::service_tier_not_priced(asked, &request.model, &priced));
    }
    Ok((own, None))
}

/// JSON in UTF-8 (RFC 8259 knows no other), not compressed: what is read here must be what the upstream reads.
fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next() == Some("application/json");
    let mut charsets = parts.filter_map(|part| part.strip_prefix("charset=")).map(|charset| charset.trim_matches('"'));
    let is_utf8 = charsets.all(|charset| matches!(charset, "utf-8" | "utf8"));
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        return Err(Refusal::compressed());
    }
    if is_json && is_utf8 { Ok(()) } else { Err(Refusal::wrong_content_type()) }
}

/// The whole body, within the bounds on its size, its time, and on what all bodies take together.
async fn collect<B>(shared: &Shared, account: AccountId, headers: &HeaderMap, body: &mut B) -> Result<Arrived, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let settings = &shared.settings;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|value| value.parse::<usize>().ok());
    if declared.is_some_and(|length| length > settings.body_bytes_max) {
        return Err(Refusal::too_large(settings.body_bytes_max));
    }
    timeout(settings.body_timeout, collect_pieces(shared, account, body)).await.unwrap_or_else(|_| Err(Refusal::too_slow()))
}

async fn collect_pieces<B>(shared: &Shared, account: AccountId, body: &mut B) -> Result<Arrived, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let settings = &shared.settings;
    let mut room: Option<Place> = None;
    let mut gathered = Gathered::default();
    let mut length = 0;
    while let Some(frame) = timeout(settings.client_timeout, body.frame()).await.map_err(|_| Refusal::too_slow())? {
        let Ok(piece) = frame.map_err(|_| Refusal::malformed("it broke off"))?.into_data() else { continue };
        length += piece.len();
        if length > settings.body_bytes_max {
            return Err(Refusal::too_large(settings.body_bytes_max));
        }
        let more = shared.room.take(account, &piece).await.ok_or_else(Refusal::unavailable)?;
        match &mut room {
            Some(room) => room.merge(more),
            None => room = Some(more),
        }
        gathered.push(piece);
    }
    Ok(Arrived { gathered, room })
}
