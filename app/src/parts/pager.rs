//! Older and newest: pages by key, so that nothing is skipped or shown twice while new rows arrive.

use leptos::prelude::*;

/// Links to the first page (unless this is it) and to the next older one (if there is one).
pub(crate) fn pager(newest: Option<String>, older: Option<String>) -> AnyView {
    if newest.is_none() && older.is_none() {
        return ().into_any();
    }
    view! {
        <nav class="pager" aria-label="Pages">
            {newest.map(|href| view! { <a class="button" href=href>"Newest"</a> })}
            {older.map(|href| view! { <a class="button" href=href rel="next">"Older"</a> })}
        </nav>
    }
    .into_any()
}
