use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

use crate::{error::ConsoleError, parts::form::Form};

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SignupPage {
    /// The form.
    pub(crate) form: Form,
    /// Whether strangers may open an account.
    pub(crate) open: bool,
}

/// What the sign-up page shows.
#[server(prefix = "/api", endpoint = "signup", input = Json)]
pub(crate) async fn signup() -> Result<SignupPage, ConsoleError> {
    use crate::server::{Caller, answer};

    answer(Caller::here().map(|caller| SignupPage { form: caller.form(), open: caller.console.settings.signup_open }))
}
