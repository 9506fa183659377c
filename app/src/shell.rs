//! The HTML document around the app.

use axum::http::{HeaderValue, header};
use leptos::{nonce::use_nonce, prelude::*};
use leptos_axum::ResponseOptions;
use leptos_meta::MetaTags;

use crate::{
    routes::App,
    server::{Assets, Console, current_visit},
    visit::Theme,
};

/// A receipt, in the accent colour.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='%230b6e5f' d='M3 1h10v14l-2-1.5L9 15l-1-1-1 1-2-1.5L3 15z'/%3E%3Cpath stroke='%23fff' d='M5.5 4.5h5M5.5 7.5h5M8 10.5h2.5'/%3E%3C/svg%3E";

/// The document. Nothing inline runs without this answer's nonce.
pub(crate) fn shell(assets: &Assets) -> impl IntoView + use<> {
    let nonce = use_nonce().map(|nonce| nonce.to_string()).unwrap_or_default();
    if let Some(response) = use_context::<ResponseOptions>() {
        let pays_at = use_context::<Console>().and_then(|console| Some(console.settings.stripe.as_ref()?.origins().join(" ")));
        protect(&response, &nonce, &pays_at.unwrap_or_default());
    }
    let theme = Some(current_visit().theme).filter(|theme| *theme != Theme::System).map(Theme::name);
    let Assets { css, js, wasm } = assets.clone();
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                {css.map(|href| view! { <link rel="stylesheet" href=href/> })}
                {js.zip(wasm).map(|(js, wasm)| hydration(js, wasm, nonce))}
                <link rel="icon" href=ICON/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// Loads the wasm and lets it take over. Leptos' own component would look for the files' names beside the binary; ours are inside it.
fn hydration(js: String, wasm: String, nonce: String) -> AnyView {
    let script =
        format!("import(\"{js}\").then(farebox => farebox.default({{ module_or_path: \"{wasm}\" }}).then(() => farebox.hydrate()));");
    view! {
        <link rel="modulepreload" href=js/>
        <link rel="preload" href=wasm r#as="fetch" r#type="application/wasm" crossorigin="anonymous"/>
        <script type="module" nonce=nonce>{script}</script>
    }
    .into_any()
}

/// A form leads nowhere but to this console, and from there on to where one pays.
fn protect(response: &ResponseOptions, nonce: &str, pays_at: &str) {
    let policy = format!(
        "default-src 'self'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
         object-src 'none'; base-uri 'none'; form-action 'self' {pays_at}; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
}
