use leptos::prelude::*;

use super::{api, view};
use crate::parts::page;

/// `/keys`.
pub(crate) fn list() -> AnyView {
    page::page("Keys", |address| api::keys(address.query), view::list)
}

/// `/keys/new`: the form, and in answer to it the key.
///
/// The key has a page of its own because it is shown once: the answer to the POST itself carries it. A redirect would have to put the secret
/// into an address or keep it on the server until it is fetched.
pub(crate) fn new() -> AnyView {
    page::page("New key", |_| api::new_key(), view::new)
}
