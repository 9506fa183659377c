//! What the form has beside the fields of every price.

use std::{borrow::Cow, collections::BTreeMap};

use domain::id::{AccountId, PriceId};

use crate::pages::admin_pricing::fields::{EFFECTIVE, MODEL, PER, PER_CALL, RATES, TIERS, TIERS_MAX, from_field, rate_field};

/// That it is to be looked at before it is written.
pub(super) const REVIEW: &str = "review";
/// The version of this customer's that was written last when the form was filled.
pub(super) const NEWEST: &str = "newest";
/// The version to be ended.
pub(super) const END: &str = "end";

/// Where the page is.
pub(super) fn address(account: AccountId) -> String {
    format!("/admin/customers/{account}/prices")
}

/// The newest version, as a form carries it.
pub(super) fn newest(newest: Option<PriceId>) -> String {
    newest.map_or_else(|| "none".to_owned(), |id| id.to_string())
}

/// Every field that says what is to be written, as far as a query has it.
pub(super) fn typed(query: &str) -> BTreeMap<String, String> {
    let tiers = (1..=TIERS_MAX)
        .flat_map(|tier| RATES.into_iter().map(move |(_, name, _)| rate_field(Some(tier), name)).chain(std::iter::once(from_field(tier))));
    let plain = [MODEL, PER, PER_CALL, TIERS, EFFECTIVE, REVIEW, NEWEST].into_iter().chain(RATES.into_iter().map(|(_, name, _)| name));
    let known: Vec<_> = plain.map(Cow::Borrowed).chain(tiers).collect();
    let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
    pairs.filter(|(name, _)| known.iter().any(|known| known == name)).map(|(name, text)| (name, text.trim().to_owned())).collect()
}
