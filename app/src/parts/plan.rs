//! Plans and packages in words.

use domain::{
    credit::{Pool, Quantity, Unit},
    money::Amount,
    plan::{Overage, Plan, PlanLimit, PlanLimits, PlanTerms, Term},
    pricing::Discount,
};

use crate::parts::{limit, models, money};

/// A term: its name, and what it is in a plan, in words.
pub(crate) type TermWords = (&'static str, fn(&Plan) -> String);

/// Every term, in the order in which they are told.
pub(crate) const TERMS: [TermWords; 8] = [
    ("Lasts", |plan| lasts(&plan.terms)),
    ("Fee", |plan| fee(&plan.terms)),
    ("Allowance", |plan| allowance(&plan.terms)),
    ("Pays for", |plan| models::in_words(plan.terms.models.as_deref())),
    ("Beyond the allowance", |plan| beyond(&plan.terms).to_owned()),
    ("Discount on calls", |plan| discount(plan.terms.discount)),
    ("Limits", |plan| limits(plan.terms.limits)),
    ("Shown to customers", |plan| shown(plan).to_owned()),
];

/// `Plan` or `Package`.
pub(crate) const fn noun(terms: &PlanTerms) -> &'static str {
    if terms.is_monthly() { "Plan" } else { "Package" }
}

/// `By the month`, `30 days, once`.
pub(crate) fn lasts(terms: &PlanTerms) -> String {
    match terms.term {
        Term::Monthly => "By the month".to_owned(),
        Term::Once { days: 1 } => "1 day, once".to_owned(),
        Term::Once { days } => format!("{} days, once", money::grouped(days.into())),
    }
}

/// `$20.00 a month`, `$90.00 once`.
pub(crate) fn fee(terms: &PlanTerms) -> String {
    format!("{} {}", money::exact(terms.fee), if terms.is_monthly() { "a month" } else { "once" })
}

/// `$25.00 a month`, `1,000,000 tokens once`.
pub(crate) fn allowance(terms: &PlanTerms) -> String {
    format!("{} {}", quantity(terms.allowance, terms.unit), if terms.is_monthly() { "a month" } else { "once" })
}

/// Every digit, with its unit: `$25.00`, `1,000 tokens`.
pub(crate) fn quantity(quantity: Quantity, unit: Unit) -> String {
    match unit {
        Unit::Money => money::exact(Amount::from_nanos(quantity.get())),
        Unit::Tokens => money::tokens(quantity.get()),
        Unit::Requests => quantity.in_words(unit),
    }
}

/// A quantity as people type it: `25`, `1000000`.
pub(crate) fn typed(quantity: Quantity, unit: Unit) -> String {
    match unit {
        Unit::Money => Amount::from_nanos(quantity.get()).to_string(),
        Unit::Tokens | Unit::Requests => quantity.to_string(),
    }
}

/// What becomes of calls beyond the allowance.
pub(crate) const fn beyond(terms: &PlanTerms) -> &'static str {
    match terms.overage {
        Overage::Wallet => "The balance pays",
        Overage::Refused => "Calls are refused",
    }
}

/// The same within a sentence.
pub(crate) const fn beyond_inline(terms: &PlanTerms) -> &'static str {
    match terms.overage {
        Overage::Wallet => "the balance pays",
        Overage::Refused => "calls are refused",
    }
}

/// `5 %`, `2.5 %`, `None`.
pub(crate) fn discount(discount: Discount) -> String {
    if discount == Discount::NONE { "None".to_owned() } else { format!("{} %", per_cent(discount)) }
}

/// `60 requests per minute, $100.00 per month`, `None`.
pub(crate) fn limits(limits: PlanLimits) -> String {
    let each = limits.each().map(|PlanLimit { unit, window, capacity }| limit::bound(&Pool::new(unit, capacity), window));
    let each: Vec<_> = each.collect();
    if each.is_empty() { "None".to_owned() } else { each.join(", ") }
}

/// `at most 60 requests per minute`; `None` where nothing is bounded.
pub(crate) fn at_most(limits: PlanLimits) -> Option<String> {
    (limits != PlanLimits::NONE).then(|| format!("at most {}", self::limits(limits)))
}

/// A discount as people type it: `2.5`.
pub(crate) fn per_cent(discount: Discount) -> String {
    let text = format!("{}.{:02}", discount.bps() / 100, discount.bps() % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

const fn shown(plan: &Plan) -> &'static str {
    if plan.is_offered { "Yes: they may buy it" } else { "No: only operators sell it" }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_discount_is_written_as_it_is_typed() {
        for (bps, text, typed) in
            [(0, "None", "0"), (5, "0.05 %", "0.05"), (250, "2.5 %", "2.5"), (1_000, "10 %", "10"), (10_000, "100 %", "100")]
        {
            let discount = Discount::from_bps(bps).unwrap();
            assert_eq!((super::discount(discount).as_str(), per_cent(discount).as_str()), (text, typed));
        }
    }

    #[test]
    fn what_a_plan_bounds_is_one_sentence() {
        let [requests_a_minute, money_a_month] = [60, 100_000_000_000].map(|count| Some(Quantity::from_count(count)));
        let some = PlanLimits { requests_a_minute, money_a_month, tokens_a_minute: None };
        assert_eq!(at_most(some).as_deref(), Some("at most 60 requests per minute, $100.00 per month"));
        assert_eq!((limits(PlanLimits::NONE).as_str(), at_most(PlanLimits::NONE)), ("None", None));
    }

    #[test]
    fn terms_say_for_how_long_and_how_often() {
        let month = PlanTerms {
            term: Term::Monthly,
            fee: "20".parse().unwrap(),
            unit: Unit::Tokens,
            allowance: Quantity::from_count(1_000),
            models: None,
            overage: Overage::Wallet,
            discount: Discount::NONE,
            limits: PlanLimits::NONE,
        };
        assert_eq!((fee(&month).as_str(), allowance(&month).as_str(), noun(&month)), ("$20.00 a month", "1,000 tokens a month", "Plan"));
        let once = PlanTerms { term: Term::Once { days: 30 }, unit: Unit::Money, ..month };
        assert_eq!(
            (fee(&once).as_str(), allowance(&once).as_str(), lasts(&once).as_str()),
            ("$20.00 once", "$0.000001 once", "30 days, once")
        );
    }
}
