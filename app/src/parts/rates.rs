//! A model's rates in words. Every price says per how many tokens it is.

use domain::{
    money::Amount,
    rates::{BucketRates, Rates},
    tokens::Bucket,
};
use leptos::prelude::*;

use crate::parts::money;

/// A rate per 1,000 tokens, and below it per 1,000,000.
pub(crate) fn rate(per_1k: Amount) -> AnyView {
    view! { <span class="rate">{money::exact(per_1k)}</span><span class="rate-million">{format!("{} per 1M", money::per_million(per_1k))}</span> }.into_any()
}

/// Everything but the two plain rates, one line each: `Prompt tokens, read from cache: $0.000075 per 1K ($0.075 per 1M)`.
pub(crate) fn others(rates: &Rates) -> Vec<String> {
    let per_call = (!rates.per_call.is_zero()).then(|| format!("Fee per call: {}", money::exact(rates.per_call)));
    let tiers = rates.tiers.iter().flat_map(|tier| {
        let from = money::grouped(tier.from_prompt_tokens.get());
        let plain = format!(
            "From {from} prompt tokens: prompt {}, completion {} per 1K",
            money::exact(tier.rates.input),
            money::exact(tier.rates.output)
        );
        std::iter::once(plain).chain(own(&tier.rates).into_iter().map(move |line| format!("From {from} prompt tokens: {line}")))
    });
    own(&rates.base).into_iter().chain(tiers).chain(per_call).collect()
}

/// The buckets that have a rate of their own.
fn own(rates: &BucketRates) -> Vec<String> {
    let own = [
        (Bucket::CacheRead, rates.cache_read),
        (Bucket::CacheWrite5m, rates.cache_write_5m),
        (Bucket::CacheWrite1h, rates.cache_write_1h),
        (Bucket::AudioInput, rates.audio_input),
        (Bucket::Reasoning, rates.reasoning),
        (Bucket::AudioOutput, rates.audio_output),
    ];
    own.into_iter()
        .filter_map(|(bucket, rate)| {
            rate.map(|rate| format!("{}: {} per 1K ({} per 1M)", bucket.label(), money::exact(rate), money::per_million(rate)))
        })
        .collect()
}

/// [`others`] as a list; nothing when the plain rates are all there is.
pub(crate) fn others_view(rates: &Rates) -> AnyView {
    let lines = others(rates);
    if lines.is_empty() {
        return ().into_any();
    }
    let lines = lines.into_iter().map(|line| view! { <li>{line}</li> }).collect_view();
    view! { <ul class="rates">{lines}</ul> }.into_any()
}
