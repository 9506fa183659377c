use leptos::prelude::*;

use super::page::Signup;
use crate::parts::{
    form::{Field, Form, Tone, notice},
    layout::head,
};

/// The sign-up form.
pub(crate) fn signup(page: &Signup) -> AnyView {
    let Signup { form, open } = page;
    let body =
        if *open { sign_up_form(form) } else { notice(Tone::Plain, "This gateway opens accounts itself. Ask its operator for one.") };
    view! {
        <div class="narrow">
            {head("Sign up", (), ())}
            {body}
            <p>"You have an account? "<a href="/login">"Sign in"</a></p>
        </div>
    }
    .into_any()
}

fn sign_up_form(form: &Form) -> AnyView {
    view! {
        <form class="column-form" method="post" action="/signup">
            {form.problem_view()}
            {Field::new("email", "email", "E-mail address").required().autocomplete("username").view(form)}
            {Field::new("password", "password", "Password").hint("8 to 256 characters.").required().autocomplete("new-password").view(form)}
            {Field::new("text", "name", "Account name").hint("Your company or team; without one, your address.").autocomplete("organization").view(form)}
            <button class="primary">"Open an account"</button>
        </form>
    }
    .into_any()
}
