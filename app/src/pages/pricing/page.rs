use leptos::prelude::*;

use super::{api, view};
use crate::parts::page;

/// `/pricing`.
pub(crate) fn page() -> AnyView {
    page::page("Pricing", |address| api::pricing(address.query), view::pricing)
}
