//! What a model's tokens cost: rates per 1,000 tokens, a fee per call, and tiers by context length.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

use crate::{
    money::Amount,
    pricing::Discount,
    tokens::{Bucket, Tokens},
};

/// One rate per bucket, each an [`Amount`] **per 1,000 tokens**. An absent rate falls back to the plain one of its side; that of a one-hour cache to that
/// of a five-minute one first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketRates {
    /// Plain prompt tokens.
    pub input: Amount,
    /// Plain completion tokens.
    pub output: Amount,
    /// Prompt tokens read from cache.
    #[serde(default)]
    pub cache_read: Option<Amount>,
    /// Prompt tokens written to a five-minute cache.
    #[serde(default)]
    pub cache_write_5m: Option<Amount>,
    /// Prompt tokens written to a one-hour cache.
    #[serde(default)]
    pub cache_write_1h: Option<Amount>,
    /// Reasoning tokens.
    #[serde(default)]
    pub reasoning: Option<Amount>,
    /// Audio in the prompt.
    #[serde(default)]
    pub audio_input: Option<Amount>,
    /// Audio in the completion.
    #[serde(default)]
    pub audio_output: Option<Amount>,
}

impl BucketRates {
    /// Rates with only a prompt and a completion price.
    #[must_use]
    pub const fn plain(input: Amount, output: Amount) -> Self {
        Self {
            input,
            output,
            cache_read: None,
            cache_write_5m: None,
            cache_write_1h: None,
            reasoning: None,
            audio_input: None,
            audio_output: None,
        }
    }

    /// The rate that a bucket is charged at, after falling back.
    #[must_use]
    pub fn of(&self, bucket: Bucket) -> Amount {
        let own = match bucket {
            // At least as dear as what lives for less.
            Bucket::CacheWrite1h => self.own(bucket).or(self.cache_write_5m),
            _ => self.own(bucket),
        };
        own.unwrap_or(if bucket.is_prompt() { self.input } else { self.output })
    }

    /// The rate of its own that a bucket has, before falling back.
    #[must_use]
    pub const fn own(&self, bucket: Bucket) -> Option<Amount> {
        match bucket {
            Bucket::Input => Some(self.input),
            Bucket::CacheRead => self.cache_read,
            Bucket::CacheWrite5m => self.cache_write_5m,
            Bucket::CacheWrite1h => self.cache_write_1h,
            Bucket::AudioInput => self.audio_input,
            Bucket::Output => Some(self.output),
            Bucket::Reasoning => self.reasoning,
            Bucket::AudioOutput => self.audio_output,
        }
    }

    fn dearest(&self, prompt: bool) -> Amount {
        Bucket::ALL.into_iter().filter(|bucket| bucket.is_prompt() == prompt).map(|bucket| self.of(bucket)).max().unwrap_or_default()
    }
}

/// Where people read it, what is absent is left out; in a binary form every rate has its place.
impl Serialize for BucketRates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let own = [
            ("cache_read", self.cache_read),
            ("cache_write_5m", self.cache_write_5m),
            ("cache_write_1h", self.cache_write_1h),
            ("reasoning", self.reasoning),
            ("audio_input", self.audio_input),
            ("audio_output", self.audio_output),
        ];
        let for_people = serializer.is_human_readable();
        let written = own.into_iter().filter(|(_, rate)| !for_people || rate.is_some());
        let mut rates = serializer.serialize_struct("BucketRates", 2 + written.clone().count())?;
        rates.serialize_field("input", &self.input)?;
        rates.serialize_field("output", &self.output)?;
        for (name, rate) in written {
            rates.serialize_field(name, &rate)?;
        }
        rates.end()
    }
}

/// Another set of rates for **all** tokens of a call whose prompt is at least this long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextTier {
    /// `prompt_tokens` from which the tier applies.
    pub from_prompt_tokens: Tokens,
    /// Its rates.
    pub rates: BucketRates,
}

/// Everything that prices a call of one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// The rates of a call that reaches no tier.
    pub base: BucketRates,
    /// A flat fee per call.
    #[serde(default)]
    pub per_call: Amount,
    /// Tiers by prompt length, ascending.
    #[serde(default)]
    pub tiers: Vec<ContextTier>,
}

/// Why a set of rates is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RatesError {
    /// A price may be zero, never negative.
    #[error("a price cannot be below zero")]
    Negative,
    /// Above [`Rates::MAX_PER_1K`].
    #[error("a price per 1,000 tokens cannot be above 1,000,000")]
    TooHigh,
    /// Tiers must ascend and start above zero.
    #[error("context tiers must start above 0 prompt tokens and ascend")]
    TierOrder,
}

