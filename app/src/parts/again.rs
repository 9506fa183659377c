//! A page that shows what is under way asks for itself again. That needs a script; a link beside it does the same without one.

use std::{sync::Arc, time::Duration};

use leptos::{leptos_dom::helpers::set_timeout_with_handle, prelude::*};

/// How long an answer stands.
const AFTER: Duration = Duration::from_secs(2);

/// How the page that is shown is asked for again.
#[derive(Clone)]
struct Again(Arc<dyn Fn() + Send + Sync>);

/// Says how this page is asked for again.
pub(crate) fn provide(ask: impl Fn() + Send + Sync + 'static) {
    provide_context(Again(Arc::new(ask)));
}

/// Asks for the page again in a moment, unless what is shown has given way by then. Effects run in the browser only.
pub(crate) fn soon() {
    let Some(Again(ask)) = use_context() else { return };
    Effect::new(move || {
        let ask = Arc::clone(&ask);
        // Without a timer there is still the link.
        let timer = set_timeout_with_handle(move || ask(), AFTER).ok();
        on_cleanup(move || {
            if let Some(timer) = timer {
                timer.clear();
            }
        });
    });
}
