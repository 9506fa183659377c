//! The form's fields: what they are called, and what is offered there.

use domain::plan::Overage;

use crate::parts::models::MODELS;

/// Its name.
pub(super) const NAME: &str = "name";
/// A plan or a package.
pub(super) const KIND: &str = "kind";
/// What it costs.
pub(super) const FEE: &str = "fee";
/// How much it gives.
pub(super) const ALLOWANCE: &str = "allowance";
/// What that is counted in.
pub(super) const UNIT: &str = "unit";
/// How long a package lasts.
pub(super) const DAYS: &str = "days";
/// What becomes of calls beyond it.
pub(super) const BEYOND: &str = "overage";
/// What calls are discounted by, in per cent.
pub(super) const DISCOUNT: &str = "discount";
/// How many requests it bounds a minute to.
pub(super) const REQUESTS: &str = "requests_a_minute";
/// How many tokens it bounds a minute to.
pub(super) const TOKENS: &str = "tokens_a_minute";
/// How much money it bounds a calendar month to.
pub(super) const MONEY: &str = "money_a_month";
/// Whether customers are shown it.
pub(super) const SHOWN: &str = "shown";
/// That it is to be looked at before it is written.
pub(super) const REVIEW: &str = "review";
/// The version that the form was filled from; 0 of none.
pub(super) const SEEN: &str = "seen";

/// All that say what is to be sold.
pub(super) const TERMS: [&str; 13] = [NAME, KIND, FEE, ALLOWANCE, UNIT, DAYS, MODELS, BEYOND, DISCOUNT, REQUESTS, TOKENS, MONEY, SHOWN];

/// Where customers are not shown it.
pub(super) const HIDDEN: &str = "no";
/// Where they are.
pub(super) const OFFERED: &str = "yes";

/// A kind's name in a form.
pub(super) const fn kind_of(is_monthly: bool) -> &'static str {
    if is_monthly { "plan" } else { "package" }
}

/// What can become of calls beyond the allowance, in the order in which it is offered.
pub(super) const ENDS: [(Overage, &str, &str); 2] =
    [(Overage::Wallet, "wallet", "The balance pays"), (Overage::Refused, "refused", "Are refused that month")];
