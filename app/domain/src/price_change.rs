//! What a new price changes, rate by rate, and whether somebody must say that they mean it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    catalog::PriceKind,
    money::Amount,
    pricing::{self, Discount},
    rates::{BucketRates, Rates},
    tokens::{Bucket, CallUsage, Tokens},
};

/// A rate may become so many times what it was, or the same part of it, without a further question.
pub const LEAP: i64 = 3;

/// Prompt tokens of the call that prices are compared by.
pub const SAMPLE_PROMPT: Tokens = Tokens::from_sum(1_000);
/// Its completion tokens.
pub const SAMPLE_COMPLETION: Tokens = Tokens::from_sum(500);

/// What a rate is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Part {
    /// 1,000 tokens of a kind.
    Tokens(Bucket),
    /// A call.
    Call,
}

/// One rate before and after, as a call is charged by it: after falling back to the plain rate of its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateChange {
    /// Which side of the price changes.
    pub kind: PriceKind,
    /// Of calls whose prompt is at least this long; zero where no tier begins.
    pub from_prompt_tokens: Tokens,
    /// What it is paid for.
    pub part: Part,
    /// What it was; `None` where there was no price.
    pub old: Option<Amount>,
    /// What it becomes.
    pub new: Amount,
    /// The same rate of the other side; `None` where that has no price.
    pub other: Option<Amount>,
}

/// What makes a change one to be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// More than [`LEAP`] times what it was, or more than nothing.
    Dearer,
    /// Less than a [`LEAP`]th of what it was.
    Cheaper,
    /// Customers pay less than the provider charges.
    BelowCost,
}

impl RateChange {
    /// Whether it is another rate than before.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.old != Some(self.new)
    }

    /// What customers pay of it less what the provider charges for it; `None` where one of the two has no price.
    #[must_use]
    pub fn margin(&self) -> Option<Amount> {
        let [sale, cost] = self.sides(self.new)?;
        sale.checked_sub(cost)
    }

    /// Price and cost, if the side that changes is at this rate.
    #[must_use]
    pub fn sides(&self, own: Amount) -> Option<[Amount; 2]> {
        self.other.map(|other| match self.kind {
            PriceKind::Sale => [own, other],
            PriceKind::Cost => [other, own],
        })
    }

    /// What is wrong with it, in words, without a full stop.
    #[must_use]
    pub fn told(&self, alarm: Alarm) -> String {
        let part = match self.part {
            Part::Tokens(bucket) => format!("{}, per 1K", bucket.label()),
            Part::Call => "Fee per call".to_owned(),
        };
        let tier = match self.from_prompt_tokens.get() {
            0 => String::new(),
            from => format!(" (from {from} prompt tokens)"),
        };
        let change = match (alarm, self.old) {
            (Alarm::BelowCost, _) => {
                let [sale, cost] = self.sides(self.new).unwrap_or_default();
                format!("costs {cost}, and is sold for {sale}")
            }
            (_, old) => {
                let leap = if alarm == Alarm::Dearer { format!("more than {LEAP} times") } else { format!("less than 1/{LEAP}") };
                format!("{} becomes {}, {leap} what it was", old.unwrap_or_default(), self.new)
            }
        };
        format!("{part}{tier}: {change}")
    }

    /// What is to be asked about. A leap is told before a loss that it makes.
    pub fn alarms(&self) -> impl Iterator<Item = Alarm> + use<> {
        let leap = self.old.and_then(|old| match (old.nanos(), self.new.nanos()) {
            (old, new) if new > old.saturating_mul(LEAP) => Some(Alarm::Dearer),
            (old, new) if new.saturating_mul(LEAP) < old => Some(Alarm::Cheaper),
            _ => None,
        });
        let loss = self.margin().is_some_and(Amount::is_negative).then_some(Alarm::BelowCost);
        [leap, loss].into_iter().flatten()
    }
}

/// Every rate that a new version of a price sets, beside those that it takes the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceChange {
    /// The two plain rates, and each rate of its own on either side, before or after; tier by tier, the fee last.
    pub rates: Vec<RateChange>,
}

