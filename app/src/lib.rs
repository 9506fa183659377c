//! The console: what customers and operators see.
//!
//! The server renders every page whole, so that it is readable and usable without a script; in the browser the same code then takes over.
//! `routes` lists the pages and `pages` holds them. What reads data or answers a form (`server`, each `api` and `post`) exists on the server
//! only; everything else is pure views of data, the same on both sides.

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
