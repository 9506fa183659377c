//! The console: what customers and operators see.
//!
//! The server renders every page whole, so that it is readable and usable without a script; in the browser the same code then takes over.
//! `routes` lists the pages. A page is three files: `page.rs` (address to request), `api.rs` (request to data, behind a scope) and `view.rs`
//! (data to HTML); where it has a form, `post.rs` answers it. Only `server` and `api` and `post` exist without a browser.

#![recursion_limit = "256"]

#[cfg(all(feature = "ssr", feature = "hydrate"))]
compile_error!("`ssr` and `hydrate` exclude each other: build the server with one and the wasm with the other");

pub mod error;
mod pages;
mod parts;
pub mod routes;
#[cfg(feature = "ssr")]
pub mod server;
#[cfg(feature = "ssr")]
mod shell;
pub mod visit;

/// Takes over the page that the server rendered.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(routes::App);
}
