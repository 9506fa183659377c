//! Price lists: what is read of each format, and what becomes of it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bad;
mod formats;
mod imported;
mod planned;
mod published;

use std::path::PathBuf;

use domain::price_list::{Entry, PriceList, Step, Timeline};

/// A list of our own making, after the format's documentation.
pub(crate) fn fixture(name: &str) -> PriceList {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/price_lists/fixtures").join(name);
    PriceList::read(&std::fs::read_to_string(path).unwrap(), None).unwrap()
}

/// A model as a line, such as `acme small: {"input":"0.00015",…}`; what is refused as `acme small! why`.
pub(crate) fn line(entry: &Entry) -> String {
    let name = format!("{} {}", entry.provider, entry.name);
    let offer = match &entry.says {
        Ok(offer) => offer,
        Err(refusal) => return format!("{name}! {refusal}"),
    };
    let at = |side: &Timeline| side.service_tier.other().map_or_else(String::new, |tier| format!("at {} ", tier.name()));
    let steps = offer.sides.iter().flat_map(|side| side.steps.iter().map(move |of| format!("{}{}", at(side), step(of))));
    let steps: Vec<String> = steps.collect();
    let unmapped = if offer.unmapped.is_empty() { String::new() } else { format!(" without {}", offer.unmapped.join(", ")) };
    format!("{name}: {}{unmapped}", steps.join("; "))
}

fn step(step: &Step) -> String {
    let from = step.from.map_or_else(String::new, |from| from.format("from %F ").to_string());
    let mut text = format!("{from}{}", serde_json::to_string(&step.rates.base).unwrap());
    if !step.rates.per_call.is_zero() {
        text += &format!(" {} a call", step.rates.per_call);
    }
    for tier in &step.rates.tiers {
        text += &format!(" from {} {}", tier.from_prompt_tokens, serde_json::to_string(&tier.rates).unwrap());
    }
    text.replace('"', "")
}

pub(crate) fn check(list: &PriceList, expected: &[&str]) {
    let lines: Vec<String> = list.entries.iter().map(line).collect();
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
}
