use super::page::Login;
use crate::server::{Caller, in_the_clear, is_local, parameter};

/// What the sign-in page shows.
pub(crate) fn login(caller: &Caller, query: &str) -> Login {
    let form = caller.form();
    let next = form.typed("next").map(str::to_owned).or_else(|| parameter(query, "next"));
    let next = next.filter(|next| is_local(next)).unwrap_or_default();
    caller.lead_on(&next);
    let settings = &caller.console.settings;
    let demo = settings.demo.iter().flat_map(|demo| {
        let of = |who: &str, (email, password): &(String, String)| (who.to_owned(), email.clone(), password.clone());
        [of("Customer", &demo.customer), of("Operator", &demo.operator)]
    });
    let in_the_clear = caller.visitor.in_the_clear.as_ref().map(|opened_at| in_the_clear::sentence(opened_at, &settings.console_url));
    Login {
        next,
        signed_out: parameter(query, "signed-out").is_some() && form.problem.is_none(),
        in_the_clear: in_the_clear.filter(|_| form.problem.is_none()),
        signup_open: settings.signup_open,
        demo: demo.collect(),
        form,
    }
}
