use leptos::prelude::*;

use super::{api, view};
use crate::parts::page;

/// `/billing`.
pub(crate) fn page() -> AnyView {
    page::page("Billing", |address| api::billing(address.query), view::billing)
}
