//! The form's fields, named once for the page that shows them and the server that reads them.

use domain::{money::Amount, rates::Rates};

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

/// A query string of these pairs; a model's name may hold anything.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
