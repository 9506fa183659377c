//! From a visitor to what they may reach: a scope of the ledger, or the reason why not.

use axum::response::{IntoResponse, Response};
use domain::{
    account::{Customer, Role},
    id::UserId,
};
use http::{StatusCode, header, request::Parts};
use ledger::{AccountMember, AccountOwner, AccountReader, Ledger, Operator};
use leptos::prelude::*;
use leptos_axum::ResponseOptions;
use leptos_router::location::RequestUrl;
use uuid::Uuid;

use super::{
    Console, Stripe, Visitor,
    submission::{FormAnswer, about, see_other, sentence, sign_in_address},
};
use crate::{
    error::ConsoleError,
    parts::{
        form::Form,
        whose::{Named, Whose},
    },
};

/// Whoever asks for something, with the console that they ask.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) console: Console,
    pub(crate) visitor: Visitor,
}

/// An account that the visitor may see, and what else they may do there.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The right to see it.
    pub(crate) reader: AccountReader,
    /// Whether it is their own.
    pub(crate) whose: Whose,
    /// What they may do in it; nothing, for an operator who looks.
    pub(crate) role: Option<Role>,
}

impl Seen {
    /// Whether they may make, limit and revoke its keys.
    pub(crate) fn manages_keys(&self) -> bool {
        self.role.is_some_and(|role| role >= Role::Member)
    }
}

impl Caller {
    /// The caller of the page or server function that is running. Fails when the page only says why a form failed.
    pub(crate) fn here() -> Result<Self, ConsoleError> {
        if let Some(failure) = FormAnswer::here().and_then(|answer| answer.failure) {
            return Err(failure);
        }
        let parts = use_context::<Parts>();
        if let Some(outage) = parts.as_ref().and_then(|parts| parts.extensions.get::<ConsoleError>()) {
            return Err(outage.clone());
        }
        let visitor = parts.and_then(|parts| parts.extensions.get::<Visitor>().cloned());
        let (Some(console), Some(visitor)) = (use_context::<Console>(), visitor) else {
            tracing::error!("a page was rendered outside of the console's router");
            return Err(ConsoleError::Unavailable);
        };
        Ok(Self { console, visitor })
    }

    /// Who is signed in.
    pub(crate) fn user(&self) -> Result<UserId, ConsoleError> {
        self.visitor.visit.person.as_ref().map(|person| person.id).ok_or(ConsoleError::SignIn)
    }

    /// The e-mail address that the books name as the one who did it.
    pub(crate) fn actor(&self) -> Result<&str, ConsoleError> {
        self.visitor.visit.person.as_ref().map(|person| person.email.as_str()).ok_or(ConsoleError::SignIn)
    }

    /// The ledger, for whoever calls from where they do: the audit log says so.
    fn ledger(&self) -> Ledger {
        self.console.ledger.reached_from(self.visitor.address)
    }

    /// Who takes payments, if anybody does.
    pub(crate) fn stripe(&self) -> Option<&Stripe> {
        self.console.settings.stripe.as_ref()
    }

    /// The right to see an account: the caller's own; where one is named by its id, an operator's right to look at that one, which is noted in the audit log.
    pub(crate) async fn seen(&self, account: &str) -> Result<Seen, ConsoleError> {
        if account.is_empty() {
            let reader = self.ledger().reader(self.user()?).await.map_err(no_account)?;
            return Ok(Seen { reader, whose: Whose::Own, role: self.visitor.visit.role() });
        }
        let operator = self.operator().await?;
        let id = account.parse().map_err(|_| ConsoleError::NotFound)?;
        let reader = operator.view(id).await?;
        let Customer { id, name, owner_email, .. } = operator.customer(id, self.visitor.now).await?;
        Ok(Seen { reader, whose: Whose::Customer(Named { id, name, owner_email }), role: None })
    }

    /// The right to manage its keys.
    pub(crate) async fn member(&self) -> Result<AccountMember, ConsoleError> {
        self.ledger().member(self.user()?).await.map_err(no_account)
    }

    /// The right to move its money.
    pub(crate) async fn owner(&self) -> Result<AccountOwner, ConsoleError> {
        self.ledger().owner(self.user()?).await.map_err(no_account)
    }

    /// The right to run the gateway.
    pub(crate) async fn operator(&self) -> Result<Operator, ConsoleError> {
        self.ledger().operator(self.user()?).await.map_err(|error| match error {
            ledger::Error::Forbidden => ConsoleError::Forbidden("This page belongs to those who run this gateway.".to_owned()),
            other => other.into(),
        })
    }

