use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

use crate::{error::ConsoleError, parts::form::Form};

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoginPage {
    /// The form.
    pub(crate) form: Form,
    /// Where it leads: a path of this console, or empty.
    pub(crate) next: String,
    /// Whether somebody just signed out.
    pub(crate) signed_out: bool,
    /// Whether strangers may open an account.
    pub(crate) signup_open: bool,
    /// Who can sign in to a demonstration: what they are, their address and their password.
    pub(crate) demo: Vec<(String, String, String)>,
}

/// What the sign-in page shows.
#[server(prefix = "/api", endpoint = "login", input = Json)]
pub(crate) async fn login(query: String) -> Result<LoginPage, ConsoleError> {
    use crate::server::{Caller, answer, is_local, parameter};

    answer(
        async {
            let caller = Caller::here()?;
            let form = caller.form();
            let asked = form.typed("next").map(str::to_owned).or_else(|| parameter(&query, "next"));
            let settings = &caller.console.settings;
            let demo = settings.demo.iter().flat_map(|demo| {
                let of = |who: &str, (email, password): &(String, String)| (who.to_owned(), email.clone(), password.clone());
                [of("Customer", &demo.customer), of("Operator", &demo.operator)]
            });
            Ok(LoginPage {
                next: asked.filter(|next| is_local(next)).unwrap_or_default(),
                signed_out: parameter(&query, "signed-out").is_some() && form.problem.is_none(),
                signup_open: settings.signup_open,
                demo: demo.collect(),
                form,
            })
        }
        .await,
    )
}
