//! From token counts and rates to a receipt that anyone can recompute.

use serde::{Deserialize, Serialize};

use crate::{
    money::{Amount, ExactAmount},
    rates::Rates,
    tokens::{Bucket, CallUsage, Tokens},
};

/// Nothing off.
const FULL_PRICE_BPS: i128 = 10_000;

/// A discount in basis points: 250 is 2.5 % off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Discount(i32);

/// A discount outside 0 to 10,000 basis points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a discount is from 0 to 100 percent")]
pub struct DiscountError;

impl Discount {
    /// No discount.
    pub const NONE: Self = Self(0);

    /// A discount of so many basis points.
    ///
    /// # Errors
    /// [`DiscountError`] below 0 or above 10,000.
    pub const fn from_bps(bps: i32) -> Result<Self, DiscountError> {
        if bps >= 0 && bps <= 10_000 { Ok(Self(bps)) } else { Err(DiscountError) }
    }

    /// What it leaves of an amount, rounded to the nearest nano.
    #[must_use]
    pub fn off(self, amount: Amount) -> Amount {
        ExactAmount::from_parts(
            i128::from(amount.nanos()) * (FULL_PRICE_BPS - i128::from(self.0)) * (ExactAmount::PARTS_PER_NANO / FULL_PRICE_BPS),
        )
        .round_half_up()
        .unwrap_or(amount)
    }

    /// In basis points.
    #[must_use]
    pub const fn bps(self) -> i32 {
        self.0
    }
}

impl TryFrom<i32> for Discount {
    type Error = DiscountError;

    fn try_from(bps: i32) -> Result<Self, DiscountError> {
        Self::from_bps(bps)
    }
}

impl From<Discount> for i32 {
    fn from(discount: Discount) -> Self {
        discount.0
    }
}

/// One line of a receipt: tokens × rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What was counted.
    pub bucket: Bucket,
    /// How many.
    pub tokens: Tokens,
    /// The rate per 1,000 tokens.
    pub per_1k: Amount,
    /// Their product ÷ 1,000, exact.
    pub amount: ExactAmount,
}

/// How a call's charge came about: `amount = round((Σ lines + fee) × (1 − discount))`, with one rounding, last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// One line per bucket that was reported, in [`Bucket::ALL`]'s order.
    pub lines: Vec<Line>,
    /// The flat fee per call.
    pub per_call: Amount,
    /// Lines and fee, exact, before the discount.
    pub subtotal: ExactAmount,
    /// What is taken off the subtotal.
    pub discount: Discount,
    /// What is left of it, exact, before the rounding.
    pub exact: ExactAmount,
    /// What the customer pays.
    pub amount: Amount,
}

/// The lines of a receipt do not fit what they are summed in; with validated rates and counts this cannot happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the charge of this call is too large to be an amount")]
pub struct ChargeOverflow;

/// Prices a call. One of which nothing was counted, because the upstream failed before any output, costs nothing: no flat fee either. A price that is
/// too large to be an amount is the largest one: whatever was held for the call is less.
///
/// # Errors
/// [`ChargeOverflow`] when the sum does not fit.
pub fn price(usage: &CallUsage, rates: &Rates, discount: Discount) -> Result<Receipt, ChargeOverflow> {
    let applied = rates.at(usage.prompt_tokens);
    let lines: Vec<Line> = Bucket::ALL
        .into_iter()
        .filter_map(|bucket| usage.counts.get(bucket).map(|tokens| (bucket, tokens)))
        .map(|(bucket, tokens)| line(bucket, tokens, applied.of(bucket)))
        .collect::<Option<_>>()
        .ok_or(ChargeOverflow)?;
    let per_call = if lines.is_empty() { Amount::ZERO } else { rates.per_call };
    let fee = ExactAmount::PARTS_PER_NANO.checked_mul(i128::from(per_call.nanos())).ok_or(ChargeOverflow)?;
    let subtotal = lines.iter().try_fold(fee, |sum, line| sum.checked_add(line.amount.parts())).ok_or(ChargeOverflow)?;
    let exact = ExactAmount::from_parts(discounted(subtotal, discount));
    Ok(Receipt {
        lines,
        per_call,
        subtotal: ExactAmount::from_parts(subtotal),
        discount,
        exact,
        amount: exact.round_half_up().unwrap_or(Amount::MAX),
    })
}

