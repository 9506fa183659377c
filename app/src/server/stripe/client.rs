//! Calls of Stripe's API: form-encoded, answered in JSON, each that changes something with an idempotency key, so that it can be said again
//! (<https://docs.stripe.com/api/idempotent_requests>).

use std::time::Duration;

use axum::http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{id::AccountId, payment::Payment, text::is_disruptive};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use ledger::{AskedRefund, AutoPayment};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::objects::{ACCOUNT, AUTO, Intent, Intents, PAYMENT, PageOf, Session, Setup};

/// The version of the API that [`super::objects`] is written by.
const VERSION: &str = "2025-08-27.basil";
/// No answer is larger.
const ANSWER_MAX: usize = 1024 * 1024;
/// How often something is said again that got no answer, or one that asks for that; and how long is waited before, which doubles.
const AGAIN: u32 = 2;
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// How long Stripe's page can be paid on: between half an hour and a day (`expires_at`). Counted from the payment's beginning, so that the same request
/// said again is the same.
const OPEN_FOR: TimeDelta = TimeDelta::hours(2);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Stripe refused it: saying it again does not help.
    #[error("Stripe refused it with status {status}: {message}")]
    Refused {
        /// Its status.
        status: u16,
        /// Its own words, which name no secret.
        message: String,
    },
    /// The card was: nobody was there to pay by another.
    #[error("the payment was declined: {why}")]
    Declined {
        /// Why, in Stripe's words, which are meant for whoever pays.
        why: String,
        /// What Stripe calls the payment, if it made one.
        intent: Option<String>,
    },
    /// Stripe could not be reached, or could not answer: it is not known whether it did anything.
    #[error("Stripe did not answer: {0}")]
    Unanswered(String),
}

impl Failure {
    /// Why Stripe does not do what it was asked for, where that is what it says of the request itself. What it says of our secret key (401, 403) is no answer to
    /// the same request said earlier, which it may have done.
    pub(crate) fn verdict(&self) -> Option<&str> {
        match self {
            Self::Refused { status: 400 | 404, message: why } | Self::Declined { why, .. } => Some(why),
            Self::Refused { .. } | Self::Unanswered(_) => None,
        }
    }
}

/// A page for a payment.
pub(crate) struct NewSession<'a> {
    /// What is to be paid.
    pub(crate) payment: &'a Payment,
    /// Whom a receipt goes to.
    pub(crate) email: &'a str,
    /// Where whoever has paid comes back to, and whoever has not.
    pub(crate) back: &'a str,
    pub(crate) cancelled: &'a str,
}

/// Whoever speaks to Stripe.
pub(super) struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, Full<axum::body::Bytes>>,
    base: String,
    authorization: HeaderValue,
    answer_within: Duration,
}

#[derive(Deserialize)]
struct Refusal {
    error: Words,
}

#[derive(Default, Deserialize)]
struct Words {
    #[serde(default)]
    message: String,
    code: Option<String>,
    payment_intent: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// A page on which a card is saved.
pub(crate) struct NewSetup<'a> {
    /// For which account.
    pub(crate) account: AccountId,
    /// The same again, of the same customer, is the same page.
    pub(crate) once: Uuid,
    /// Whom Stripe knows already.
    pub(crate) customer: Option<&'a str>,
    /// Else somebody new, of this address.
    pub(crate) email: &'a str,
    /// Where whoever has saved one comes back to, and whoever has not.
    pub(crate) back: &'a str,
    pub(crate) cancelled: &'a str,
}

