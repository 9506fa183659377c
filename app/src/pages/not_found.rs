//! What stands at an address that has no page.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{error::ConsoleError, parts::page::failure};

/// The page, with the status that says so.
pub(crate) fn page() -> AnyView {
    let error = missing();
    view! {
        <Title text=error.title()/>
        <div class="page">{failure(&error)}</div>
    }
    .into_any()
}

#[cfg(feature = "ssr")]
fn missing() -> ConsoleError {
    crate::server::page_status(http::StatusCode::NOT_FOUND);
    ConsoleError::NotFound
}

#[cfg(not(feature = "ssr"))]
fn missing() -> ConsoleError {
    ConsoleError::NotFound
}
