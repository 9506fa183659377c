use leptos::prelude::*;

use super::{api, view};
use crate::parts::page;

/// `/calls`.
pub(crate) fn page() -> AnyView {
    page::page("Calls", |address| api::calls(address.query), view::calls)
}
