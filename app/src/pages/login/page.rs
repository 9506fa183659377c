use leptos::prelude::*;

use super::{api, view};
use crate::parts::page;

/// `/login`.
pub(crate) fn page() -> AnyView {
    page::page("Sign in", |address| api::login(address.query), view::login)
}
