//! A button that copies. It needs a script, so it appears only where one runs; the text beside it can always be selected.

use leptos::{prelude::*, task::spawn_local};
use wasm_bindgen_futures::JsFuture;

/// Copies `text`, and says aloud whether it did.
pub(crate) fn copy_button(text: String, label: &'static str) -> AnyView {
    let (works, said) = (RwSignal::new(false), RwSignal::new(""));
    // Effects run in the browser only, after hydration: both sides first agree that there is no button. Browsers have no clipboard on a page
    // that came over plain HTTP from another machine.
    Effect::new(move || works.set(window().is_secure_context()));
    let copy = move |_| {
        // Saying the same again is heard only after a pause.
        said.set("");
        let promise = window().navigator().clipboard().write_text(&text);
        spawn_local(async move {
            let copied = JsFuture::from(promise).await.is_ok();
            said.set(if copied { "Copied" } else { "Not copied: select it and copy it by hand" });
        });
    };
    view! {
        <span class="copy">
            <span role="status">{move || said.get()}</span>
            <button type="button" class="quiet" hidden=move || !works.get() on:click=copy>{label}</button>
        </span>
    }
    .into_any()
}
