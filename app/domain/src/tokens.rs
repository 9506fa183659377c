//! Token counts in disjoint buckets, beside the totals that the upstream reported.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
#[serde(transparent)]
pub struct Tokens(i64);

/// A count that no call can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a plausible number of tokens for one call")]
pub struct AbsurdTokens(pub i128);

impl Tokens {
    /// None at all, which is not the same as "not reported".
    pub const ZERO: Self = Self(0);

    /// More than any one call can have: a count above it is a fault of the upstream, not a bill.
    pub const MAX_PER_CALL: i64 = 1_000_000_000;

    /// A count for one call.
    ///
    /// # Errors
    /// [`AbsurdTokens`] when negative or above [`Self::MAX_PER_CALL`].
    pub fn of_call(count: i64) -> Result<Self, AbsurdTokens> {
        if (0..=Self::MAX_PER_CALL).contains(&count) { Ok(Self(count)) } else { Err(AbsurdTokens(i128::from(count))) }
    }

    /// A count summed over calls, as the ledger keeps it. There are never fewer than none: below zero is zero.
    #[must_use]
    pub const fn from_sum(count: i64) -> Self {
        Self(if count < 0 { 0 } else { count })
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum, at most `i64::MAX`.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One kind of token that has a rate of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// Prompt tokens that came from no cache.
    Input,
    /// Prompt tokens read from the provider's cache.
    CacheRead,
    /// Prompt tokens written to a cache that lives five minutes.
    #[serde(rename = "cache_write_5m")]
    CacheWrite5m,
    /// Prompt tokens written to a cache that lives an hour.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// Prompt tokens that stand for audio.
    AudioInput,
    /// Visible completion tokens.
    Output,
    /// Completion tokens that the model thought with.
    Reasoning,
    /// Completion tokens that stand for audio.
    AudioOutput,
}

impl Bucket {
    /// Every bucket, in the order in which a receipt lists them.
    pub const ALL: [Self; 8] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::AudioInput,
        Self::Output,
        Self::Reasoning,
        Self::AudioOutput,
    ];

    /// Whether its tokens are part of the prompt; the others are part of the completion.
    #[must_use]
    pub const fn is_prompt(self) -> bool {
        matches!(self, Self::Input | Self::CacheRead | Self::CacheWrite5m | Self::CacheWrite1h | Self::AudioInput)
    }

    /// Its name in words, as a receipt shows it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Input => "Prompt tokens",
            Self::CacheRead => "Prompt tokens, read from cache",
            Self::CacheWrite5m => "Prompt tokens, written to cache (5 minutes)",
            Self::CacheWrite1h => "Prompt tokens, written to cache (1 hour)",
            Self::AudioInput => "Prompt tokens, audio",
            Self::Output => "Completion tokens",
            Self::Reasoning => "Completion tokens, reasoning",
            Self::AudioOutput => "Completion tokens, audio",
        }
    }
}

/// Tokens of one call, each counted in exactly one bucket. `None` is "not reported".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TokenCounts {
    /// See [`Bucket::Input`].
    pub input: Option<Tokens>,
    /// See [`Bucket::CacheRead`].
    pub cache_read: Option<Tokens>,
    /// See [`Bucket::CacheWrite5m`].
    pub cache_write_5m: Option<Tokens>,
    /// See [`Bucket::CacheWrite1h`].
    pub cache_write_1h: Option<Tokens>,
    /// See [`Bucket::AudioInput`].
    pub audio_input: Option<Tokens>,
    /// See [`Bucket::Output`].
    pub output: Option<Tokens>,
    /// See [`Bucket::Reasoning`].
    pub reasoning: Option<Tokens>,
    /// See [`Bucket::AudioOutput`].
    pub audio_output: Option<Tokens>,
}

impl TokenCounts {
    /// The tokens of a bucket.
    #[must_use]
    pub const fn get(&self, bucket: Bucket) -> Option<Tokens> {
        match bucket {
            Bucket::Input => self.input,
            Bucket::CacheRead => self.cache_read,
            Bucket::CacheWrite5m => self.cache_write_5m,
            Bucket::CacheWrite1h => self.cache_write_1h,
            Bucket::AudioInput => self.audio_input,
            Bucket::Output => self.output,
            Bucket::Reasoning => self.reasoning,
            Bucket::AudioOutput => self.audio_output,
        }
    }

    /// All prompt-side or all completion-side tokens; `None` when no such bucket is reported.
    #[must_use]
    pub fn side(&self, prompt: bool) -> Option<Tokens> {
        Bucket::ALL
            .into_iter()
            .filter(|bucket| bucket.is_prompt() == prompt)
            .filter_map(|bucket| self.get(bucket))
            .reduce(Tokens::saturating_add)
    }
}

/// Why an upstream's numbers are not taken as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// They contradict each other: parts do not fit into their total, or the total holds tokens that nothing explains.
    Contradictory,
    /// They add up, and are more than the model can do, or than it was asked for.
    Excessive,
    /// Part of them has another price: the call was served at a tier, or in part by a second model, that the model's price does not know.
    OtherTerms,
}

impl Flag {
    /// Its name in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contradictory => "contradictory",
            Self::Excessive => "excessive",
            Self::OtherTerms => "other_terms",
        }
    }
}

/// What one call used: the upstream's own totals, and the buckets that are priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallUsage {
    /// `prompt_tokens`, everything on the prompt side, as reported.
    pub prompt_tokens: Option<Tokens>,
    /// `completion_tokens`, everything on the completion side, as reported.
    pub completion_tokens: Option<Tokens>,
    /// `total_tokens` as reported; never computed.
    pub total_tokens: Option<Tokens>,
    /// The disjoint buckets. Where the numbers contradict each other, only `input` and `output`, equal to the two totals.
    pub counts: TokenCounts,
    /// What is wrong with the upstream's numbers, if anything is.
    pub flag: Option<Flag>,
}

impl CallUsage {
    /// Usage of a call of which only the two totals are known or trusted.
    #[must_use]
    pub fn of_totals(prompt: Option<Tokens>, completion: Option<Tokens>, total: Option<Tokens>) -> Self {
        let counts = TokenCounts { input: prompt, output: completion, ..TokenCounts::default() };
        Self { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total, counts, flag: None }
    }

    /// The same, flagged if it is more than the call can have used: its prompt more than the model takes, its completion more than was asked for.
    #[must_use]
    pub fn within(self, prompt_max: Tokens, completion_max: Tokens) -> Self {
        let exceeds = self.prompt_tokens > Some(prompt_max) || self.completion_tokens > Some(completion_max);
        Self { flag: self.flag.or(exceeds.then_some(Flag::Excessive)), ..self }
    }

    /// Whether the buckets add up to the totals that they stand beside.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.counts.side(true) == self.prompt_tokens && self.counts.side(false) == self.completion_tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_call_can_have_used_is_flagged_unless_its_numbers_contradict_each_other_anyway() {
        let usage = |prompt, completion| CallUsage::of_totals(Some(Tokens(prompt)), Some(Tokens(completion)), None);
        let flag = |usage: CallUsage| usage.within(Tokens(100), Tokens(10)).flag;
        assert_eq!(
            [(100, 10), (101, 10), (100, 11)].map(|(prompt, completion)| flag(usage(prompt, completion))),
            [None, Some(Flag::Excessive), Some(Flag::Excessive)]
        );
        assert_eq!(flag(CallUsage::default()), None, "what was not reported is not too much");
        assert_eq!(flag(CallUsage { flag: Some(Flag::Contradictory), ..usage(101, 11) }), Some(Flag::Contradictory));
    }
}
