//! What the holder of a key may ask about its account: `/v1/models`, `/v1/generation`, `/v1/credits`, `/v1/key`.
//!
//! Amounts are decimal strings in units of the currency; a line's amount is exact, before the one rounding.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    call::{CallDetail, PaidBy, Reckoning},
    credit::{Hardness, Limit, Quantity},
    id::CallId,
    key::masked,
    pricing::{Line, Receipt},
    service_tier::ServiceTier,
    tokens::{Bucket, CallUsage},
};
use http::{HeaderMap, Response, StatusCode};
use ledger::KeyEntry;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    Shared,
    admit::{
        auth::unavailable,
        catalog::{Entry, Price},
        presented::Presented,
    },
    gateway::AnswerBody,
    reply::{self, Refusal, instant},
};

/// `GET /v1/models`: the models that the key can call now, with their prices.
pub(crate) async fn models(shared: &Shared, headers: &HeaderMap) -> Result<Response<AnswerBody>, Refusal> {
    let now = Utc::now();
    let key = shared.keys.authenticate(Presented::by(headers)?, now).await?;
    let catalog = shared.catalog.load();
    let mut entries: Vec<_> = catalog.models.values().filter(|entry| key.may_call(&entry.model.name)).collect();
    entries.sort_by(|a, b| a.model.name.cmp(&b.model.name));
    let data: Vec<_> = entries.into_iter().filter_map(|entry| model_json(shared, entry, &key, now)).collect();
    Ok(ok(&json!({ "object": "list", "data": data })))
}

/// `GET /v1/models/{id}`. A model's name may have slashes in it.
pub(crate) async fn model(shared: &Shared, name: &str, headers: &HeaderMap) -> Result<Response<AnswerBody>, Refusal> {
    let now = Utc::now();
    let key = shared.keys.authenticate(Presented::by(headers)?, now).await?;
    // A name that is no text is the name of no model.
    let name = percent_decode_str(name).decode_utf8().map_err(|_| Refusal::model_not_found("\u{fffd}"))?;
    let catalog = shared.catalog.load();
    let entry = catalog.models.get(&*name).filter(|_| key.may_call(&name)).ok_or_else(|| Refusal::model_not_found(&name))?;
    model_json(shared, entry, &key, now).map(|model| ok(&model)).ok_or_else(|| Refusal::model_not_priced(&name))
}

/// A call that ended a moment ago is posted within this time, unless the database is away.
const POSTED_WITHIN: Duration = Duration::from_secs(1);
/// Looked for again after this, and then after twice as long each time: anybody can make up an id.
const POLLED_FIRST: Duration = Duration::from_millis(50);

/// `GET /v1/generation?id=`: one call's receipt. Of a call that has just ended it waits for the posting.
pub(crate) async fn generation(shared: &Shared, query: &str, headers: &HeaderMap) -> Result<Response<AnswerBody>, Refusal> {
    let key = shared.keys.authenticate(Presented::by(headers)?, Utc::now()).await?;
    let id = query.split('&').find_map(|pair| pair.strip_prefix("id=")).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Refusal::invalid("id", "say which call: ?id= and its x-request-id"))?;
    let id: CallId = id.parse().map_err(|_| Refusal::call_not_found())?;
    let is_recent = id
        .started_at()
        .is_some_and(|started| Utc::now() - started < TimeDelta::from_std(shared.settings.longest_call()).unwrap_or(TimeDelta::MAX));
    let deadline = Instant::now() + if is_recent { POSTED_WITHIN } else { Duration::ZERO };
    let mut pause = POLLED_FIRST;
    let found = loop {
        match shared.meter.generation(key.account_id, id).await {
            Err(ledger::Error::NotFound) if Instant::now() < deadline => {
                sleep(pause).await;
                pause *= 2;
            }
            found => break found,
        }
    };
    match found {
        Ok(call) => Ok(ok(&json!({ "data": generation_json(&call, &shared.settings.currency) }))),
        Err(ledger::Error::NotFound) => Err(Refusal::call_not_found()),
        Err(error) => Err(unavailable(&error)),
    }
}