/// The most that a call can cost: what is held before it is forwarded.
///
/// `prompt` bounds its prompt tokens, `completion` all its completion tokens (already × `n`). The dearest rate of each side is taken over
/// every tier that such a prompt can reach, because a cache write can cost twice a plain token and the split is not known yet.
///
/// # Errors
/// [`ChargeOverflow`] when the bound does not fit.
pub fn upper_bound(prompt: Tokens, completion: Tokens, rates: &Rates, discount: Discount) -> Result<Amount, ChargeOverflow> {
    let side = |tokens: Tokens, is_prompt: bool| exact_product(tokens, rates.dearest_up_to(prompt, is_prompt));
    let fee = i128::from(rates.per_call.nanos()).checked_mul(ExactAmount::PARTS_PER_NANO);
    let sum = [side(prompt, true), side(completion, false), fee]
        .into_iter()
        .try_fold(0_i128, |sum, part| sum.checked_add(part?))
        .ok_or(ChargeOverflow)?;
    ExactAmount::from_parts(discounted(sum, discount)).round_up().ok_or(ChargeOverflow)
}

/// What a call costs its customer, and what the operator bears of it. Together they are its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// What the customer pays: never more than was held, unless its account is lenient.
    pub amount: Amount,
    /// The rest of the price: an upstream reported more than a call can use, and its customer never agreed to that.
    pub written_off: Amount,
}

/// Who bears what a call costs beyond what was held for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excess {
    /// The operator: an account is strict, and never ends below its floor.
    #[default]
    WrittenOff,
    /// The customer: an account is lenient, and may end below its floor.
    Charged,
}

impl Excess {
    /// Of an account that is lenient, or is not.
    #[must_use]
    pub const fn of(is_lenient: bool) -> Self {
        if is_lenient { Self::Charged } else { Self::WrittenOff }
    }

    /// Whether the account is lenient.
    #[must_use]
    pub const fn is_charged(self) -> bool {
        matches!(self, Self::Charged)
    }

    /// Whether the customer bears it of a call of this usage: not where the upstream's counts are flagged, since they contradict each other, or are more
    /// than the call can have used.
    #[must_use]
    pub const fn is_charged_of(self, usage: &CallUsage) -> bool {
        self.is_charged() && usage.flag.is_none()
    }
}

/// Charges a call for which so much was held.
#[must_use]
pub fn charge(usage: &CallUsage, rates: &Rates, discount: Discount, held: Amount, excess: Excess) -> Charge {
    let price = price(usage, rates, discount).map_or(Amount::MAX, |receipt| receipt.amount);
    let amount = if excess.is_charged_of(usage) { price } else { price.min(held) }.max(Amount::ZERO);
    // Both are between nothing and the price: their difference is an amount.
    Charge { amount, written_off: price.checked_sub(amount).unwrap_or(Amount::ZERO) }
}

fn line(bucket: Bucket, tokens: Tokens, per_1k: Amount) -> Option<Line> {
    exact_product(tokens, per_1k).map(|parts| Line { bucket, tokens, per_1k, amount: ExactAmount::from_parts(parts) })
}

/// tokens × nanos per 1,000 tokens, in parts: ÷ 1,000 × [`ExactAmount::PARTS_PER_NANO`] is × [`FULL_PRICE_BPS`].
fn exact_product(tokens: Tokens, per_1k: Amount) -> Option<i128> {
    i128::from(tokens.get()).checked_mul(i128::from(per_1k.nanos()))?.checked_mul(FULL_PRICE_BPS)
}

