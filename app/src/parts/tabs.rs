//! A choice made by following a link: it lives in the address, needs no script, and Back undoes it.

use leptos::prelude::*;

/// One choice.
pub(crate) struct Tab {
    /// Its name.
    pub(crate) label: String,
    /// Where it leads.
    pub(crate) href: String,
    /// Whether it is the one in force.
    pub(crate) current: bool,
}

/// A row of choices under one name. Choosing leaves the page where it is: what changes is what the reader is looking at.
pub(crate) fn tabs(label: &'static str, tabs: Vec<Tab>) -> AnyView {
    let links = tabs.into_iter().map(|Tab { label, href, current }| {
        view! { <li><a href=href data-noscroll="" aria-current=current.then_some("true")>{label}</a></li> }.into_any()
    });
    row(label, links.collect())
}

/// The same between pages that belong together: what is chosen is read from its top.
pub(crate) fn ways(label: &'static str, tabs: Vec<Tab>) -> AnyView {
    let links = tabs
        .into_iter()
        .map(|Tab { label, href, current }| view! { <li><a href=href aria-current=current.then_some("page")>{label}</a></li> }.into_any());
    row(label, links.collect())
}

fn row(label: &'static str, links: Vec<AnyView>) -> AnyView {
    view! {
        <nav class="tabs" aria-label=label>
            <span class="tabs-label" aria-hidden="true">{label}</span>
            <ul>{links}</ul>
        </nav>
    }
    .into_any()
}

/// An address with this query, without a lone `?`.
pub(crate) fn address(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}
