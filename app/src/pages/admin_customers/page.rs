use leptos::prelude::*;

use super::{api, view};
use crate::parts::page;

/// `/admin/customers`.
pub(crate) fn list() -> AnyView {
    page::page("Customers", |address| api::customers(address.query), view::list)
}

/// `/admin/customers/:id`.
pub(crate) fn one() -> AnyView {
    page::page("Customer", |address| api::one_customer(address.id, address.query), view::one)
}
