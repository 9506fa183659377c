//! A name and what it names, as one line of the page.

use leptos::prelude::*;

use crate::parts::{layout::foreign, table::text};

/// A value in our own words.
pub(super) fn pair(name: impl Into<String>, value: impl Into<String>) -> (String, AnyView) {
    (name.into(), text(value))
}

/// A name that somebody chose.
pub(super) fn named(what: impl Into<String>, name: &str) -> (String, AnyView) {
    (what.into(), foreign(name))
}
