//! From an address to a page: one Resource, one Suspense.

use codee::binary::PostcardCodec;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_location, use_params_map};

use crate::{
    error::ConsoleError,
    pages::{self, Address, Page},
    parts::{again, form, tabs, travel::Travel},
};

/// A page that asks the server once per address. While it asks again, what it showed stays, dimmed.
pub(crate) fn page(page: Page) -> AnyView {
    let address = own_address(page);
    let answer = Resource::from(ArcResource::<_, PostcardCodec>::new_with_options(move || address.get(), pages::read, false));
    again::provide(move || answer.refetch());
    let asking = RwSignal::new(false);
    // Counted, not in the page's arena: on the server it is read after the thread may have turned to another request's.
    let title = ArcRwSignal::new(page.title().to_owned());
    let its_title = title.clone();
    let (location, travel) = (use_location(), use_context::<Travel>());
    let content = move || {
        let here = tabs::address(&location.pathname.get_untracked(), &location.search.get_untracked());
        let title = title.clone();
        Suspend::new(async move {
            let answer = answer.await;
            arrive(travel, here.clone());
            // A failure has a name of its own.
            title.set(answer.as_ref().map_or_else(|error| error.title().to_owned(), |answer| answer.title(page)));
            answer.map_or_else(|error| failure(&error, page, here), |answer| answer.view(page))
        })
    };
    // The server sends pages whole: there nothing is ever pending, and what would say so can outlive the request.
    #[cfg(feature = "ssr")]
    let transition = view! { <Transition>{content}</Transition> };
    #[cfg(not(feature = "ssr"))]
    let transition = view! { <Transition set_pending=asking>{content}</Transition> };
    view! {
        <Title text=move || its_title.get()/>
        <div class="page" class:is-asking=asking aria-busy=move || asking.get().then_some("true")>{transition}</div>
    }
    .into_any()
}

/// On the server nobody has come from anywhere.
fn arrive(travel: Option<Travel>, address: String) {
    if let Some(travel) = travel.filter(|_| cfg!(not(feature = "ssr"))) {
        travel.arrive(address);
    }
}

/// The address, as long as it is this page's own: while the next page is being fetched, this one has nothing to ask.
fn own_address(page: Page) -> Memo<Address> {
    let location = use_location();
    // Where no route matched there are no parameters to ask for.
    let params = (page != Page::None).then(use_params_map);
    let parameter = move |name| params.and_then(|params| params.get().get(name)).unwrap_or_default();
    // What is left of the path without them.
    let route =
        move |account: &str, id: &str| location.pathname.with(|path| path.strip_suffix(id).unwrap_or(path).replacen(account, "", 1));
    let own = untrack(|| route(&parameter("account"), &parameter("id")));
    Memo::new(move |before: Option<&Address>| {
        let (account, id, query) = (parameter("account"), parameter("id"), location.search.get());
        let is_own = route(&account, &id) == own;
        before.filter(|_| !is_own).cloned().unwrap_or(Address { page, account, id, query })
    })
}

/// A page that says why it is not the one that was asked for.
fn failure(error: &ConsoleError, page: Page, here: String) -> AnyView {
    // `external` makes the browser load the address. One that needs a sign-in then leads there and back; one that did not answer may now.
    let (href, words) = match error {
        ConsoleError::SignIn => (here, "Sign in"),
        // What has no page took a form only.
        ConsoleError::Unavailable | ConsoleError::Unreachable if page != Page::None => (here, "Try again"),
        _ => ("/".to_owned(), "Go to the start"),
    };
    view! {
        <h1>{error.title()}</h1>
        {form::notice(form::Tone::Bad, error.to_string())}
        <p><a class="button" href=href rel="external">{words}</a></p>
    }
    .into_any()
}
