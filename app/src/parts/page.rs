//! From an address to a page: one Resource, one Suspense.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_location, use_params_map};
use serde::{Serialize, de::DeserializeOwned};

use crate::{error::ConsoleError, parts::form};

/// What an address says to its page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Address {
    /// The `:id` in its path.
    pub(crate) id: String,
    /// Its query string.
    pub(crate) query: String,
}

/// A page that asks the server once per address. While it asks again, what it showed stays, dimmed.
pub(crate) fn page<T, Answer>(title: &'static str, ask: fn(Address) -> Answer, show: fn(T) -> AnyView) -> AnyView
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    Answer: Future<Output = Result<T, ConsoleError>> + Send + 'static,
{
    let address = own_address();
    let answer = Resource::new(move || address.get(), ask);
    let asking = RwSignal::new(false);
    view! {
        <Title text=title/>
        <div class="page" class:is-asking=asking>
            <Transition set_pending=asking>
                {move || Suspend::new(async move {
                    match answer.await {
                        Ok(data) => show(data),
                        Err(error) => failure(&error),
                    }
                })}
            </Transition>
        </div>
    }
    .into_any()
}

/// The address, as long as it is this page's own: while the next page is being fetched, this one has nothing to ask.
fn own_address() -> Memo<Address> {
    let location = use_location();
    let params = use_params_map();
    let route = |path: &str, id: &str| path.strip_suffix(id).unwrap_or(path).to_owned();
    let id = params.get_untracked().get("id").unwrap_or_default();
    let own = route(&location.pathname.get_untracked(), &id);
    Memo::new(move |before: Option<&Address>| {
        let id = params.get().get("id").unwrap_or_default();
        let query = location.search.get();
        if route(&location.pathname.get(), &id) == own { Address { id, query } } else { before.cloned().unwrap_or_default() }
    })
}

/// A page that says why it is not the one that was asked for.
pub(crate) fn failure(error: &ConsoleError) -> AnyView {
    // A sign-in begins with a page of its own: `external` makes the browser load it.
    let way_out = match error {
        ConsoleError::SignIn => view! { <a class="button" href="/login" rel="external">"Sign in"</a> }.into_any(),
        _ => view! { <a class="button" href="/" rel="external">"Go to the start"</a> }.into_any(),
    };
    view! {
        <h1>{error.title()}</h1>
        {form::notice(form::Tone::Bad, error.to_string())}
        <p>{way_out}</p>
    }
    .into_any()
}
