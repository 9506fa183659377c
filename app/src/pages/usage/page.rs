use leptos::prelude::*;

use super::{api, view};
use crate::parts::page;

/// `/usage`.
pub(crate) fn page() -> AnyView {
    page::page("Usage", |address| api::usage(address.query), view::usage)
}
