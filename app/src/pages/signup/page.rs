use leptos::prelude::*;

use super::{api, view};
use crate::parts::page;

/// `/signup`.
pub(crate) fn page() -> AnyView {
    page::page("Sign up", |_| api::signup(), view::signup)
}
