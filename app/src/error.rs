//! The one error that crosses the wire. It says what a person can do; what went wrong inside is logged on the server and stays there.

use leptos::server_fn::{
    codec::PostcardEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};

/// Why the console cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ConsoleError {
    /// Nobody is signed in, or the session has ended.
    #[error("Sign in to see this page.")]
    SignIn,
    /// Somebody is signed in, who may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing, or it belongs to somebody else: the two are told apart by nobody.
    #[error("There is nothing at this address.")]
    NotFound,
    /// What was asked makes no sense as it stands.
    #[error("{0}")]
    Invalid(String),
    /// It contradicts what was done before.
    #[error("{0}")]
    Conflict(String),
    /// Farebox cannot answer now; the database may be away.
    #[error("Farebox cannot answer right now. Nothing was changed. Try again in a moment.")]
    Unavailable,
    /// The browser could not reach Farebox, or the two are of different versions.
    #[error("The answer did not arrive. Check the connection and load the page again.")]
    Unreachable,
}

impl ConsoleError {
    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::SignIn => 401,
            Self::Forbidden(_) => 403,
            Self::NotFound => 404,
            Self::Invalid(_) => 400,
            Self::Conflict(_) => 409,
            Self::Unavailable | Self::Unreachable => 503,
        }
    }

    /// Its name as the heading of a page.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::SignIn => "Signed out",
            Self::Forbidden(_) => "Not allowed",
            Self::NotFound => "Not found",
            Self::Invalid(_) => "That cannot be done",
            Self::Conflict(_) => "Already done",
            Self::Unavailable => "Not available right now",
            Self::Unreachable => "No answer",
        }
    }
}

impl ConsoleError {
    /// A request that is none of ours. It reached no server function that could have given the answer its status.
    fn malformed() -> Self {
        let error = Self::Invalid("The request does not say what it should. Load the page again.".to_owned());
        #[cfg(feature = "ssr")]
        let _: Result<(), Self> = crate::server::answer(Err(error.clone()));
        error
    }
}

impl FromServerFnError for ConsoleError {
    type Encoder = PostcardEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) => Self::malformed(),
            // On the server it is the question that cannot be read, in the browser the answer.
            ServerFnErrorErr::Deserialization(_) if cfg!(feature = "ssr") => Self::malformed(),
            ServerFnErrorErr::Request(_) | ServerFnErrorErr::Deserialization(_) | ServerFnErrorErr::Response(_) => Self::Unreachable,
            _ => Self::Unavailable,
        }
    }
}