/// Exact: every subtotal is a multiple of [`FULL_PRICE_BPS`] parts.
fn discounted(parts: i128, discount: Discount) -> i128 {
    parts / FULL_PRICE_BPS * (FULL_PRICE_BPS - i128::from(discount.0))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;
    use crate::{
        rates::{BucketRates, ContextTier},
        tokens::{Flag, TokenCounts},
    };

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn usage(prompt: i64, completion: i64) -> CallUsage {
        CallUsage::of_totals(Some(Tokens::from_sum(prompt)), Some(Tokens::from_sum(completion)), None)
    }

    #[test]
    fn the_documented_example_comes_out() {
        let rates = Rates::plain(amount("0.00015"), amount("0.0006"));
        let receipt = price(&usage(12, 34), &rates, Discount::NONE).unwrap();
        assert_eq!(receipt.amount, amount("0.0000222"));
        assert_eq!(receipt.lines[0].amount.to_string(), "0.0000018");
    }

    #[test]
    fn rounding_happens_once_and_last() {
        // Two lines of half a nano each: rounded apart they would cost two nanos, together they cost one.
        let rates = Rates::plain(Amount::from_nanos(1), Amount::from_nanos(1));
        assert_eq!(price(&usage(500, 500), &rates, Discount::NONE).unwrap().amount, Amount::from_nanos(1));
        assert_eq!(price(&usage(499, 0), &rates, Discount::NONE).unwrap().amount, Amount::ZERO);
        assert_eq!(price(&usage(500, 0), &rates, Discount::NONE).unwrap().amount, Amount::from_nanos(1));
    }

    #[test]
    fn a_tier_prices_all_tokens_of_the_call() {
        let mut rates = Rates::plain(amount("0.001"), amount("0.002"));
        rates
            .tiers
            .push(ContextTier { from_prompt_tokens: Tokens::from_sum(1_000), rates: BucketRates::plain(amount("0.002"), amount("0.004")) });
        assert_eq!(price(&usage(999, 0), &rates, Discount::NONE).unwrap().amount, amount("0.000999"));
        assert_eq!(price(&usage(1_000, 1_000), &rates, Discount::NONE).unwrap().amount, amount("0.006"));
    }

    #[test]
    fn a_discount_is_taken_before_the_rounding() {
        let rates = Rates::plain(amount("1"), amount("1"));
        let discount = Discount::from_bps(2_500).unwrap();
        assert_eq!(price(&usage(1_000, 0), &rates, discount).unwrap().amount, amount("0.75"));
    }

    #[test]
    fn a_call_of_which_nothing_was_counted_costs_nothing() {
        let rates = Rates { per_call: amount("1"), ..Rates::plain(amount("1"), amount("1")) };
        assert_eq!(price(&CallUsage::default(), &rates, Discount::NONE).unwrap().amount, Amount::ZERO);
        assert_eq!(price(&usage(0, 0), &rates, Discount::NONE).unwrap().amount, amount("1"));
    }

    #[test]
    fn a_call_never_costs_more_than_was_held_for_it() {
        let rates = Rates::plain(amount("1"), amount("2"));
        let charged = |prompt: i64, held: &str| {
            let charge = charge(&usage(prompt, 50_000), &rates, Discount::NONE, amount(held), Excess::WrittenOff);
            (charge.amount, charge.written_off)
        };
        assert_eq!(charged(7, "8.34"), (amount("8.34"), amount("91.667")));
        assert_eq!(charged(1_000_000_000, "8.34"), (amount("8.34"), amount("1000091.66")));
        assert_eq!(charged(7, "100.007"), (amount("100.007"), Amount::ZERO));
        assert_eq!(charged(7, "0"), (Amount::ZERO, amount("100.007")));
        let dearest = Rates::plain(Rates::MAX_PER_1K, Rates::MAX_PER_1K);
        let no_amount = charge(&usage(Tokens::MAX_PER_CALL, 0), &dearest, Discount::NONE, amount("1"), Excess::WrittenOff);
        assert_eq!(no_amount.amount.checked_add(no_amount.written_off), Some(Amount::MAX));
    }

    #[test]
    fn a_lenient_account_pays_what_a_call_came_to_but_not_what_nobody_can_believe() {
        let rates = Rates::plain(amount("1"), amount("2"));
        let charged = |flag| {
            let usage = CallUsage { flag, ..usage(7, 50_000) };
            let charge = charge(&usage, &rates, Discount::NONE, amount("8.34"), Excess::Charged);
            (charge.amount, charge.written_off)
        };
        assert_eq!(charged(None), (amount("100.007"), Amount::ZERO));
        for flag in [Flag::Excessive, Flag::Contradictory] {
            assert_eq!(charged(Some(flag)), (amount("8.34"), amount("91.667")));
        }
    }

    #[test]
    fn an_unreported_bucket_has_no_line() {
        let rates = Rates::plain(amount("1"), amount("1"));
        let only_input = CallUsage::of_totals(Some(Tokens::ZERO), None, None);
        assert_eq!(price(&only_input, &rates, Discount::NONE).unwrap().lines.len(), 1);
    }

    prop_compose! {
        fn any_rates()(nanos in prop::array::uniform8(0..=Rates::MAX_PER_1K.nanos()), own in prop::array::uniform6(any::<bool>()), fee in 0..=Rates::MAX_PER_1K.nanos()) -> BucketRatesAndFee {
            let at = |i: usize| own[i - 2].then(|| Amount::from_nanos(nanos[i]));
            let base = BucketRates {
                input: Amount::from_nanos(nanos[0]), output: Amount::from_nanos(nanos[1]), cache_read: at(2), cache_write_5m: at(3),
                cache_write_1h: at(4), reasoning: at(5), audio_input: at(6), audio_output: at(7),
            };
            (base, Amount::from_nanos(fee))
        }
    }
    type BucketRatesAndFee = (BucketRates, Amount);

    prop_compose! {
        fn any_usage(max: i64)(counts in prop::array::uniform8(prop::option::of(0..=max))) -> CallUsage {
            let at = |i: usize| counts[i].map(Tokens::from_sum);
            let counts = TokenCounts {
                input: at(0), cache_read: at(1), cache_write_5m: at(2), cache_write_1h: at(3), audio_input: at(4), output: at(5), reasoning: at(6),
                audio_output: at(7),
            };
            CallUsage { prompt_tokens: counts.side(true), completion_tokens: counts.side(false), total_tokens: None, counts, flag: None }
        }
    }

    proptest! {
        #[test]
        fn lines_and_fee_add_up_to_the_charge((base, per_call) in any_rates(), usage in any_usage(1_000), bps in 0..=10_000) {
            let rates = Rates { base, per_call, tiers: vec![] };
            let receipt = price(&usage, &rates, Discount::from_bps(bps).unwrap()).unwrap();
            // The calculation a person would do, in integers: Σ tokens × rate, fee × 1,000, × (10,000 − bps), ÷ 10,000,000, half up.
            let sum: i128 = receipt.lines.iter().map(|line| i128::from(line.tokens.get()) * i128::from(line.per_1k.nanos())).sum();
            let exact = (sum + i128::from(receipt.per_call.nanos()) * 1_000) * (10_000 - i128::from(bps));
            prop_assert_eq!(i128::from(receipt.amount.nanos()), (exact + 5_000_000).div_euclid(10_000_000));
            prop_assert_eq!(receipt.exact.parts(), exact);
            prop_assert!(!receipt.amount.is_negative());
        }

        #[test]
        fn the_largest_call_at_the_largest_rate_is_an_error_never_a_wrap((base, per_call) in any_rates(), usage in any_usage(Tokens::MAX_PER_CALL)) {
            let rates = Rates { base, per_call, tiers: vec![] };
            if let Ok(receipt) = price(&usage, &rates, Discount::NONE) {
                prop_assert!(!receipt.amount.is_negative());
            }
        }

        #[test]
        fn no_call_within_its_bounds_costs_more_than_its_hold((base, per_call) in any_rates(), usage in any_usage(1_000), tier in 1_i64..5_000, bps in 0..=10_000) {
            let dearer = BucketRates { input: base.output, ..base.clone() };
            let rates = Rates { base, per_call, tiers: vec![ContextTier { from_prompt_tokens: Tokens::from_sum(tier), rates: dearer }] };
            let discount = Discount::from_bps(bps).unwrap();
            let bound = upper_bound(usage.prompt_tokens.unwrap_or_default(), usage.completion_tokens.unwrap_or_default(), &rates, discount).unwrap();
            prop_assert!(price(&usage, &rates, discount).unwrap().amount <= bound);
        }
    }
}
