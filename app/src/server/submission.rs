//! A form on its way in, and the three ways out: on to the next page, back to its own page with what is wrong, or to why nothing was done.

use std::{collections::BTreeMap, sync::Once};

use axum::{
    Form as Body,
    body::Body as HttpBody,
    extract::{FromRequest, Request},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use domain::money::{Amount, AmountError};
use leptos::prelude::use_context;
use uuid::Uuid;

use super::{Caller, Console, Visitor, in_the_clear, throttle::TooMany};
use crate::{
    error::ConsoleError,
    pages::{
        admin_codes::FreshCodes,
        admin_customers::{FreshCustomer, page::Review},
        admin_price_list::page::ListReview,
        keys::FreshKey,
    },
    parts::form::{Form, ONCE, Problem},
};

/// What is said of a form when nobody can tell whether it has acted: the answer to a commit can be lost. Every form of the console may be sent again:
/// it has an id that makes it act once, or does what can be done only once.
const UNCERTAIN: &str = "It is not known whether this was done. Send the same form again: it acts only once.";

/// What a page that answers a POST shows besides itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct FormAnswer {
    /// Its form, as it came back.
    pub(crate) form: Form,
    /// A key that was just made.
    pub(crate) fresh_key: Option<FreshKey>,
    /// Codes that were just made.
    pub(crate) fresh_codes: Option<FreshCodes>,
    /// A customer whose account was just opened.
    pub(crate) fresh_customer: Option<FreshCustomer>,
    /// What a price list that came with it comes to.
    pub(crate) list_review: Option<ListReview>,
    /// Why nothing was done.
    pub(crate) failure: Option<ConsoleError>,
    /// What is to be confirmed before it is done.
    pub(crate) review: Option<Review>,
}

impl FormAnswer {
    /// What is answered to the form that this request has brought. It travels with the request itself, since it may hold a key.
    pub(crate) fn here() -> Option<Self> {
        use_context::<Parts>().and_then(|parts| parts.extensions.get().cloned())
    }
}

/// A posted form, its sender, and the page it came from.
pub(crate) struct Submission {
    pub(crate) console: Console,
    pub(crate) visitor: Visitor,
    fields: BTreeMap<String, String>,
    parts: Parts,
}

/// Why a form did nothing.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Something in it is wrong; the page comes back with it.
    Form(StatusCode, Problem),
    /// Nothing is wrong, or only what is typed to confirm it: it is shown whole, and done when it is confirmed.
    Ask(Review, Option<Problem>),
    /// Too many tries.
    TooMany(TimeDelta),
    /// It could not be done at all.
    Failure(ConsoleError),
}

impl Refusal {
    /// Signing in, where the browser would keep no session. The operator reads of it once: it is the same of everybody who comes by that way.
    pub(crate) fn in_the_clear(opened_at: &str, console_url: &str) -> Self {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            tracing::warn!(
                opened_at,
                console_url,
                "somebody opened the console without TLS, where they cannot sign in since --console-url is https: open it at that address, or set another"
            );
        });
        Self::Form(StatusCode::FORBIDDEN, Problem::new("", in_the_clear::sentence(opened_at, console_url)))
    }

    /// A field is wrong.
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Form(StatusCode::UNPROCESSABLE_ENTITY, Problem::new(field, message))
    }
}

impl From<ConsoleError> for Refusal {
    fn from(error: ConsoleError) -> Self {
        Self::Failure(error)
    }
}

impl From<TooMany> for Refusal {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many.retry_after)
    }
}

impl From<ledger::Error> for Refusal {
    fn from(error: ledger::Error) -> Self {
        match error {
            ledger::Error::Invalid { field, problem } => Self::field(field, sentence(&problem)),
            ledger::Error::IdempotencyConflict => Self::Form(
                StatusCode::CONFLICT,
                Problem::new(
                    "",
                    "This form was already sent with other contents, and that was done. Look at the page before you send it again.",
                ),
            ),
            other => Self::Failure(other.into()),
        }
    }
}