impl Client {
    pub(super) fn new(base: String, secret_key: &str, answer_within: Duration) -> Result<Self, String> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {secret_key}"))
            .map_err(|_| "Stripe's secret key has letters that no key has".to_owned())?;
        authorization.set_sensitive(true);
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(answer_within));
        // Whom the machine trusts; where that is nobody, as in a bare container, Mozilla's list.
        let tls = HttpsConnectorBuilder::new().with_native_roots().unwrap_or_else(|_| HttpsConnectorBuilder::new().with_webpki_roots());
        // Only the address of this machine is without TLS, see `Stripe::new`.
        let connector = tls.https_or_http().enable_http1().wrap_connector(http);
        let http = HttpClient::builder(TokioExecutor::new()).retry_canceled_requests(false).build(connector);
        Ok(Self { http, base, authorization, answer_within })
    }

    /// Has a page made for a payment; the same payment has the same page, however often it is asked for.
    pub(super) async fn create_session(&self, new: &NewSession<'_>) -> Result<Session, Failure> {
        let Payment { account, id, minor, currency, made_at, .. } = new.payment;
        let (account, id, minor) = (account.to_string(), id.to_string(), minor.to_string());
        let expires_at = (*made_at + OPEN_FOR).timestamp().to_string();
        let fields = [
            ("mode", "payment"),
            ("client_reference_id", &account),
            ("customer_email", new.email),
            ("success_url", new.back),
            ("cancel_url", new.cancelled),
            ("expires_at", &expires_at),
            ("line_items[0][quantity]", "1"),
            ("line_items[0][price_data][currency]", currency.code()),
            ("line_items[0][price_data][unit_amount]", &minor),
            ("line_items[0][price_data][product_data][name]", "Prepaid credit"),
            // The amount is what stands in our books, in that currency.
            ("adaptive_pricing[enabled]", "false"),
            (&format!("metadata[{ACCOUNT}]"), &account),
            (&format!("metadata[{PAYMENT}]"), &id),
            // Refunds name the payment itself, and carry what stands beside that.
            (&format!("payment_intent_data[metadata][{ACCOUNT}]"), &account),
            (&format!("payment_intent_data[metadata][{PAYMENT}]"), &id),
        ];
        self.post("/v1/checkout/sessions", &fields, &id).await
    }

    /// What has become of a page, with the payment that was made on it.
    pub(super) async fn session(&self, id: &str) -> Result<Session, Failure> {
        self.patiently(Method::GET, &format!("/v1/checkout/sessions/{}?expand[]=payment_intent", segment(id)?), "", None).await
    }

    /// A payment.
    pub(super) async fn intent(&self, id: &str) -> Result<Intent, Failure> {
        self.patiently(Method::GET, &format!("/v1/payment_intents/{}", segment(id)?), "", None).await
    }

    /// Charges a card that was saved, while nobody is there; the same payment is the same charge, however often it is asked for
    /// (<https://docs.stripe.com/payments/save-and-reuse>).
    pub(super) async fn charge(&self, auto: &AutoPayment) -> Result<Intent, Failure> {
        let Payment { account, id, minor, currency, .. } = &auto.payment;
        let (account, id, minor) = (account.to_string(), id.to_string(), minor.to_string());
        let fields = [
            ("amount", minor.as_str()),
            ("currency", currency.code()),
            ("customer", &auto.customer),
            ("payment_method", &auto.method),
            ("confirm", "true"),
            ("off_session", "true"),
            ("description", "Prepaid credit"),
            (&format!("metadata[{ACCOUNT}]"), &account),
            (&format!("metadata[{PAYMENT}]"), &id),
            (&format!("metadata[{AUTO}]"), "yes"),
        ];
        self.post("/v1/payment_intents", &fields, &id).await
    }

    /// What was charged of a customer since then, newest first.
    pub(super) async fn intents_since(&self, customer: &str, since: DateTime<Utc>) -> Result<Intents, Failure> {
        let path = format!("/v1/payment_intents?limit=100&created[gte]={}&customer={}", since.timestamp(), segment(customer)?);
        self.patiently(Method::GET, &path, "", None).await
    }

    /// Has a page made on which a card is saved.
    pub(super) async fn create_setup(&self, new: &NewSetup<'_>) -> Result<Session, Failure> {
        let (account, named) = (new.account.to_string(), format!("metadata[{ACCOUNT}]"));
        let mut fields = vec![
            ("mode", "setup"),
            ("payment_method_types[0]", "card"),
            ("client_reference_id", &account),
            ("success_url", new.back),
            ("cancel_url", new.cancelled),
            (&named, &account),
        ];
        // Other words under the same key are refused.
        let key = match new.customer {
            Some(customer) => {
                fields.push(("customer", customer));
                format!("setup {} of a customer", new.once)
            }
            None => {
                fields.extend([("customer_creation", "always"), ("customer_email", new.email)]);
                format!("setup {}", new.once)
            }
        };
        self.post("/v1/checkout/sessions", &fields, &key).await
    }

    /// What has become of such a page, with the card that was saved on it.
    pub(super) async fn setup(&self, id: &str) -> Result<Setup, Failure> {
        let path = format!("/v1/checkout/sessions/{}?expand[]=setup_intent.payment_method", segment(id)?);
        self.patiently(Method::GET, &path, "", None).await
    }

    /// Asks for a part of a payment, or all of it, to be paid back; the same refund again is the same one (<https://docs.stripe.com/api/refunds/create>).
    pub(super) async fn refund(&self, refund: &AskedRefund) -> Result<IgnoredAny, Failure> {
        let (minor, id) = (refund.minor.to_string(), refund.id.to_string());
        let fields = [("payment_intent", refund.intent.as_str()), ("amount", &minor), ("metadata[farebox_refund]", &id)];
        self.post("/v1/refunds", &fields, &format!("refund {id}")).await
    }

    /// Has a page made on which a customer sees to their cards and receipts (<https://docs.stripe.com/api/customer_portal/sessions/create>).
    pub(super) async fn create_portal(&self, customer: &str, back: &str, once: Uuid) -> Result<PageOf, Failure> {
        self.post("/v1/billing_portal/sessions", &[("customer", customer), ("return_url", back)], &format!("portal {once}")).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, fields: &[(&str, &str)], key: &str) -> Result<T, Failure> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.patiently(Method::POST, path, &body, Some(key)).await
    }

    /// Says it again, in the same words, where there was no answer or one that asks for that.
    async fn patiently<T: DeserializeOwned>(&self, method: Method, path: &str, body: &str, key: Option<&str>) -> Result<T, Failure> {
        let mut wait = AGAIN_AFTER;
        for _ in 0..AGAIN {
            match self.once(method.clone(), path, body, key).await {
                Err(Failure::Unanswered(why)) => tracing::warn!(path, why, "Stripe is asked again"),
                answered => return answered,
            }
            sleep(wait).await;
            wait *= 2;
        }
        self.once(method, path, body, key).await
    }

    async fn once<T: DeserializeOwned>(&self, method: Method, path: &str, body: &str, key: Option<&str>) -> Result<T, Failure> {
        let unanswered = |error: &dyn std::error::Error| Failure::Unanswered(error.to_string());
        let request = self.request(method, path, body, key)?;
        let answering = async {
            let answer = self.http.request(request).await.map_err(|error| unanswered(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
            Ok((status, body.map_err(|error| Failure::Unanswered(error.to_string()))?.to_bytes()))
        };
        let (status, body) = timeout(self.answer_within, answering).await.map_err(|error| unanswered(&error))??;
        match status {
            StatusCode::OK => serde_json::from_slice(&body).map_err(|error| unanswered(&error)),
            // Another request with this key is under way; too many at once; or a fault of theirs.
            StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => Err(Failure::Unanswered(format!("status {status}"))),
            status if status.is_server_error() => Err(Failure::Unanswered(format!("status {status}"))),
            status => {
                let Words { message, code, payment_intent } =
                    serde_json::from_slice(&body).map(|Refusal { error }| error).unwrap_or_default();
                let message: String = message.chars().filter(|letter| !is_disruptive(*letter)).take(300).collect();
                match status {
                    StatusCode::PAYMENT_REQUIRED => {
                        let confirm = "Your bank wants you to confirm the payment yourself.".to_owned();
                        let why = if code.as_deref() == Some("authentication_required") { confirm } else { message };
                        Err(Failure::Declined { why, intent: payment_intent.map(|intent| intent.id) })
                    }
                    _ => Err(Failure::Refused { status: status.as_u16(), message }),
                }
            }
        }
    }

    fn request(&self, method: Method, path: &str, body: &str, key: Option<&str>) -> Result<Request<Full<axum::body::Bytes>>, Failure> {
        let impossible = |error: &dyn std::error::Error| Failure::Refused { status: 0, message: error.to_string() };
        let uri: Uri = format!("{}{path}", self.base).parse().map_err(|error: axum::http::uri::InvalidUri| impossible(&error))?;
        let mut request = Request::new(Full::new(body.to_owned().into()));
        (*request.method_mut(), *request.uri_mut()) = (method, uri);
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        headers.insert("stripe-version", HeaderValue::from_static(VERSION));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(key) = key {
            headers.insert("idempotency-key", HeaderValue::from_str(key).map_err(|error| impossible(&error))?);
        }
        Ok(request)
    }
}

/// When a payment is too old for its page to be asked for: it may not be open for half an hour any more.
pub(super) fn is_stale(made_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - made_at > OPEN_FOR - TimeDelta::minutes(45)
}

/// An id of Stripe's, which is letters, digits and underscores: nothing that would make it another path.
fn segment(id: &str) -> Result<&str, Failure> {
    let is_one = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_one { Ok(id) } else { Err(Failure::Refused { status: 0, message: "this is no id of Stripe's".to_owned() }) }
}
