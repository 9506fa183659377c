//! Asking once before something that cannot be undone.

use leptos::prelude::*;

/// A button that opens a question over the page: a form that names its object. Escape and a press beside it close it, opening another one does too, and
/// none of it takes a script. `id` is its own on the page, `name` says aloud what the button's `label` is about.
pub(crate) fn confirm(id: String, label: &'static str, name: String, form: AnyView) -> AnyView {
    view! {
        <button type="button" class="asks" popovertarget=id.clone() aria-label=name.clone()>{label}</button>
        <div id=id class="confirm" popover="auto" role="dialog" aria-label=name>{form}</div>
    }
    .into_any()
}