/// The ledger's problems are written to follow a field's name; on a page they stand alone.
pub(crate) fn sentence(problem: &str) -> String {
    let mut letters = problem.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

/// The same with the name of what it is about, for where no field stands beside it.
pub(crate) fn about(field: &str, problem: &str) -> String {
    format!("{}: {}", sentence(field).trim_end_matches('.'), sentence(problem))
}

/// A form without what its page puts into it.
pub(crate) fn incomplete() -> Refusal {
    ConsoleError::Invalid("The form is incomplete. Load the page again and send it from there.".to_owned()).into()
}

impl Submission {
    /// One whose fields were read elsewhere.
    pub(super) fn of(console: &Console, visitor: &Visitor, fields: BTreeMap<String, String>, parts: Parts) -> Self {
        Self { console: console.clone(), visitor: visitor.clone(), fields, parts }
    }

    /// Whoever signs in stays so: not where their browser keeps no session.
    pub(crate) fn expect_that_a_session_lasts(&self) -> Result<(), Refusal> {
        match &self.visitor.in_the_clear {
            Some(opened_at) => Err(Refusal::in_the_clear(opened_at, &self.console.settings.console_url)),
            None => Ok(()),
        }
    }

    /// The form as it was typed, to be sent again.
    pub(crate) fn form(&self) -> Form {
        returned(&self.fields, self.text(ONCE).to_owned(), None)
    }

    /// A field's text without the space around it; empty when there is no such field.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.raw(field).trim()
    }

    /// A field exactly as typed: passwords may begin with a space.
    pub(crate) fn raw(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    /// A field's amount of money, or of money per 1,000 tokens.
    pub(crate) fn amount(&self, field: &'static str) -> Result<Amount, Refusal> {
        self.text(field).parse().map_err(|error: AmountError| Refusal::field(field, sentence(&format!("this {error}"))))
    }

    /// A field's text, or `None` where the form has no such field.
    pub(crate) fn field(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(|text| text.trim())
    }

    /// Its page with the form as it came: it asks for the next step, and nothing is wrong with it.
    pub(crate) async fn go_on(self) -> Response {
        let form = self.form();
        self.render(StatusCode::OK, FormAnswer { form, ..FormAnswer::default() }).await
    }

    /// The id that makes this form act once.
    pub(crate) fn once(&self) -> Result<Uuid, Refusal> {
        self.text(ONCE).parse().map_err(|_| incomplete())
    }

    /// Who sent it.
    pub(crate) fn caller(&self) -> Caller {
        Caller { console: self.console.clone(), visitor: self.visitor.clone() }
    }

    /// The path and query of the page that it was sent from, which `Referrer-Policy: same-origin` tells us.
    pub(crate) fn came_from(&self) -> String {
        let referer = self.parts.headers.get(header::REFERER).and_then(|value| value.to_str().ok());
        let path =
            referer.and_then(|address| address.parse::<http::Uri>().ok()).and_then(|uri| uri.path_and_query().map(ToString::to_string));
        path.filter(|path| is_local(path)).unwrap_or_else(|| "/".to_owned())
    }

    /// The answer of a form: where it leads, or the page again.
    pub(crate) async fn answer(self, outcome: Result<Response, Refusal>) -> Response {
        match outcome {
            Ok(response) => response,
            Err(Refusal::Form(status, problem)) => self.refuse(status, problem).await,
            Err(Refusal::Ask(review, problem)) => {
                let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
                let form = returned(&self.fields, self.text(ONCE).to_owned(), problem);
                self.render(status, FormAnswer { form, review: Some(review), ..FormAnswer::default() }).await
            }
            Err(Refusal::TooMany(wait)) => self.slow_down(wait).await,
            Err(Refusal::Failure(ConsoleError::SignIn)) => {
                let here = self.came_from();
                see_other(&sign_in_address(&here))
            }
            Err(Refusal::Failure(ConsoleError::Unavailable)) => self.uncertain().await,
            Err(Refusal::Failure(error)) => {
                let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                self.render(status, FormAnswer { failure: Some(error), ..FormAnswer::default() }).await
            }
        }
    }

    async fn refuse(self, status: StatusCode, problem: Problem) -> Response {
        // A form that was already used for something else needs a new id; one that did nothing keeps its own.
        let once = if status == StatusCode::CONFLICT { self.caller().new_id().to_string() } else { self.text(ONCE).to_owned() };
        let form = returned(&self.fields, once, Some(problem));
        self.render(status, FormAnswer { form, ..FormAnswer::default() }).await
    }

    /// The form again, whole, to be sent again. Where its page cannot be read either, the browser still has it.
    async fn uncertain(self) -> Response {
        let form = returned(&self.fields, self.text(ONCE).to_owned(), Some(Problem::new("", UNCERTAIN)));
        let mut page = self.page(FormAnswer { form, ..FormAnswer::default() }).await;
        if page.status().is_success() {
            *page.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        } else if !page.status().is_redirection() {
            return (StatusCode::SERVICE_UNAVAILABLE, format!("{UNCERTAIN} Loading this page again does so.\n")).into_response();
        }
        page
    }

    async fn slow_down(self, wait: TimeDelta) -> Response {
        let seconds = wait.num_seconds().max(1);
        let minutes = (seconds + 59) / 60;
        let message = format!("Too many attempts. Try again in {minutes} minute{}.", if minutes == 1 { "" } else { "s" });
        let mut response = self.refuse(StatusCode::TOO_MANY_REQUESTS, Problem::new("", message)).await;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        response
    }

    /// Its own page, in answer to it.
    pub(crate) async fn render(self, status: StatusCode, answer: FormAnswer) -> Response {
        let mut response = self.page(answer).await;
        // A redirect to the sign-in stays one.
        if !response.status().is_redirection() {
            *response.status_mut() = status;
        }
        response
    }

    async fn page(self, answer: FormAnswer) -> Response {
        let mut request = Request::from_parts(self.parts, HttpBody::empty());
        request.extensions_mut().insert(answer);
        self.console.render(request).await
    }
}

/// A form as it comes back: what was typed stays typed, but for secrets.
fn returned(fields: &BTreeMap<String, String>, once: String, problem: Option<Problem>) -> Form {
    let has_a_place = |problem: &Problem| problem.field.is_empty() || fields.contains_key(&problem.field);
    let problem =
        problem.map(|problem| if has_a_place(&problem) { problem } else { Problem::new("", about(&problem.field, &problem.message)) });
    let typed = fields.iter().filter(|(name, _)| !name.contains("password")).map(|(name, text)| (name.clone(), text.clone())).collect();
    Form { once, typed, problem }
}

impl FromRequest<Console> for Submission {
    type Rejection = Response;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Response> {
        if let Some(outage) = request.extensions().get::<ConsoleError>() {
            return Err((StatusCode::SERVICE_UNAVAILABLE, format!("{outage}\n")).into_response());
        }
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), body);
        let Body(fields) = Body::<BTreeMap<String, String>>::from_request(request, console).await.map_err(IntoResponse::into_response)?;
        let Some(visitor) = parts.extensions.get::<Visitor>().cloned() else {
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        Ok(Self { console: console.clone(), visitor, fields, parts })
    }
}

