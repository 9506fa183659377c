//! `POST /webhooks/stripe`: what Stripe tells. It is told again, for days, until the answer says that it is in the books.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use chrono::Utc;
use ledger::Ledger;

use super::{Stripe, objects::Event, signature, taking::NotTaken};

/// The route. No session, no page and no form of ours has to do with it: its sender is known by what it signed.
pub fn router(ledger: Ledger, stripe: Stripe) -> Router {
    Router::new().route("/webhooks/stripe", post(receive)).with_state((ledger, stripe))
}

async fn receive(State((ledger, stripe)): State<(Ledger, Stripe)>, headers: HeaderMap, body: Bytes) -> (StatusCode, &'static str) {
    let signed = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Err(error) = signature::verify(signed, &body, &stripe.0.webhook_secrets, Utc::now()) {
        tracing::warn!(%error, "a message to Stripe's webhook is not believed");
        return (StatusCode::BAD_REQUEST, "this is not signed by Stripe\n");
    }
    let event: Event<'_> = match serde_json::from_slice(&body) {
        Ok(event) => event,
        Err(error) => {
            tracing::error!(%error, "a message of Stripe's cannot be read");
            return (StatusCode::BAD_REQUEST, "this is no event\n");
        }
    };
    match stripe.take(&ledger, &event).await {
        Ok(()) => (StatusCode::OK, "taken\n"),
        Err(error) => {
            match error {
                NotTaken::Unreadable(_) => {
                    tracing::error!(event = event.id, kind = event.kind, %error, "a message of Stripe's is not taken")
                }
                _ => tracing::warn!(event = event.id, kind = event.kind, %error, "a message of Stripe's is not taken yet"),
            }
            (StatusCode::SERVICE_UNAVAILABLE, "not taken yet: tell it again\n")
        }
    }
}
