//! The form's fields: what they are called, and what a version of a price holds there.

use domain::{catalog::PriceKind, money::Amount, rates::Rates};

/// The prompt price.
pub(super) const PROMPT: &str = "prompt";
/// The completion price.
pub(super) const COMPLETION: &str = "completion";

/// The rates that most models do without: field, label, and what a version holds there.
pub(super) fn further(rates: Option<&Rates>) -> [(&'static str, &'static str, Option<Amount>); 7] {
    let of = |rate: fn(&Rates) -> Option<Amount>| rates.and_then(rate);
    [
        ("cache_read", "Prompt tokens read from cache, per 1K", of(|rates| rates.base.cache_read)),
        ("cache_write_5m", "Prompt tokens written to cache for 5 minutes, per 1K", of(|rates| rates.base.cache_write_5m)),
        ("cache_write_1h", "Prompt tokens written to cache for 1 hour, per 1K", of(|rates| rates.base.cache_write_1h)),
        ("reasoning", "Reasoning tokens, per 1K", of(|rates| rates.base.reasoning)),
        ("audio_input", "Audio in the prompt, per 1K", of(|rates| rates.base.audio_input)),
        ("audio_output", "Audio in the completion, per 1K", of(|rates| rates.base.audio_output)),
        ("per_call", "Fee per call", of(|rates| Some(rates.per_call).filter(|fee| !fee.is_zero()))),
    ]
}

/// Both sides of a price, in the order in which they are offered.
pub(super) const SIDES: [PriceKind; 2] = [PriceKind::Sale, PriceKind::Cost];

/// The side of this name, in the form and in the address.
#[cfg(feature = "ssr")]
pub(super) fn side(name: &str) -> Option<PriceKind> {
    SIDES.into_iter().find(|side| side.name() == name)
}

/// One side of a model's price; a model's name may hold anything.
pub(super) fn address(model: &str, side: PriceKind) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("model", model);
    if side == PriceKind::Cost {
        query.append_pair("side", side.name());
    }
    format!("/admin/pricing?{}", query.finish())
}
