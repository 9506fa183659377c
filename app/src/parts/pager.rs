//! Older and newest: pages by key, so that nothing is skipped or shown twice while new rows arrive.

use leptos::prelude::*;

/// Links to the first page (unless this is it) and to the next older one (if there is one).
pub(crate) fn pager(newest: Option<String>, older: Option<String>) -> AnyView {
    pages([("Newest", newest), ("Older", older)])
}

/// The same of a list that does not go back in time: links to its first page and to the next one.
pub(crate) fn forward(first: Option<String>, next: Option<String>) -> AnyView {
    pages([("First page", first), ("Next page", next)])
}

fn pages([(back, first), (on, next)]: [(&'static str, Option<String>); 2]) -> AnyView {
    if first.is_none() && next.is_none() {
        return ().into_any();
    }
    view! {
        <nav class="pager" aria-label="Pages">
            {first.map(|href| view! { <a class="button" href=href>{back}</a> })}
            {next.map(|href| view! { <a class="button" href=href rel="next">{on}</a> })}
        </nav>
    }
    .into_any()
}