/// On to another page, by GET.
pub(crate) fn see_other(to: &str) -> Response {
    axum::response::Redirect::to(to).into_response()
}

/// The sign-in page that leads back here.
pub(crate) fn sign_in_address(here: &str) -> String {
    if here == "/" { "/login".to_owned() } else { format!("/login?next={}", encode(here)) }
}

/// Whether an address stays on this console: browsers read `//host` and `/\host` as another machine.
pub(crate) fn is_local(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("//") && !path.contains('\\') && !path.chars().any(char::is_control)
}

fn encode(text: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes().map(|byte| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_comes_back_as_it_was_typed_but_for_its_secrets() {
        let fields = [("amount", "1"), ("password", "secret"), (ONCE, "7")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        let form = returned(&fields.into(), "7".to_owned(), Some(Problem::new("", UNCERTAIN)));
        assert_eq!((form.once.as_str(), form.typed("amount"), form.typed("password")), ("7", Some("1"), None));
        assert_eq!(form.problem_at(""), Some(UNCERTAIN));
    }

    #[test]
    fn a_problem_without_a_field_of_its_own_is_said_of_the_whole_form() {
        let form = returned(&BTreeMap::new(), String::new(), Some(Problem::new("text", "Contains a character that cannot be stored.")));
        assert_eq!(form.problem_at(""), Some("Text: Contains a character that cannot be stored."));
    }

    #[test]
    fn a_sign_in_leads_back_but_never_away() {
        assert_eq!(sign_in_address("/calls?model=a b"), "/login?next=/calls%3Fmodel%3Da%20b");
        for away in ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\nb"] {
            assert!(!is_local(away), "{away}");
        }
        assert!(is_local("/usage?range=7d"));
    }
}
