use leptos::prelude::*;

use super::{api, view};
use crate::parts::page;

/// `/admin/pricing`; with `?model=`, one model's prices.
pub(crate) fn page() -> AnyView {
    page::page("Prices", |address| api::prices(address.query), view::prices)
}
