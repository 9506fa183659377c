//! From an address to a page: one Resource, one Suspense.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_location, use_params_map};

use crate::{
    error::ConsoleError,
    pages::{self, Address, Content, Page},
    parts::form,
};

/// A page that asks the server once per address. While it asks again, what it showed stays, dimmed.
pub(crate) fn page(page: Page) -> AnyView {
    let address = own_address(page);
    let answer = Resource::new(move || address.get(), pages::read);
    let asking = RwSignal::new(false);
    let content = move || Suspend::new(async move { show(answer.await) });
    // The server sends pages whole: there nothing is ever pending, and what would say so can outlive the request.
    #[cfg(feature = "ssr")]
    let transition = view! { <Transition>{content}</Transition> };
    #[cfg(not(feature = "ssr"))]
    let transition = view! { <Transition set_pending=asking>{content}</Transition> };
    view! {
        <Title text=page.title()/>
        <div class="page" class:is-asking=asking>{transition}</div>
    }
    .into_any()
}

fn show(answer: Result<Content, ConsoleError>) -> AnyView {
    answer.map_or_else(|error| failure(&error), Content::view)
}

/// The address, as long as it is this page's own: while the next page is being fetched, this one has nothing to ask.
fn own_address(page: Page) -> Memo<Address> {
    let location = use_location();
    // Where no route matched there are no parameters to ask for.
    let params = (page != Page::None).then(use_params_map);
    let id = move || params.and_then(|params| params.get().get("id")).unwrap_or_default();
    let route = |path: &str, id: &str| path.strip_suffix(id).unwrap_or(path).to_owned();
    let own = untrack(|| route(&location.pathname.get(), &id()));
    Memo::new(move |before: Option<&Address>| {
        let (id, query) = (id(), location.search.get());
        let is_own = route(&location.pathname.get(), &id) == own;
        before.filter(|_| !is_own).cloned().unwrap_or(Address { page, id, query })
    })
}

/// A page that says why it is not the one that was asked for.
fn failure(error: &ConsoleError) -> AnyView {
    // A sign-in begins with a page of its own: `external` makes the browser load it.
    let (href, words) = match error {
        ConsoleError::SignIn => ("/login", "Sign in"),
        _ => ("/", "Go to the start"),
    };
    view! {
        <h1>{error.title()}</h1>
        {form::notice(form::Tone::Bad, error.to_string())}
        <p><a class="button" href=href rel="external">{words}</a></p>
    }
    .into_any()
}
