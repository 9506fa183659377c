//! A sale price from what the provider charges.

use crate::{
    money::Amount,
    rates::{BucketRates, ContextTier, Rates},
};

/// The most that is added: a hundred times the price.
pub const MARKUP_MAX: u32 = 1_000_000;

/// One, in basis points.
const WHOLE: i128 = 10_000;

/// Rates with so many basis points added to each of them, and to the fee. Each is rounded half up to a nano, once; `None` if one is too high then.
#[must_use]
pub fn marked_up(rates: &Rates, basis_points: u32) -> Option<Rates> {
    let add = |amount| with_markup(amount, basis_points);
    let tier = |tier: &ContextTier| Some(ContextTier { rates: each(&tier.rates, add)?, ..*tier });
    let marked = Rates {
        base: each(&rates.base, add)?,
        per_call: add(rates.per_call)?,
        tiers: rates.tiers.iter().map(tier).collect::<Option<_>>()?,
    };
    Some(marked).filter(|rates| rates.validate().is_ok())
}

fn with_markup(amount: Amount, basis_points: u32) -> Option<Amount> {
    let parts = i128::from(amount.nanos()) * (WHOLE + i128::from(basis_points));
    i64::try_from((parts + WHOLE / 2).div_euclid(WHOLE)).ok().map(Amount::from_nanos)
}

fn each(rates: &BucketRates, add: impl Fn(Amount) -> Option<Amount>) -> Option<BucketRates> {
    let maybe = |rate: Option<Amount>| rate.map_or(Some(None), |rate| add(rate).map(Some));
    Some(BucketRates {
        input: add(rates.input)?,
        output: add(rates.output)?,
        cache_read: maybe(rates.cache_read)?,
        cache_write_5m: maybe(rates.cache_write_5m)?,
        cache_write_1h: maybe(rates.cache_write_1h)?,
        reasoning: maybe(rates.reasoning)?,
        audio_input: maybe(rates.audio_input)?,
        audio_output: maybe(rates.audio_output)?,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_markup_is_rounded_half_up_to_a_nano() {
        let marked = |nanos, basis_points| with_markup(Amount::from_nanos(nanos), basis_points).unwrap().nanos();
        assert_eq!((marked(150_000, 0), marked(150_000, 2_000), marked(150_000, 10_000)), (150_000, 180_000, 300_000));
        // 1 + 50 % is 1.5 nanos, 1 + 49.99 % is 1.4999.
        assert_eq!((marked(1, 5_000), marked(1, 4_999), marked(0, 5_000), marked(3, 5_000)), (2, 1, 0, 5));
    }

    #[test]
    fn a_markup_beyond_the_highest_price_is_none() {
        let dear = Rates::plain(Rates::MAX_PER_1K, Amount::ZERO);
        assert_eq!((marked_up(&dear, 0), marked_up(&dear, 1)), (Some(dear.clone()), None));
    }
}
