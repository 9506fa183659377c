//! From a provider's `usage` object to disjoint buckets.

use domain::tokens::{CallUsage, Flag, TokenCounts, Tokens};
use serde_json::Value;

/// The numbers that providers report, each under the first of its names that is there.
///
/// | name | who says so |
/// |---|---|
/// | `prompt_tokens_details.*`, `completion_tokens_details.*` | OpenAI, Azure, OpenRouter, xAI, Qwen, vLLM, Hugging Face |
/// | `prompt_cache_hit_tokens` | DeepSeek |
/// | `cached_tokens` | Together |
/// | `prompt_tokens_details.cache_creation_input_tokens` | Qwen |
/// | `reasoning_tokens` | Perplexity, beside a completion that does not hold them: such a call is flagged |
/// | `cache_read_input_tokens`, `cache_creation_input_tokens` | Databricks, for Anthropic's models |
///
/// Everything else that stands in a `usage` (times, costs, texts, video and image parts of the totals) is left alone.
const NAMES: [(Field, &[&str]); 8] = [
    (Field::Prompt, &["/prompt_tokens"]),
    (Field::Completion, &["/completion_tokens"]),
    (Field::Total, &["/total_tokens"]),
    (Field::CacheRead, &["/prompt_tokens_details/cached_tokens", "/prompt_cache_hit_tokens", "/cached_tokens", "/cache_read_input_tokens"]),
    (
        Field::CacheWrite,
        &[
            "/prompt_tokens_details/cache_write_tokens",
            "/prompt_tokens_details/cache_creation_input_tokens",
            "/cache_creation_input_tokens",
        ],
    ),
    (Field::AudioInput, &["/prompt_tokens_details/audio_tokens"]),
    (Field::Reasoning, &["/completion_tokens_details/reasoning_tokens", "/reasoning_tokens"]),
    (Field::AudioOutput, &["/completion_tokens_details/audio_tokens"]),
];

/// What a provider's totals may leave out: its own `total_tokens` decides. Every provider's total holds everything it counted.
const OUTSIDE: [&[Field]; 3] = [
    // OpenAI and nearly everyone: all parts are inside.
    &[],
    // xAI: reasoning stands beside the completion (12 + 1 + 290 = 303).
    &[Field::Reasoning],
    // Mistral: audio stands beside the prompt (9 + 375 + 248 = 632).
    &[Field::AudioInput],
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Prompt,
    Completion,
    Total,
    CacheRead,
    CacheWrite,
    AudioInput,
    Reasoning,
    AudioOutput,
}

/// The numbers of a `usage` object as they were reported; `None` is "not reported", which is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reported {
    counts: [Option<Tokens>; NAMES.len()],
    /// A part of a total is no number that a part can be. It was left out, and what is left contradicts itself.
    contradicts: bool,
}