impl PriceChange {
    /// What it is to go from `old` to `new` while the other side is `other`.
    #[must_use]
    pub fn of(kind: PriceKind, old: Option<&Rates>, new: &Rates, other: Option<&Rates>) -> Self {
        let sets = || [old, Some(new), other].into_iter().flatten();
        let starts: BTreeSet<Tokens> = sets().flat_map(|rates| rates.tiers.iter().map(|tier| tier.from_prompt_tokens)).collect();
        let starts = std::iter::once(Tokens::ZERO).chain(starts);
        let tokens = starts.flat_map(|start| {
            let [old, new, other] = [old, Some(new), other].map(|rates| rates.map(|rates| rates.at(Some(start))));
            let of = move |bucket: Bucket| {
                // What has a rate of its own nowhere is charged at the plain one, which stands in the list.
                let is_own = [old, new, other].into_iter().flatten().any(|rates| rates.own(bucket).is_some());
                let rate = |rates: Option<&BucketRates>| rates.map(|rates| rates.of(bucket));
                is_own.then(|| RateChange {
                    kind,
                    from_prompt_tokens: start,
                    part: Part::Tokens(bucket),
                    old: rate(old),
                    new: rate(new).unwrap_or_default(),
                    other: rate(other),
                })
            };
            Bucket::ALL.into_iter().filter_map(of)
        });
        let fee = RateChange {
            kind,
            from_prompt_tokens: Tokens::ZERO,
            part: Part::Call,
            old: old.map(|rates| rates.per_call),
            new: new.per_call,
            other: other.map(|rates| rates.per_call),
        };
        let has_fee = sets().any(|rates| !rates.per_call.is_zero());
        Self { rates: tokens.chain(has_fee.then_some(fee)).collect() }
    }

    /// What must be asked about, rate by rate.
    pub fn alarms(&self) -> impl Iterator<Item = (&RateChange, Alarm)> {
        self.rates.iter().flat_map(|rate| rate.alarms().map(move |alarm| (rate, alarm)))
    }

    /// Whether it must be asked about.
    #[must_use]
    pub fn is_extreme(&self) -> bool {
        self.alarms().next().is_some()
    }

    /// Whether it may be done: either nothing is to be asked about, or whoever does it has written the name of the model, which is hard to do by
    /// mistake. The one rule of the console, of the command line and of the books; a
    /// list is asked about by it as it is compared.
    #[must_use]
    pub fn is_agreed(&self, model: &str, named: Option<&str>) -> bool {
        !self.is_extreme() || named.is_some_and(|named| named.trim() == model)
    }
}

/// The changes from `seen` to `wanted`, made to `now` instead. Where both changed the same rate it is the wanted one; tiers go together.
#[must_use]
pub fn merged(seen: &Rates, now: &Rates, wanted: &Rates) -> Rates {
    fn pick<T: Clone + PartialEq>(seen: &T, now: &T, wanted: &T) -> T {
        if seen == wanted { now.clone() } else { wanted.clone() }
    }
    let rate = |of: fn(&BucketRates) -> &Option<Amount>| pick(of(&seen.base), of(&now.base), of(&wanted.base));
    let base = BucketRates {
        input: pick(&seen.base.input, &now.base.input, &wanted.base.input),
        output: pick(&seen.base.output, &now.base.output, &wanted.base.output),
        cache_read: rate(|rates| &rates.cache_read),
        cache_write_5m: rate(|rates| &rates.cache_write_5m),
        cache_write_1h: rate(|rates| &rates.cache_write_1h),
        reasoning: rate(|rates| &rates.reasoning),
        audio_input: rate(|rates| &rates.audio_input),
        audio_output: rate(|rates| &rates.audio_output),
    };
    Rates { base, per_call: pick(&seen.per_call, &now.per_call, &wanted.per_call), tiers: pick(&seen.tiers, &now.tiers, &wanted.tiers) }
}

