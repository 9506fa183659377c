//! An account that an operator opens for somebody, with a password that is shown once.

use std::fmt;

use domain::id::AccountId;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::parts::{
    copy::copy_button,
    form::{Field, Form, Tone, notice},
    layout::{foreign, head, pairs, quoted, stack},
    table::link,
};

/// Everything on the page of a new customer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NewCustomer {
    /// The form.
    pub(crate) form: Form,
    /// The customer that it opened an account for.
    pub(crate) fresh: Option<FreshCustomer>,
    /// Where they sign in.
    pub(crate) console_url: String,
}

/// A customer whose account was just opened: its password is shown once, on the page that answers its form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FreshCustomer {
    /// The account.
    pub(crate) id: AccountId,
    /// Its name.
    pub(crate) name: String,
    /// The address that its owner signs in with.
    pub(crate) email: String,
    /// And the password.
    pub(crate) password: String,
}

impl fmt::Debug for FreshCustomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshCustomer").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The form, or the account.
pub(crate) fn new(page: NewCustomer) -> AnyView {
    let NewCustomer { form, fresh, console_url } = page;
    let all = link("/admin/customers".to_owned(), "All customers");
    if let Some(fresh) = fresh {
        return opened(fresh, console_url);
    }
    let form = view! {
        <form class="column-form" method="post" action="/admin/customers/new">
            {form.once_field()}
            {form.problem_view()}
            {Field::new("text", "name", "Account name").hint("The company or the team: it heads their pages, and yours.").required().view(&form)}
            {Field::new("email", "email", "E-mail address of its owner").hint("They sign in with it. Farebox sends no mail there.").required().view(&form)}
            <button class="primary">"Open the account"</button>
        </form>
    };
    stack(vec![head("New customer", all, ()), form.into_any()])
}

fn opened(fresh: FreshCustomer, console_url: String) -> AnyView {
    let FreshCustomer { id, name, email, password } = fresh;
    let secret = view! { <div class="secret"><code>{password.clone()}</code>{copy_button(password, "Copy the password")}</div> };
    let sign_in = pairs(
        "pairs prose",
        vec![("Where they sign in".to_owned(), foreign(&format!("{console_url}/login"))), ("E-mail address".to_owned(), foreign(&email))],
    );
    let next = "Its balance is $0.00, so that calls that cost anything are refused: give it credit on its page.";
    stack(vec![
        head(quoted(&name, " has an account"), link(format!("/admin/customers/{id}"), "Its page"), ()),
        notice(Tone::Good, "Copy the password now: it is shown only this once. Hand it over by a way that only its owner reads."),
        secret.into_any(),
        sign_in,
        notice(Tone::Plain, next),
    ])
}
