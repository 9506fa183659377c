use leptos::prelude::*;

use super::{api, view};
use crate::parts::page;

/// `/calls/:id`.
pub(crate) fn page() -> AnyView {
    page::page("Receipt", |address| api::call(address.id), view::receipt)
}