/// What the call that prices are compared by costs at these rates, without a discount; `None` beyond what is an amount.
#[must_use]
pub fn sample(rates: &Rates) -> Option<Amount> {
    let usage = CallUsage::of_totals(Some(SAMPLE_PROMPT), Some(SAMPLE_COMPLETION), None);
    pricing::price(&usage, rates, Discount::NONE).ok().map(|receipt| receipt.amount)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::rates::ContextTier;

    fn plain(input: &str, output: &str) -> Rates {
        Rates::plain(input.parse().unwrap(), output.parse().unwrap())
    }

    fn alarms(kind: PriceKind, old: Option<&Rates>, new: &Rates, other: Option<&Rates>) -> Vec<(Part, Alarm)> {
        let change = PriceChange::of(kind, old, new, other);
        change.alarms().map(|(rate, alarm)| (rate.part, alarm)).collect()
    }

    const PROMPT: Part = Part::Tokens(Bucket::Input);
    const COMPLETION: Part = Part::Tokens(Bucket::Output);

    #[test]
    fn three_times_and_a_third_are_no_leap_and_a_nano_more_is() {
        let old = plain("0.000000006", "1");
        let of = |new: &Rates| alarms(PriceKind::Sale, Some(&old), new, None);
        assert_eq!(of(&plain("0.000000018", "3")), []);
        assert_eq!(of(&plain("0.000000002", "0.333333334")), []);
        assert_eq!(of(&plain("0.000000019", "3.000000001")), [(PROMPT, Alarm::Dearer), (COMPLETION, Alarm::Dearer)]);
        assert_eq!(of(&plain("0.000000001", "0.333333333")), [(PROMPT, Alarm::Cheaper), (COMPLETION, Alarm::Cheaper)]);
    }

    #[test]
    fn a_first_price_leaps_from_nowhere_and_one_of_nothing_leaps_to_anything() {
        assert_eq!(alarms(PriceKind::Sale, None, &plain("1000", "1000"), None), []);
        assert_eq!(alarms(PriceKind::Sale, Some(&plain("0", "0")), &plain("0", "0.000000001"), None), [(COMPLETION, Alarm::Dearer)]);
        assert_eq!(alarms(PriceKind::Sale, Some(&plain("0.000000001", "0")), &plain("0", "0"), None), [(PROMPT, Alarm::Cheaper)]);
    }

    #[test]
    fn a_loss_is_one_from_either_side_and_in_any_tier() {
        let (sale, cost) = (plain("0.3", "0.6"), plain("0.3", "0.7"));
        assert_eq!(alarms(PriceKind::Sale, None, &sale, Some(&cost)), [(COMPLETION, Alarm::BelowCost)]);
        assert_eq!(alarms(PriceKind::Cost, None, &cost, Some(&sale)), [(COMPLETION, Alarm::BelowCost)]);
        assert_eq!(alarms(PriceKind::Sale, None, &cost, Some(&sale)), []);

        let mut dear_when_long = sale.clone();
        dear_when_long.tiers.push(ContextTier { from_prompt_tokens: Tokens::from_sum(200_000), rates: plain("0.4", "0.6").base });
        let change = PriceChange::of(PriceKind::Sale, None, &sale, Some(&dear_when_long));
        let losses: Vec<_> =
            change.rates.iter().filter(|rate| rate.alarms().next().is_some()).map(|rate| rate.from_prompt_tokens.get()).collect();
        assert_eq!(losses, [200_000]);
    }

    #[test]
    fn a_rate_of_its_own_that_goes_is_compared_with_what_it_falls_back_to() {
        let mut old = plain("0.3", "0.6");
        old.base.cache_read = Some("0.03".parse().unwrap());
        let change = PriceChange::of(PriceKind::Sale, Some(&old), &plain("0.3", "0.6"), None);
        let cached = change.rates.iter().find(|rate| rate.part == Part::Tokens(Bucket::CacheRead)).unwrap();
        assert_eq!((cached.old, Some(cached.new)), ("0.03".parse().ok(), "0.3".parse().ok()));
        assert_eq!(cached.alarms().collect::<Vec<_>>(), [Alarm::Dearer]);
        assert_eq!(change.rates.iter().filter(|rate| rate.is_changed()).count(), 1);
    }

    #[test]
    fn only_the_models_own_name_agrees_to_a_leap() {
        let leap = PriceChange::of(PriceKind::Sale, Some(&plain("0.0006", "1")), &plain("0.6", "1"), None);
        for named in [None, Some(""), Some("yes"), Some("Demo-Large")] {
            assert!(!leap.is_agreed("demo-large", named), "{named:?}");
        }
        assert!(leap.is_agreed("demo-large", Some(" demo-large ")));
        assert!(PriceChange::of(PriceKind::Sale, None, &plain("1", "1"), None).is_agreed("demo-large", None));
    }

    #[test]
    fn each_keeps_what_only_the_other_one_left_alone() {
        let (seen, now, wanted) = (plain("0.005", "0.02"), plain("0.006", "0.02"), plain("0.005", "0.03"));
        assert_eq!(merged(&seen, &now, &wanted), plain("0.006", "0.03"));
        assert_eq!(merged(&seen, &now, &plain("0.007", "0.02")), plain("0.007", "0.02"));
    }

    #[test]
    fn the_sample_is_a_thousand_and_five_hundred_tokens() {
        assert_eq!(sample(&plain("0.003", "0.015")), "0.0105".parse().ok());
        assert_eq!(sample(&Rates { per_call: "1".parse().unwrap(), ..plain("0", "0") }), "1".parse().ok());
    }
}