impl Rates {
    /// The highest rate or fee, in nanos: 1,000,000 currency units. With it, no product of a rate and a call's tokens overflows.
    pub const MAX_PER_1K: Amount = Amount::from_nanos(1_000_000_000_000_000);

    /// Rates with only a prompt and a completion price.
    #[must_use]
    pub const fn plain(input: Amount, output: Amount) -> Self {
        Self { base: BucketRates::plain(input, output), per_call: Amount::ZERO, tiers: Vec::new() }
    }

    /// The rates with a discount off each, to be compared with others: a call is charged by the rates as they are, and its discount comes off once, last.
    #[must_use]
    pub fn less(&self, discount: Discount) -> Self {
        let less = |amount: Amount| discount.off(amount);
        let rates = |of: &BucketRates| BucketRates {
            input: less(of.input),
            output: less(of.output),
            cache_read: of.cache_read.map(less),
            cache_write_5m: of.cache_write_5m.map(less),
            cache_write_1h: of.cache_write_1h.map(less),
            reasoning: of.reasoning.map(less),
            audio_input: of.audio_input.map(less),
            audio_output: of.audio_output.map(less),
        };
        let tiers = self.tiers.iter().map(|tier| ContextTier { rates: rates(&tier.rates), ..tier.clone() });
        Self { base: rates(&self.base), per_call: less(self.per_call), tiers: tiers.collect() }
    }

    /// The rates for a prompt of this length. "Not reported" counts as the base.
    #[must_use]
    pub fn at(&self, prompt_tokens: Option<Tokens>) -> &BucketRates {
        let prompt = prompt_tokens.unwrap_or_default();
        self.tiers.iter().rev().find(|tier| tier.from_prompt_tokens <= prompt).map_or(&self.base, |tier| &tier.rates)
    }

    /// The dearest prompt-side or completion-side rate over every tier that a prompt of at most this length can reach.
    #[must_use]
    pub fn dearest_up_to(&self, prompt_tokens: Tokens, prompt: bool) -> Amount {
        let reachable = self.tiers.iter().filter(|tier| tier.from_prompt_tokens <= prompt_tokens).map(|tier| &tier.rates);
        std::iter::once(&self.base).chain(reachable).map(|rates| rates.dearest(prompt)).max().unwrap_or_default()
    }

    /// Checks what a person typed or a file brought.
    ///
    /// # Errors
    /// See [`RatesError`].
    pub fn validate(&self) -> Result<(), RatesError> {
        if self.amounts().any(Amount::is_negative) {
            return Err(RatesError::Negative);
        }
        if self.amounts().any(|amount| amount > Self::MAX_PER_1K) {
            return Err(RatesError::TooHigh);
        }
        let starts = self.tiers.iter().map(|tier| tier.from_prompt_tokens);
        if !std::iter::once(Tokens::ZERO).chain(starts).is_sorted_by(|a, b| a < b) {
            return Err(RatesError::TierOrder);
        }
        Ok(())
    }

    fn amounts(&self) -> impl Iterator<Item = Amount> + '_ {
        let sets = std::iter::once(&self.base).chain(self.tiers.iter().map(|tier| &tier.rates));
        sets.flat_map(|rates| Bucket::ALL.into_iter().map(|bucket| rates.of(bucket))).chain(std::iter::once(self.per_call))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn rates() -> Rates {
        let tier = BucketRates { reasoning: Some(Amount::ZERO), ..BucketRates::plain(Amount::from_nanos(3), Amount::from_nanos(4)) };
        let mut rates = Rates::plain(Amount::from_nanos(1_000), Amount::from_nanos(2_000));
        rates.base.cache_write_1h = Some(Amount::from_nanos(1_500));
        rates.tiers = vec![ContextTier { from_prompt_tokens: Tokens::from_sum(200_000), rates: tier }];
        rates
    }

    #[test]
    fn people_read_no_rate_that_is_not_there() {
        let plain = serde_json::to_string(&BucketRates::plain(Amount::from_nanos(1_000), Amount::ZERO)).unwrap();
        assert_eq!(plain, r#"{"input":"0.000001","output":"0"}"#);
        assert_eq!(serde_json::from_str::<Rates>(&serde_json::to_string(&rates()).unwrap()).unwrap(), rates());
    }

    #[test]
    fn rates_survive_the_way_to_the_browser() {
        let bytes = postcard::to_allocvec(&rates()).unwrap();
        assert_eq!(postcard::from_bytes::<Rates>(&bytes).unwrap(), rates());
    }
}
