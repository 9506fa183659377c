//! From a request to its visitor. This is the one place that takes the session apart.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{account::Person, id::UserId};
use serde::{Deserialize, Serialize};
use tower_sessions::Session;

use super::{Console, Submission, device, in_the_clear, see_other};
use crate::{
    error::ConsoleError,
    visit::{Theme, Visit},
};

/// The entry of a session that says who signed in.
const SIGNED_IN: &str = "signed_in";
/// However busy, a session ends after this.
const LIFETIME: TimeDelta = TimeDelta::days(30);
/// A session's idle time is counted from its last save; this often is exact enough.
const TOUCH_EVERY: TimeDelta = TimeDelta::hours(1);

const THEME_COOKIE: &str = "theme";
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What a session holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// Who.
    user: UserId,
    /// Since when.
    since: DateTime<Utc>,
    /// When the session was last saved.
    seen: DateTime<Utc>,
}

impl SignedIn {
    /// Who a session's data belongs to, for a store that ends sessions by user.
    #[must_use]
    pub fn user_of(data: &HashMap<String, serde_json::Value>) -> Option<UserId> {
        data.get(SIGNED_IN).and_then(|value| Self::deserialize(value).ok()).map(|signed_in| signed_in.user)
    }
}

/// A request's visitor, with what only the server knows of them.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// What their pages show of them.
    pub(crate) visit: Visit,
    /// When the request came: the one clock reading that everything in it uses.
    pub(crate) now: DateTime<Utc>,
    /// Where it came from.
    pub(crate) address: IpAddr,
    /// Where they have opened the console, if their browser keeps no session there.
    pub(crate) in_the_clear: Option<String>,
    /// The cookies of its browser, for those that tell of earlier sign-ins.
    cookies: Vec<HeaderValue>,
    session: Session,
}

impl Visitor {
    /// Signs somebody in: a new session id, so that one known before is worth nothing.
    pub(crate) async fn sign_in(&self, user: UserId) -> Result<(), ConsoleError> {
        let signed_in = SignedIn { user, since: self.now, seen: self.now };
        self.session.cycle_id().await.map_err(unavailable)?;
        self.session.insert(SIGNED_IN, signed_in).await.map_err(unavailable)
    }

    /// The id of its browser, if somebody has signed in there by this address.
    pub(crate) fn device(&self, console: &Console, email: &str) -> Option<&str> {
        let token = cookie(&self.cookies, &device::name(email, console.settings.is_https()))?;
        console.settings.device_secret.known(token, email, self.now)
    }

    /// The same answer, by which the browser is known to this address from now on.
    pub(crate) fn remember_device(&self, console: &Console, email: &str, mut answer: Response) -> Response {
        let known = self.device(console, email);
        let cookie = console.settings.device_secret.cookie(email, known, self.now, console.settings.is_https());
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
        answer
    }

    /// Ends the session.
    pub(crate) async fn sign_out(&self) -> Result<(), ConsoleError> {
        self.session.flush().await.map_err(unavailable)
    }
}

fn unavailable(error: tower_sessions::session::Error) -> ConsoleError {
    tracing::error!(%error, "the session store failed");
    ConsoleError::Unavailable
}

/// Finds out who is calling before any page does.
pub(super) async fn identify(State(console): State<Console>, session: Session, mut request: Request, next: Next) -> Response {
    let now = Utc::now();
    let person = person(&console, &session, now).await.unwrap_or_else(|error| {
        // The page that was asked for then says so itself.
        request.extensions_mut().insert(error);
        None
    });
    let visit = Visit {
        person,
        is_unknown: request.extensions().get::<ConsoleError>().is_some(),
        theme: theme(request.headers()),
        demo: console.settings.demo.is_some(),
        signup_open: console.settings.signup_open,
        answers_form: request.method() == Method::POST,
    };
    let address = address(&request, &console.settings.trusted_proxies);
    let cookies = request.headers().get_all(header::COOKIE).into_iter().cloned().collect();
    let in_the_clear = in_the_clear::opened_at(request.headers(), &console.settings.console_url);
    request.extensions_mut().insert(Visitor { visit, now, address, in_the_clear, cookies, session });
    let mut response = next.run(request).await;
    // What a page shows belongs to one person and one moment: going back must not bring up an old balance or a form that was already sent.
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(header::HeaderValue::from_static("no-store"));
    response
}

async fn person(console: &Console, session: &Session, now: DateTime<Utc>) -> Result<Option<Person>, ConsoleError> {
    let Some(signed_in) = session.get::<SignedIn>(SIGNED_IN).await.map_err(unavailable)? else { return Ok(None) };
    let person = match console.ledger.person(signed_in.user).await {
        Ok(person) if now < signed_in.since + LIFETIME => person,
        Ok(_) | Err(ledger::Error::NotFound) => {
            session.flush().await.map_err(unavailable)?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    if now >= signed_in.seen + TOUCH_EVERY {
        session.insert(SIGNED_IN, SignedIn { seen: now, ..signed_in }).await.map_err(unavailable)?;
    }
    Ok(Some(person))
}

fn theme(headers: &HeaderMap) -> Theme {
    cookie(headers.get_all(header::COOKIE), THEME_COOKIE).map(Theme::named).unwrap_or_default()
}

fn cookie<'a>(lines: impl IntoIterator<Item = &'a HeaderValue>, wanted: &str) -> Option<&'a str> {
    let cookies = lines.into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// Where a request came from.
fn address(request: &Request, trusted: &[IpAddr]) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let lines = request.headers().get_all(FORWARDED_FOR).into_iter().map(HeaderValue::as_bytes);
    domain::address::client(peer, trusted, lines)
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        #[expect(clippy::expect_used, reason = "`identify` wraps every route; without it nothing would be safe to serve")]
        let visitor = parts.extensions.get::<Self>().cloned().expect("the visitor was identified");
        Ok(visitor)
    }
}

/// Keeps a choice of colours, and leads back to where it was made.
pub(super) async fn choose_theme(submission: Submission) -> Response {
    let theme = Theme::named(submission.text("theme"));
    let secure = if submission.console.settings.is_https() { "; Secure" } else { "" };
    let cookie = format!("{THEME_COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax{secure}", theme.name());
    ([(header::SET_COOKIE, cookie)], see_other(&submission.came_from())).into_response()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_visitor_is_known_by_the_connection_and_what_a_trusted_proxy_says() {
        let mut request =
            Request::builder().header(FORWARDED_FOR, "203.0.113.9").header(FORWARDED_FOR, "198.51.100.1").body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 1))));
        assert_eq!(address(&request, &[]).to_string(), "10.0.0.1");
        assert_eq!(address(&request, &["10.0.0.1".parse().unwrap()]).to_string(), "198.51.100.1");
    }

    #[test]
    fn the_theme_is_read_from_among_other_cookies() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "id=x; theme=dark; other=light".parse().unwrap());
        assert_eq!(theme(&headers), Theme::Dark);
        assert_eq!(theme(&HeaderMap::new()), Theme::System);
    }
}
