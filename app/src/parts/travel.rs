//! Going from page to page as a browser does it by itself: the page that is left stays until the next one is there, the focus goes along, and Back
//! leads to where on the page one was.
//!
//! The router changes the address and the page by script. Left alone, a browser would scroll back before there is anything to scroll to: so the place
//! is kept in the history's entry, and gone to once the page's content is in. Everything here happens in the browser only.

use leptos::{ev, leptos_dom::helpers::window_event_listener, prelude::*, wasm_bindgen::JsCast, web_sys};
use leptos_router::hooks::use_location;

use crate::parts::tabs;

/// How many frames are waited for a page to become as long as it was: half a second of them. A page that has become shorter is left at its end.
const FRAMES_MAX: u32 = 30;

/// What is under way.
#[derive(Clone, Copy)]
pub(crate) struct Travel {
    /// How many pages are being fetched: whoever does not wait for one asks for another.
    under_way: RwSignal<usize>,
    /// The address that Back or Forward leads to and has not shown yet, and where on it, in pixels from its top.
    destination: StoredValue<Option<(String, f64)>>,
    /// The address that is shown, or being fetched.
    here: StoredValue<String>,
    /// The address of the page that is shown.
    shown: StoredValue<Option<String>>,
}

impl Travel {
    /// Nothing is, yet.
    pub(crate) fn new() -> Self {
        Self {
            under_way: RwSignal::new(0),
            destination: StoredValue::new(None),
            here: StoredValue::new(String::new()),
            shown: StoredValue::new(None),
        }
    }

    /// The router says here when it begins to fetch a page, and when it shows it.
    pub(crate) fn report(self) -> SignalSetter<bool> {
        let count = self.under_way;
        SignalSetter::map(move |begins| count.update(|count| *count = if begins { *count + 1 } else { count.saturating_sub(1) }))
    }

    /// Whether the page that is shown is the one before.
    pub(crate) fn is_under_way(self) -> bool {
        self.under_way.get() > 0
    }

    /// Keeps the place on each page. Call it inside the router, whose own listener must come first.
    pub(crate) fn keep_places(self) {
        provide_context(self);
        let location = use_location();
        let address = Memo::new(move |_| tabs::address(&location.pathname.get(), &location.search.get()));
        Effect::new(move || self.here.set_value(address.get()));
        Effect::new(move || {
            let listeners = [
                window_event_listener(ev::Custom::<web_sys::Event>::new("scrollend"), move |_| self.note_place()),
                window_event_listener(ev::popstate, move |_| {
                    let to = address.get_untracked();
                    let is_same = self.shown.with_value(|shown| shown.as_ref() == Some(&to));
                    self.destination.set_value(Some((to, noted_place())));
                    // Nothing is fetched for another place on the same page.
                    if is_same {
                        self.go_to_place_within(0);
                    }
                }),
                // Whoever reloads or leaves finds the place again by the browser's own means.
                window_event_listener(ev::pagehide, |_| restore_by(web_sys::ScrollRestoration::Auto)),
            ];
            restore_by(web_sys::ScrollRestoration::Manual);
            on_cleanup(move || listeners.into_iter().for_each(|listener| listener.remove()));
        });
    }

    /// The content of the page at this address is there. Called by each page whenever it has some.
    pub(crate) fn arrive(self, address: String) {
        let path = |address: &str| address.split('?').next().unwrap_or_default().to_owned();
        let is_another = self.shown.with_value(|shown| shown.as_ref().is_some_and(|shown| path(shown) != path(&address)));
        self.shown.set_value(Some(address));
        // By then what was made of the content stands in the document.
        request_animation_frame(move || {
            if is_another {
                focus_content();
            }
            self.go_to_place_within(FRAMES_MAX);
        });
    }

    /// As soon as the page is long enough: what was made of its content may stand in the document some frames later.
    fn go_to_place_within(self, frames: u32) {
        let Some((to, top)) = self.destination.get_value() else { return };
        // Whoever has gone on elsewhere meanwhile stays there.
        if self.here.with_value(|here| *here != to) {
            self.destination.set_value(None);
            return;
        }
        window().scroll_to_with_x_and_y(0.0, top);
        let is_there = window().scroll_y().is_ok_and(|reached| reached >= top);
        if is_there || frames == 0 {
            self.destination.set_value(None);
        } else {
            request_animation_frame(move || self.go_to_place_within(frames - 1));
        }
    }

    /// Writes the place into the history's entry, unless that still says where to go on it.
    fn note_place(self) {
        let leads_here = self.destination.with_value(|to| to.as_ref().is_some_and(|(to, _)| self.here.with_value(|here| here == to)));
        if let (false, Ok(top), Ok(history)) = (leads_here, window().scroll_y(), window().history()) {
            // Browsers refuse it to a page that does so many times a second; then the place is a little off.
            let _ = history.replace_state_with_url(&top.into(), "", None);
        }
    }
}

/// The place in the history's entry, else the top.
fn noted_place() -> f64 {
    window().history().and_then(|history| history.state()).ok().and_then(|state| state.as_f64()).unwrap_or_default()
}

fn restore_by(means: web_sys::ScrollRestoration) {
    if let Ok(history) = window().history() {
        // Fails only in a document that is no longer shown.
        let _ = history.set_scroll_restoration(means);
    }
}

/// Whoever goes on to another page, by keyboard or with a screen reader, is there, as if it had been loaded.
fn focus_content() {
    let content = document().get_element_by_id("content").and_then(|content| content.dyn_into::<web_sys::HtmlElement>().ok());
    if let Some(content) = content {
        let options = web_sys::FocusOptions::new();
        options.set_prevent_scroll(true);
        // Fails only for an element that has left the page.
        let _ = content.focus_with_options(&options);
    }
}
