use axum::{http::StatusCode, response::Response};
use domain::service_tier::ServiceTier;
use ledger::Reprice;

use super::{
    address,
    api::{Asked, INSTANT},
    fields::{DONE, FROM, MODEL, NOTE, PRICE, REVIEW, SERVICE_TIER, TO},
};
use crate::{
    error::ConsoleError,
    server::{Refusal, Submission, incomplete, see_other},
};

/// `POST /admin/pricing/reprice`: posts what was looked at before. The same again finds nothing left that would go back.
pub(crate) async fn post(submission: Submission) -> Response {
    let outcome = try_post(&submission).await;
    submission.answer(outcome).await
}

async fn try_post(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let operator = caller.operator().await?;
    let model = submission.text(MODEL);
    let tier = submission.field(SERVICE_TIER).map_or(Some(ServiceTier::Default), ServiceTier::named).ok_or_else(incomplete)?;
    let history = operator.price_history(model, tier).await.map_err(ConsoleError::from)?;
    let asked = Asked::read(|field| submission.text(field).to_owned(), &history, submission.visitor.now);
    let Asked { from, to, price, note } = asked.map_err(|problem| Refusal::Form(StatusCode::UNPROCESSABLE_ENTITY, problem))?;
    operator.reprice(Reprice { model, from, to, price, note: &note, actor: caller.actor()? }).await?;
    let (from, to, price) = (from.format(INSTANT).to_string(), to.format(INSTANT).to_string(), price.to_string());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([(FROM, from.as_str()), (TO, &to), (PRICE, &price), (NOTE, &note), (REVIEW, "yes"), (DONE, "yes")]);
    Ok(see_other(&format!("{}&{}", address((model, tier)), query.finish())))
}