/// `GET /v1/credits`: the account's balance.
pub(crate) async fn credits(shared: &Shared, headers: &HeaderMap) -> Result<Response<AnswerBody>, Refusal> {
    let now = Utc::now();
    let key = shared.keys.authenticate(Presented::by(headers)?, now).await?;
    let balance = shared.meter.balance(key.account_id, now).await.map_err(|error| unavailable(&error))?;
    let grants: Vec<_> = balance
        .grants
        .iter()
        .map(|grant| {
            let figure = |quantity: Quantity| quantity.figure(grant.unit);
            json!({
                "grant": grant.id, "kind": grant.kind, "unit": grant.unit, "granted": figure(grant.granted), "balance": figure(grant.balance),
                "reserved": figure(grant.leased),
                "models": grant.models, "starts_at": instant(grant.starts_at), "expires_at": grant.expires_at.map(instant),
            })
        })
        .collect();
    Ok(ok(&json!({ "data": {
        "balance": balance.balance, "reserved": balance.reserved, "available": balance.available, "lent": balance.lent,
        "mode": balance.mode, "currency": shared.settings.currency, "grants": grants,
    } })))
}

/// `GET /v1/key`: the key itself, and what it has spent.
pub(crate) async fn key(shared: &Shared, headers: &HeaderMap) -> Result<Response<AnswerBody>, Refusal> {
    let now = Utc::now();
    let key = shared.keys.authenticate(Presented::by(headers)?, now).await?;
    let usage = shared.meter.key_usage(key.account_id, key.key_id, now).await.map_err(|error| unavailable(&error))?;
    let limits = shared.meter.limits(&key, now).await.map_err(|error| unavailable(&error))?;
    let limits: Vec<_> = limits.iter().map(|state| limit_json(&state.limit, now)).collect();
    Ok(ok(&json!({ "data": {
        "name": key.name, "masked": masked(&key.last_four), "project": { "id": key.project_id, "name": key.project_name },
        "usage": { "day": usage.day, "month": usage.month, "ever": usage.ever },
        "limits": limits, "models": key.models, "tells_cost": key.tells_cost, "expires_at": key.expires_at.map(instant),
    } })))
}

fn ok(body: &Value) -> Response<AnswerBody> {
    reply::json_answer(StatusCode::OK, body)
}

/// A limit that counts the key's calls, with what is in its running window.
fn limit_json(limit: &Limit, now: DateTime<Utc>) -> Value {
    let figure = |quantity: Quantity| quantity.figure(limit.pool.unit);
    json!({
        "id": limit.id, "scope": limit.scope.kind(), "window": limit.window, "unit": limit.pool.unit, "hard": limit.hardness == Hardness::Hard,
        "capacity": figure(limit.pool.capacity), "used": figure(limit.pool.used), "reserved": figure(limit.pool.leased),
        "available": figure(limit.pool.room()), "resets_at": limit.resets_at(now).map(instant),
    })
}

/// With what the key's account pays, before its discount; `None` for a model that cannot be called now.
fn model_json(shared: &Shared, entry: &Entry, key: &KeyEntry, now: DateTime<Utc>) -> Option<Value> {
    let at = |tier| entry.price_at((key.account_id, key.discount), tier, now);
    let price = at(ServiceTier::Default)?;
    let priced = |tier| Some((ServiceTier::name(tier).to_owned(), price_json(&at(tier)?)));
    let others: serde_json::Map<_, _> = ServiceTier::OTHERS.into_iter().filter_map(priced).collect();
    let mut pricing = price_json(&price);
    pricing["currency"] = json!(shared.settings.currency);
    pricing["service_tiers"] = others.into();
    Some(json!({
        "id": entry.model.name, "object": "model", "created": price.version.created_at.timestamp(), "owned_by": entry.model.provider,
        "context_window": entry.model.context_window, "pricing": pricing,
    }))
}