    /// The form of the page: as it was posted, or a new one.
    pub(crate) fn form(&self) -> Form {
        FormAnswer::here().map(|answer| answer.form).unwrap_or_else(|| Form { once: self.new_id().to_string(), ..Form::default() })
    }

    /// Whoever is signed in already has no use for a page that signs in: they are led to where they wanted to go, or home. A form that
    /// they sent is answered.
    pub(crate) fn lead_on(&self, wanted: &str) {
        let visit = &self.visitor.visit;
        if visit.person.is_some() && !visit.answers_form {
            page_redirect(if wanted.is_empty() { visit.home() } else { wanted });
        }
    }

    /// A UUIDv7 of this request's instant.
    pub(crate) fn new_id(&self) -> Uuid {
        domain::id::CallId::new(self.visitor.now, rand::random()).uuid()
    }
}

fn no_account(error: ledger::Error) -> ConsoleError {
    match error {
        ledger::Error::NotFound => ConsoleError::Forbidden("This page belongs to customers, and you act for none.".to_owned()),
        other => other.into(),
    }
}

/// Nothing of the database's own words leaves the server.
impl From<ledger::Error> for ConsoleError {
    fn from(error: ledger::Error) -> Self {
        match error {
            ledger::Error::NotFound => Self::NotFound,
            ledger::Error::Forbidden => {
                Self::Forbidden("Your role does not allow this. Ask an owner of the account, or an operator.".to_owned())
            }
            ledger::Error::BadCredentials
            | ledger::Error::EmailTaken
            | ledger::Error::PriceTooSoon
            | ledger::Error::PriceNotAgreed
            | ledger::Error::InsufficientCredit { .. }
            | ledger::Error::Exhausted(_) => Self::Invalid(sentence(&error.to_string())),
            ledger::Error::Invalid { field, problem } => Self::Invalid(about(field, &problem)),
            ledger::Error::Taken(_) | ledger::Error::IdempotencyConflict | ledger::Error::PriceMoved => {
                Self::Conflict(sentence(&error.to_string()))
            }
            ledger::Error::Unavailable(_)
            | ledger::Error::ReadOnly
            | ledger::Error::Outdated
            | ledger::Error::EpochOver
            | ledger::Error::Corrupt(_) => {
                tracing::error!(%error, "the ledger failed");
                Self::Unavailable
            }
        }
    }
}

/// Why a file cannot be had. Whoever must sign in is led there.
impl IntoResponse for ConsoleError {
    fn into_response(self) -> Response {
        if self == Self::SignIn {
            return see_other("/login");
        }
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, format!("{self}\n")).into_response()
    }
}

/// The last step of every server function: the status that goes with its answer. A page that needs a sign-in leads there and back.
pub(crate) fn answer<T>(answer: Result<T, ConsoleError>) -> Result<T, ConsoleError> {
    if let (Err(error), Some(response)) = (&answer, use_context::<ResponseOptions>()) {
        response.set_status(StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        if let (ConsoleError::SignIn, true, Some(parts)) = (error, is_page(), use_context::<Parts>()) {
            redirect(&response, &sign_in_address(parts.uri.path_and_query().map_or("/", |here| here.as_str())));
        }
    }
    answer
}

/// Gives the page that is being rendered another status. A server function's answer keeps its own: to the browser's half, 4xx is an error.
pub(crate) fn page_status(status: StatusCode) {
    if let (true, Some(response)) = (is_page(), use_context::<ResponseOptions>()) {
        response.set_status(status);
    }
}

/// Has the answer that is being made neither kept nor compressed on its way to the browser: it may hold a secret, whose letters could be guessed by
/// how long the compressed answer is (BREACH).
pub(crate) fn keep_as_it_is() {
    if let Some(response) = use_context::<ResponseOptions>() {
        response.insert_header(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store, no-transform"));
    }
}

/// Leads to another page instead of rendering this one. `false` when no page is being rendered.
pub(crate) fn page_redirect(to: &str) -> bool {
    match (is_page(), use_context::<ResponseOptions>()) {
        (true, Some(response)) => {
            redirect(&response, to);
            true
        }
        _ => false,
    }
}

fn redirect(response: &ResponseOptions, to: &str) {
    if let Ok(location) = header::HeaderValue::from_str(to) {
        response.insert_header(header::LOCATION, location);
        response.set_status(StatusCode::SEE_OTHER);
    }
}

fn is_page() -> bool {
    use_context::<RequestUrl>().is_some()
}
