use leptos::prelude::*;

use super::page::Login;
use crate::parts::{
    form::{Field, Tone, hidden, notice},
    layout::head,
};

/// The sign-in form.
pub(crate) fn login(page: Login) -> AnyView {
    let Login { form, next, signed_out, in_the_clear, signup_open, demo } = page;
    let sign_up = signup_open.then(|| view! { <p>"No account yet? "<a href="/signup">"Sign up"</a></p> });
    view! {
        <div class="narrow">
            {head("Sign in", (), ())}
            {signed_out.then(|| notice(Tone::Good, "You are signed out."))}
            {in_the_clear.map(|sentence| notice(Tone::Bad, sentence))}
            <form class="column-form" method="post" action="/login">
                {hidden("next", next)}
                {form.problem_view()}
                {Field::new("email", "email", "E-mail address").required().autocomplete("username").view(&form)}
                {Field::new("password", "password", "Password").required().autocomplete("current-password").view(&form)}
                <button class="primary">"Sign in"</button>
            </form>
            {sign_up}
            {demo_people(demo)}
        </div>
    }
    .into_any()
}

fn demo_people(people: Vec<(String, String, String)>) -> AnyView {
    if people.is_empty() {
        return ().into_any();
    }
    let rows = people
        .into_iter()
        .map(|(who, email, password)| {
            view! { <div><dt>{who}</dt><dd><code>{email}</code><br/><code>{password}</code></dd></div> }
        })
        .collect_view();
    view! {
        <section class="demo-people">
            <h2>"Who can sign in to this demo"</h2>
            <dl class="pairs">{rows}</dl>
        </section>
    }
    .into_any()
}
