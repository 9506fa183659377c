//! What surrounds every page: the banner of a demonstration, the way around, and the choice of colours.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use crate::visit::{TODAY, Theme, Visit};

/// The banner and the header.
pub(crate) fn header(visit: &Visit) -> AnyView {
    view! {
        <a class="skip" href="#content" rel="external">"Skip to the content"</a>
        {visit.demo.then(demo_banner)}
        <header class="masthead">
            <div class="masthead-row">
                <a class="wordmark" href=visit.home() rel=fresh(visit.home())>"Farebox"</a>
                <nav class="ways" aria-label="Main">{ways(visit)}</nav>
                {person(visit)}
            </div>
        </header>
    }
    .into_any()
}

fn demo_banner() -> AnyView {
    view! {
        <aside class="demo" aria-label="Demo">
            <strong>"Demo. "</strong>
            "The customers, the calls and the money on these pages are made up; the model that answers is a small one inside Farebox."
        </aside>
    }
    .into_any()
}

fn ways(visit: &Visit) -> AnyView {
    const CUSTOMER: [(&str, &str); 4] = [("/usage", "Usage"), ("/calls", "Calls"), ("/keys", "Keys"), ("/billing", "Billing")];
    const OPERATOR: [(&str, &str); 8] = [
        (TODAY, "Today"),
        ("/admin/customers", "Customers"),
        ("/admin/pricing", "Prices"),
        ("/admin/plans", "Plans"),
        ("/admin/payments", "Payments"),
        ("/admin/codes", "Codes"),
        ("/admin/audit", "Audit"),
        ("/admin/proof", "Proof"),
    ];
    let is_customer = visit.person.as_ref().is_some_and(|person| person.account.is_some());
    let is_operator = visit.person.as_ref().is_some_and(|person| person.is_operator);
    let pathname = use_location().pathname;
    let way = move |(href, label): (&'static str, &'static str)| {
        // Every page of an operator's is below the first of them.
        let is_below = move |path: &str| href != TODAY && path.strip_prefix(href).is_some_and(|rest| rest.starts_with('/'));
        let here = move || pathname.with(|path| path == href || is_below(path));
        view! { <li><a href=href rel=fresh(href) aria-current=move || here().then_some("page")>{label}</a></li> }
    };
    let ways: Vec<_> = CUSTOMER
        .into_iter()
        .filter(|_| is_customer)
        .chain(OPERATOR.into_iter().filter(|_| is_operator))
        .chain([("/pricing", "Pricing")])
        .map(way)
        .collect();
    view! { <ul>{ways}</ul> }.into_any()
}

/// A link to the very address that is shown asks the browser to load it again; the router would see nothing to do.
fn fresh(href: &'static str) -> impl Fn() -> Option<&'static str> + Copy + Send + Sync {
    let location = use_location();
    let (pathname, search) = (location.pathname, location.search);
    move || (pathname.with(|path| path == href) && search.with(String::is_empty)).then_some("external")
}

fn person(visit: &Visit) -> AnyView {
    if visit.is_unknown {
        return ().into_any();
    }
    let Some(person) = &visit.person else {
        let sign_up = visit.signup_open.then(|| view! { <a class="button" href="/signup">"Sign up"</a> });
        return view! { <div class="person"><a href="/login">"Sign in"</a>{sign_up}</div> }.into_any();
    };
    let role = person.account.as_ref().map_or_else(|| "Operator".to_owned(), |membership| membership.account_name.clone());
    view! {
        <div class="person">
            <span class="person-name" title=person.email.clone()><bdi>{role}</bdi></span>
            <form method="post" action="/logout"><button class="quiet">"Sign out"</button></form>
        </div>
    }
    .into_any()
}

/// The footer.
pub(crate) fn footer(visit: &Visit) -> AnyView {
    let location = use_location();
    let here = move || (location.pathname.get(), location.search.get());
    let loaded = untrack(here);
    let has_left = Memo::new(move |before: Option<&bool>| before == Some(&true) || here() != loaded);
    let (theme, answers_form) = (visit.theme, visit.answers_form);
    // Choosing loads the page again, which must not cost what only the answer to a form shows. The page after it can be loaded again.
    let choice = move || (!answers_form || has_left.get()).then(|| theme_form(theme));
    view! {
        <footer class="colophon">
            <p>"All times are UTC. Amounts are in US dollars."</p>
            {choice}
        </footer>
    }
    .into_any()
}

fn theme_form(chosen: Theme) -> AnyView {
    let choices = Theme::ALL
        .into_iter()
        .map(|theme| {
            let pressed = if theme == chosen { "true" } else { "false" };
            view! { <button name="theme" value=theme.name() aria-pressed=pressed>{theme.label()}</button> }
        })
        .collect_view();
    view! {
        <form class="theme" method="post" action="/theme" aria-label="Colours"><span aria-hidden="true">"Colours"</span>{choices}</form>
    }
    .into_any()
}
