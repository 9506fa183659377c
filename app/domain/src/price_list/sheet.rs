//! Rates as they are gathered from a list, bucket by bucket.

use std::collections::BTreeMap;

use super::Refusal;
use crate::{
    money::Amount,
    rates::{BucketRates, ContextTier, Rates},
    tokens::{Bucket, Tokens},
};

/// One rate for each bucket that the list prices, per 1,000 tokens.
pub(super) type Column = BTreeMap<Bucket, Amount>;

/// What a list says of one model at one time.
#[derive(Default)]
pub(super) struct Sheet {
    /// For a prompt that reaches no tier.
    pub(super) base: Column,
    /// For prompts of at least so many tokens, complete.
    pub(super) tiers: BTreeMap<i64, Column>,
    /// A fee per call.
    pub(super) per_call: Amount,
}

impl Sheet {
    /// The rates. `input` and `output` are what the list calls the two that every model must have.
    pub(super) fn into_rates(self, input: &str, output: &str) -> Result<Rates, Refusal> {
        let bucket_rates = |column: &Column| {
            let rate = |bucket: Bucket| column.get(&bucket).copied();
            Ok(BucketRates {
                input: rate(Bucket::Input).ok_or_else(|| Refusal::Absent(input.to_owned()))?,
                output: rate(Bucket::Output).ok_or_else(|| Refusal::Absent(output.to_owned()))?,
                cache_read: rate(Bucket::CacheRead),
                cache_write_5m: rate(Bucket::CacheWrite5m),
                cache_write_1h: rate(Bucket::CacheWrite1h),
                reasoning: rate(Bucket::Reasoning),
                audio_input: rate(Bucket::AudioInput),
                audio_output: rate(Bucket::AudioOutput),
            })
        };
        let tier =
            |(from, column): (&i64, &Column)| Ok(ContextTier { from_prompt_tokens: Tokens::from_sum(*from), rates: bucket_rates(column)? });
        let rates = Rates {
            base: bucket_rates(&self.base)?,
            per_call: self.per_call,
            tiers: self.tiers.iter().map(tier).collect::<Result<_, Refusal>>()?,
        };
        rates.validate().map_err(|error| Refusal::Rates(error.to_string()))?;
        Ok(rates)
    }
}
