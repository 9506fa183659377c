//! What the form has beside the fields of every price.

use std::{borrow::Cow, collections::BTreeMap};

use domain::id::AccountId;

use crate::pages::admin_pricing::fields::{EFFECTIVE, MODEL, PER, PER_CALL, RATES, TIERS, TIERS_MAX, from_field, rate_field};

/// That it is to be looked at before it is written.
pub(super) const REVIEW: &str = "review";
/// How often this customer's price of the model had been written to when the form was filled.
pub(super) const REVISION: &str = "revision";
/// The version to be ended.
pub(super) const END: &str = "end";

/// Where the page is.
pub(super) fn address(account: AccountId) -> String {
    format!("/admin/customers/{account}/prices")
}

/// Every field that says what is to be written, as far as a query has it.
pub(super) fn typed(query: &str) -> BTreeMap<String, String> {
    let tiers = (1..=TIERS_MAX)
        .flat_map(|tier| RATES.into_iter().map(move |(_, name, _)| rate_field(Some(tier), name)).chain(std::iter::once(from_field(tier))));
    let plain = [MODEL, PER, PER_CALL, TIERS, EFFECTIVE, REVIEW, REVISION].into_iter().chain(RATES.into_iter().map(|(_, name, _)| name));
    let known: Vec<_> = plain.map(Cow::Borrowed).chain(tiers).collect();
    let pairs: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    // One that was sent has all of its fields: an address says nothing of empty ones, and what somebody emptied is not filled in anew.
    let is_sent = pairs.contains_key(REVIEW);
    let typed = known.into_iter().filter_map(|name| match pairs.get(&*name) {
        Some(text) => Some((name.into_owned(), text.trim().to_owned())),
        None => is_sent.then(|| (name.into_owned(), String::new())),
    });
    typed.collect()
}