fn price_json(Price { version, discount }: &Price) -> Value {
    json!({
        "per_1k": version.rates.base, "per_call": version.rates.per_call, "tiers": version.rates.tiers, "discount_bps": discount.bps(),
        "effective_from": instant(version.effective_from),
    })
}

fn generation_json(call: &CallDetail, currency: &str) -> Value {
    let (row, receipt, said) = (&call.row, &call.receipt, &call.attribution);
    let unit = call.paid_in();
    let share = |paid: &PaidBy| json!({ "grant": paid.grant, "kind": paid.kind, "amount": paid.quantity.figure(unit) });
    let paid_by: Vec<_> = call.paid_by.iter().map(share).collect();
    let corrections: Vec<_> = call
        .corrections
        .iter()
        .map(|correction| {
            json!({
                "posting": correction.posting, "kind": correction.kind, "amount": correction.amount,
                "tokens_paid": correction.tokens_paid, "written_off": correction.written_off,
                "prompt_tokens": correction.late.as_ref().and_then(|late| late.usage.prompt_tokens),
                "completion_tokens": correction.late.as_ref().and_then(|late| late.usage.completion_tokens),
                "late": correction.late.as_ref().map(late_json),
                "reason": correction.memo, "posted_at": instant(correction.posted_at),
            })
        })
        .collect();
    let attempts: Vec<_> = call
        .attempts
        .iter()
        .map(|attempt| {
            json!({
                "provider": attempt.provider, "failure": attempt.failure, "http_status": attempt.http_status, "took_ms": attempt.took_ms,
                "billed": false,
            })
        })
        .collect();
    json!({
        "id": row.id, "model": row.model, "upstream_model": call.upstream_model, "provider": call.provider, "attempts": attempts,
        "stream": row.stream,
        "project": { "id": call.project.id, "name": call.project.name },
        "end_user": said.end_user, "session": said.session, "client": said.client, "tags": said.tags,
        "status": row.outcome.name(), "source": row.source, "started_at": instant(row.started_at), "latency_ms": row.latency_ms,
        "first_byte_ms": row.first_byte_ms,
        "usage": usage_json(&row.usage), "lines": lines_json(receipt), "per_call": receipt.per_call, "discount_bps": receipt.discount, "exact": receipt.exact, "amount": row.amount,
        "written_off": call.written_off, "corrections": corrections, "cost": row.cost(), "currency": currency, "held": call.held,
        "tokens_held": call.tokens_held, "tokens_paid": row.tokens_paid, "tokens_cost": row.tokens_paid.map(|_| call.cost()), "price_version": call.price_id, "paid_in": unit,
        "service_tier": call.service_tier, "asked_tier": call.asked_tier, "price_tier": call.price_tier,
        "paid_by": paid_by,
    })
}

/// What a call came to by a settlement that came late, which is what it is charged by.
fn late_json(late: &Reckoning) -> Value {
    let receipt = &late.receipt;
    json!({
        "source": late.source, "upstream_model": late.upstream_model, "usage": usage_json(&late.usage), "lines": lines_json(receipt),
        "per_call": receipt.per_call, "discount_bps": receipt.discount, "exact": receipt.exact, "amount": late.amount,
        "written_off": late.written_off, "tokens_owed": late.tokens, "price_version": late.price_id, "service_tier": late.service_tier,
        "price_tier": late.price_tier,
    })
}

fn lines_json(receipt: &Receipt) -> Value {
    let line = |line: &Line| json!({ "bucket": line.bucket, "tokens": line.tokens, "per_1k": line.per_1k, "amount": line.amount });
    receipt.lines.iter().map(line).collect()
}

fn usage_json(usage: &CallUsage) -> Value {
    let buckets: serde_json::Map<_, _> =
        Bucket::ALL.into_iter().filter_map(|bucket| Some((json!(bucket).as_str()?.to_owned(), json!(usage.counts.get(bucket)?)))).collect();
    json!({
        "prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens, "total_tokens": usage.total_tokens,
        "buckets": buckets, "flag": usage.flag,
    })
}
