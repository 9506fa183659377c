//! A button that copies. It needs a script, so it appears only where one runs; the text beside it can always be selected.

use leptos::{prelude::*, task::spawn_local};
use wasm_bindgen_futures::JsFuture;

/// Copies `text`, and says that it did.
pub(crate) fn copy_button(text: String, label: &'static str) -> AnyView {
    let (works, copied) = (RwSignal::new(false), RwSignal::new(false));
    // Effects run in the browser only, after hydration: both sides first agree that there is no button. Browsers have no clipboard on a page
    // that came over plain HTTP from another machine.
    Effect::new(move || works.set(window().is_secure_context()));
    let copy = move |_| {
        let promise = window().navigator().clipboard().write_text(&text);
        spawn_local(async move { copied.set(JsFuture::from(promise).await.is_ok()) });
    };
    view! { <button type="button" class="quiet" hidden=move || !works.get() on:click=copy>{move || if copied.get() { "Copied" } else { label }}</button> }
        .into_any()
}
