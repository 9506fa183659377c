//! How a price and its change are said.

use domain::{
    catalog::{PriceKind, PriceVersion},
    money::Amount,
    price_change::{Alarm, LEAP, Part, RateChange},
    rate_unit::RateUnit,
    rates::Rates,
    service_tier::ServiceTier,
};

use crate::parts::{money, rates, time};

/// What a side is called.
pub(super) const fn side(kind: PriceKind) -> &'static str {
    match kind {
        PriceKind::Sale => "price",
        PriceKind::Cost => "cost",
    }
}

/// What a price is of: the model, and its service tier unless that is the default.
pub(super) fn of((model, service_tier): (&str, ServiceTier)) -> String {
    match service_tier.other() {
        None => model.to_owned(),
        Some(tier) => format!("{model} at the {} tier", tier.name()),
    }
}

/// Every figure of a version on one line.
pub(in crate::pages) fn figures(of: &Rates) -> String {
    let plain = format!("prompt {}, completion {} per 1K tokens", money::exact(of.base.input), money::exact(of.base.output));
    std::iter::once(plain).chain(rates::others(of)).collect::<Vec<_>>().join("; ")
}

/// When a version begins.
pub(in crate::pages) fn begins(version: &PriceVersion) -> String {
    format!("{} UTC", time::minute(version.effective_from))
}

/// A rate per 1,000 tokens, in this unit.
pub(super) fn rate(per_1k: Amount, unit: RateUnit) -> String {
    match unit {
        RateUnit::Per1K => money::exact(per_1k),
        RateUnit::Per1M => money::per_million(per_1k),
    }
}

/// What a rate is paid for, with its tier.
pub(super) fn part(change: &RateChange) -> String {
    let part = match change.part {
        Part::Tokens(bucket) => bucket.label(),
        Part::Call => "Fee per call",
    };
    match change.from_prompt_tokens.get() {
        0 => part.to_owned(),
        from => format!("{part}, from {} prompt tokens", money::grouped(from)),
    }
}

/// How much it changes: `×1.5`, `÷1,000`.
pub(super) fn factor(old: Option<Amount>, new: Amount) -> String {
    match old.map(|old| (old.nanos(), new.nanos())) {
        None => "new".to_owned(),
        Some((old, new)) if old == new => "unchanged".to_owned(),
        Some((..=0, _)) => "from nothing".to_owned(),
        Some((_, ..=0)) => "to nothing".to_owned(),
        Some((old, new)) if old < new => format!("×{}", ratio(new, old)),
        Some((old, new)) => format!("÷{}", ratio(old, new)),
    }
}

/// A quotient of at least one, to two decimals.
fn ratio(larger: i64, smaller: i64) -> String {
    let hundredths = (i128::from(larger) * 100 + i128::from(smaller) / 2) / i128::from(smaller);
    let whole = money::grouped(i64::try_from(hundredths / 100).unwrap_or(i64::MAX));
    let decimals = format!("{:02}", hundredths % 100);
    match decimals.trim_end_matches('0') {
        "" => whole,
        decimals => format!("{whole}.{decimals}"),
    }
}

/// What is to be asked about.
pub(super) fn alarm(alarm: Alarm) -> String {
    match alarm {
        Alarm::Dearer => format!("more than {LEAP} times what it was"),
        Alarm::Cheaper => format!("less than 1/{LEAP} of what it was"),
        Alarm::BelowCost => "below cost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_says_which_way_it_goes() {
        let of = |old: i64, new: i64| factor(Some(Amount::from_nanos(old)), Amount::from_nanos(new));
        for (old, new, words) in [
            (600_000, 600_000_000, "×1,000"),
            (600_000_000, 600_000, "÷1,000"),
            (200, 225, "×1.13"),
            (5, 5, "unchanged"),
            (0, 5, "from nothing"),
            (5, 0, "to nothing"),
            (1, i64::MAX, "×9,223,372,036,854,775,807"),
        ] {
            assert_eq!(of(old, new), words, "{old} {new}");
        }
        assert_eq!(factor(None, Amount::ZERO), "new");
    }
}