impl Reported {
    /// Reads a `usage` object. `None` if it is no object, holds no count at all, or a prompt or completion that no call can have (negative,
    /// fractional, absurdly large): a fault of the upstream, never a bill. A part that is no number spoils only the parts.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        let usage: Value = serde_json::from_slice(json).ok()?;
        let mut reported = Self::default();
        for (field, names) in NAMES {
            let value = names.iter().filter_map(|name| usage.pointer(name)).find(|value| !value.is_null());
            let Some(value) = value else { continue };
            match value.as_i64().and_then(|count| Tokens::of_call(count).ok()) {
                Some(count) => reported.counts[field as usize] = Some(count),
                None if matches!(field, Field::Prompt | Field::Completion) => return None,
                None => reported.contradicts = true,
            }
        }
        reported.counts.iter().any(Option::is_some).then_some(reported)
    }

    /// Takes in a later report of the same call. Providers that report more than once report running sums, so the larger number is the later.
    pub fn merge(&mut self, later: Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(later.counts) {
            *mine = (*mine).max(theirs);
        }
        self.contradicts |= later.contradicts;
    }

    /// Whether every number in it is 0: some upstreams send such a report with an error.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.counts.iter().flatten().all(|count| *count == Tokens::ZERO)
    }

    /// The number of all prompt-side tokens, as reported.
    #[must_use]
    pub fn prompt(&self) -> Option<Tokens> {
        self.get(Field::Prompt)
    }

    /// The number of all completion-side tokens, as reported.
    #[must_use]
    pub fn completion(&self) -> Option<Tokens> {
        self.get(Field::Completion)
    }

    /// The same from a model whose thinking is output that only the total tells of.
    ///
    /// Gemini's OpenAI-compatible API reports 35 prompt, 12 completion and 109 total tokens: the other 62 are thoughts, which Google bills as
    /// output (<https://ai.google.dev/gemini-api/docs/thinking>, "Pricing").
    #[must_use]
    pub fn with_thoughts(mut self) -> Self {
        if let (Some(prompt), Some(completion), Some(total), None) =
            (self.prompt(), self.completion(), self.get(Field::Total), self.get(Field::Reasoning))
        {
            let output = total.get() - prompt.get();
            if output > completion.get() {
                self.counts[Field::Completion as usize] = Some(Tokens::from_sum(output));
            }
        }
        self
    }

    /// The same with another completion, which the total then holds too.
    #[must_use]
    pub fn with_completion(mut self, completion: Tokens) -> Self {
        let more = completion.get() - self.count(Field::Completion);
        self.counts[Field::Completion as usize] = Some(completion);
        if let Some(total) = &mut self.counts[Field::Total as usize] {
            *total = Tokens::from_sum(total.get() + more);
        }
        self
    }

    /// The buckets. Where the numbers contradict each other, only the two totals count.
    #[must_use]
    pub fn into_usage(self) -> CallUsage {
        if self.contradicts {
            return self.contradictory();
        }
        let Some(outside) = OUTSIDE.into_iter().find(|outside| self.explains_total(outside)) else { return self.contradictory() };
        let prompt = self.with(Field::Prompt, Field::AudioInput, outside);
        let completion = self.with(Field::Completion, Field::Reasoning, outside);
        let parts = [Field::CacheRead, Field::CacheWrite, Field::AudioInput];
        let Some(input) = self.rest(prompt, &parts) else { return self.contradictory() };
        let Some(output) = self.rest(completion, &[Field::Reasoning, Field::AudioOutput]) else { return self.contradictory() };
        CallUsage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: self.get(Field::Total),
            counts: TokenCounts {
                input,
                cache_read: self.get(Field::CacheRead),
                // Without a word on how long it lives, it is the cache that everyone has: five minutes.
                cache_write_5m: self.get(Field::CacheWrite),
                cache_write_1h: None,
                audio_input: self.get(Field::AudioInput),
                output,
                reasoning: self.get(Field::Reasoning),
                audio_output: self.get(Field::AudioOutput),
            },
            flag: None,
        }
    }

    fn get(&self, field: Field) -> Option<Tokens> {
        self.counts[field as usize]
    }

    fn count(&self, field: Field) -> i64 {
        self.get(field).unwrap_or_default().get()
    }

    /// Whether the total is the sum of the two sides and what lies outside of them; without a total, nothing does.
    fn explains_total(&self, outside: &[Field]) -> bool {
        let sides = self.count(Field::Prompt) + self.count(Field::Completion);
        let beside: i64 = outside.iter().map(|field| self.count(*field)).sum();
        self.get(Field::Total).map_or(outside.is_empty(), |total| total.get() == sides + beside)
    }

    /// A side's total, with the part that lies beside it.
    fn with(&self, side: Field, part: Field, outside: &[Field]) -> Option<Tokens> {
        let total = self.get(side)?;
        Some(if outside.contains(&part) { total.saturating_add(self.get(part).unwrap_or_default()) } else { total })
    }

    /// What is left of a side's total when its parts are taken out: `Some(None)` if the side was not reported, `None` if the parts do not fit.
    fn rest(&self, side: Option<Tokens>, parts: &[Field]) -> Option<Option<Tokens>> {
        let sum: i64 = parts.iter().map(|part| self.count(*part)).sum();
        match side {
            Some(total) if sum <= total.get() => Some(Some(Tokens::from_sum(total.get() - sum))),
            None if parts.iter().all(|part| self.get(*part).is_none()) => Some(None),
            _ => None,
        }
    }

    fn contradictory(&self) -> CallUsage {
        let totals = CallUsage::of_totals(self.get(Field::Prompt), self.get(Field::Completion), self.get(Field::Total));
        CallUsage { flag: Some(Flag::Contradictory), ..totals }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn usage(json: &str) -> CallUsage {
        Reported::parse(json.as_bytes()).unwrap().into_usage()
    }

    fn tokens(count: i64) -> Option<Tokens> {
        Some(Tokens::from_sum(count))
    }

    #[test]
    fn parts_are_taken_out_of_their_totals() {
        let usage = usage(
            r#"{"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10, "audio_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 0}}"#,
        );
        assert_eq!((usage.counts.input, usage.counts.cache_read, usage.counts.cache_write_5m), (tokens(25), tokens(60), tokens(10)));
        assert_eq!((usage.counts.output, usage.counts.reasoning, usage.counts.audio_output), (tokens(30), tokens(20), tokens(0)));
        assert!(usage.adds_up() && usage.flag.is_none());
    }

    #[test]
    fn thoughts_that_only_the_total_tells_of_are_output() {
        let reported = |json: &str| Reported::parse(json.as_bytes()).unwrap();
        let gemini = r#"{"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}"#;
        let usage = reported(gemini).with_thoughts().into_usage();
        assert_eq!((usage.completion_tokens, usage.counts.output, usage.flag), (tokens(74), tokens(74), None));
        assert!(reported(gemini).into_usage().flag.is_some(), "from any other model it is a contradiction");
        let whole = r#"{"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 47}"#;
        assert_eq!(reported(whole).with_thoughts(), reported(whole));
    }

    #[test]
    fn another_completion_leaves_the_parts_of_the_prompt_and_what_lies_beside_it() {
        let reported = |json: &str| Reported::parse(json.as_bytes()).unwrap().with_completion(Tokens::from_sum(9)).into_usage();
        let cached = reported(
            r#"{"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101, "prompt_tokens_details": {"cached_tokens": 60}}"#,
        );
        assert_eq!((cached.counts.input, cached.counts.cache_read, cached.counts.output), (tokens(40), tokens(60), tokens(9)));
        assert!(cached.adds_up() && cached.flag.is_none());
        let beside = reported(
            r#"{"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 303, "completion_tokens_details": {"reasoning_tokens": 290}}"#,
        );
        assert_eq!((beside.counts.reasoning, beside.counts.output, beside.flag), (tokens(290), tokens(9), None));
    }

    #[test]
    fn what_was_not_reported_is_not_zero() {
        let usage = usage(r#"{"prompt_tokens": 5, "total_tokens": 5}"#);
        assert_eq!((usage.counts.input, usage.counts.output, usage.counts.cache_read), (tokens(5), None, None));
    }

    #[test]
    fn contradictions_are_flagged_and_priced_by_their_totals() {
        for json in [
            r#"{"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 161}}"#,
            r#"{"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15, "completion_tokens_details": {"reasoning_tokens": 11}}"#,
            r#"{"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 99}"#,
            r#"{"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15, "completion_tokens_details": {"reasoning_tokens": -1}}"#,
            r#"{"prompt_tokens": 7, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": "0"}}"#,
        ] {
            let usage = usage(json);
            assert_eq!(usage.flag, Some(Flag::Contradictory), "{json}");
            assert_eq!(usage.counts, TokenCounts { input: tokens(7), output: tokens(8), ..TokenCounts::default() }, "{json}");
        }
    }

    #[test]
    fn what_cannot_be_a_count_is_no_usage() {
        for json in ["{}", "7", "{", r#"{"prompt_tokens": -1}"#, r#"{"prompt_tokens": 1.5}"#, r#"{"prompt_tokens": 99999999999999999999}"#]
        {
            assert_eq!(Reported::parse(json.as_bytes()), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn buckets_always_add_up_to_the_totals(counts in prop::array::uniform8(prop::option::of(0_i64..100)), honest: bool) {
            let mut reported = Reported { counts: counts.map(|count| count.map(Tokens::from_sum)), contradicts: false };
            if honest {
                reported.counts[Field::Total as usize] = tokens(reported.count(Field::Prompt) + reported.count(Field::Completion));
            }
            let usage = reported.into_usage();
            prop_assert!(usage.adds_up());
            if usage.flag.is_some() {
                prop_assert_eq!(usage.counts, CallUsage::of_totals(usage.prompt_tokens, usage.completion_tokens, None).counts);
            }
        }
    }
}
