//! From what an upstream reports of tokens to disjoint buckets.

use domain::tokens::{CallUsage, Flag, TokenCounts, Tokens};

use crate::wire::report::{Count, Number, Report};

/// How an API counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accounting {
    pub(crate) cache: CacheTokens,
    pub(crate) later: Later,
}

/// Where tokens stand that were read from a cache, or written to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheTokens {
    /// In the prompt's count.
    InPrompt,
    /// Beside it.
    BesidePrompt,
}

/// What a later report of the same answer is to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Later {
    /// A running sum: the larger number is the later.
    Grows,
    /// The last word on each number that it has.
    Replaces,
}

/// What a provider's totals may leave out: its own `total_tokens` decides. Every provider's total holds everything it counted.
const OUTSIDE: [&[Count]; 3] = [
    // OpenAI and nearly everyone: all parts are inside.
    &[],
    // xAI: reasoning stands beside the completion (12 + 1 + 290 = 303).
    &[Count::Reasoning],
    // Mistral: audio stands beside the prompt (9 + 375 + 248 = 632).
    &[Count::AudioInput],
];

/// What several passes over the model are summed in.
const OF_PASSES: [Count; 6] = [Count::Input, Count::Output, Count::CacheRead, Count::CacheWrite, Count::CacheWrite5m, Count::CacheWrite1h];

/// The numbers of a report; `None` is "not reported", which is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reported {
    counts: [Option<Tokens>; Count::ALL],
    /// Something of it is no number that it can be. It was left out, and what is left contradicts itself.
    contradicts: bool,
}

impl Reported {
    /// Reads a report. `None` if it holds no count at all, or a prompt or completion that no call can have (negative, fractional, absurdly large): a fault of
    /// the upstream, never a bill. A part that is no number spoils only the parts.
    #[must_use]
    pub(crate) fn of(report: &Report) -> Option<Self> {
        let mut reported = Self::default();
        for count in ALL {
            match report.get(count) {
                None => {}
                Some(Number::Whole(number)) if Tokens::of_call(number).is_ok() => {
                    reported.counts[count as usize] = Some(Tokens::from_sum(number));
                }
                Some(_) if matches!(count, Count::Input | Count::Output) => return None,
                Some(_) => reported.contradicts = true,
            }
        }
        reported.counts.iter().any(Option::is_some).then_some(reported)
    }

    /// Takes in a later report of the same answer.
    pub(crate) fn merge(&mut self, later: Self, how: Later) {
        for (mine, theirs) in self.counts.iter_mut().zip(later.counts) {
            *mine = match how {
                Later::Grows => (*mine).max(theirs),
                Later::Replaces => theirs.or(*mine),
            };
        }
        self.contradicts |= later.contradicts;
    }

    /// The same of an answer that was made in these passes: some providers' own sums leave some of them out.
    #[must_use]
    pub(crate) fn of_passes(mut self, passes: &[Self]) -> Self {
        if passes.is_empty() {
            return self;
        }
        for count in OF_PASSES {
            let sum = passes.iter().filter_map(|pass| pass.get(count)).reduce(Tokens::saturating_add);
            self.counts[count as usize] = sum.or(self.get(count));
        }
        self.contradicts |= passes.iter().any(|pass| pass.contradicts);
        self
    }

    /// The same of an API without an output: its total is its prompt, and some providers say no more.
    #[must_use]
    pub(crate) const fn without_output(mut self) -> Self {
        if self.counts[Count::Input as usize].is_none() {
            self.counts[Count::Input as usize] = self.counts[Count::Total as usize];
        }
        self
    }

    /// The same beside something that was delivered: a side of nothing was not counted.
    #[must_use]
    pub(crate) fn beside_something(mut self) -> Self {
        let is_cached = self.count(Count::CacheRead) > 0 || self.cache_write() > 0;
        for side in [Count::Input, Count::Output] {
            let count = &mut self.counts[side as usize];
            *count = count.filter(|count| *count != Tokens::ZERO || side == Count::Input && is_cached);
        }
        self
    }

    /// The same, as one that contradicts itself.
    #[must_use]
    pub(crate) const fn contradicting(mut self) -> Self {
        self.contradicts = true;
        self
    }

    /// Whether every number in it is 0: some upstreams send such a report with an error, or with each piece of an answer.
    #[must_use]
    pub(crate) fn is_zero(self) -> bool {
        self.counts.iter().flatten().all(|count| *count == Tokens::ZERO)
    }

    /// The prompt's tokens, as reported.
    #[must_use]
    pub(crate) const fn prompt(&self) -> Option<Tokens> {
        self.get(Count::Input)
    }

    /// The completion's tokens, as reported.
    #[must_use]
    pub(crate) const fn completion(&self) -> Option<Tokens> {
        self.get(Count::Output)
    }

    /// The same from a model whose thinking is output that only the total tells of.
    ///
    /// Gemini's OpenAI-compatible API reports 35 prompt, 12 completion and 109 total tokens: the other 62 are thoughts, which Google bills as
    /// output (<https://ai.google.dev/gemini-api/docs/thinking>, "Pricing").
    #[must_use]
    pub(crate) fn with_thoughts(mut self) -> Self {
        if let (Some(prompt), Some(completion), Some(total), None) =
            (self.prompt(), self.completion(), self.get(Count::Total), self.get(Count::Reasoning))
        {
            let output = total.get() - prompt.get();
            if output > completion.get() {
                self.counts[Count::Output as usize] = Some(Tokens::from_sum(output));
            }
        }
        self
    }

    /// The same with another completion, which the total then holds too.
    #[must_use]
    pub(crate) fn with_completion(mut self, completion: Tokens) -> Self {
        let more = completion.get() - self.count(Count::Output);
        self.counts[Count::Output as usize] = Some(completion);
        if let Some(total) = &mut self.counts[Count::Total as usize] {
            *total = Tokens::from_sum(total.get() + more);
        }
        self
    }

    /// The buckets. Where the numbers contradict each other, only the two totals count.
    #[must_use]
    pub(crate) fn into_usage(self, cache: CacheTokens) -> CallUsage {
        let whole = match cache {
            CacheTokens::InPrompt => self,
            CacheTokens::BesidePrompt => self.with_cache_in_prompt(),
        };
        whole.whole_into_usage()
    }

    fn with_cache_in_prompt(mut self) -> Self {
        let beside = self.count(Count::CacheRead).saturating_add(self.cache_write());
        let prompt = &mut self.counts[Count::Input as usize];
        *prompt = prompt.map(|input| input.saturating_add(Tokens::from_sum(beside)));
        self
    }

    /// All that was written to caches: where only its parts are told, their sum.
    fn cache_write(&self) -> i64 {
        let parts = self.count(Count::CacheWrite5m).saturating_add(self.count(Count::CacheWrite1h));
        self.get(Count::CacheWrite).map_or(parts, Tokens::get)
    }

    /// The same by how long it lives; `None` where the parts are more than what they are parts of. Without a word on it, it is the cache that everyone has:
    /// five minutes.
    fn cache_writes(&self) -> Option<(Option<Tokens>, Option<Tokens>)> {
        let (short, long) = (self.get(Count::CacheWrite5m), self.get(Count::CacheWrite1h));
        if short.is_none() && long.is_none() {
            return Some((self.get(Count::CacheWrite), None));
        }
        // A later report may say how much there was in all, and no more.
        let rest = self.cache_write() - self.count(Count::CacheWrite5m) - self.count(Count::CacheWrite1h);
        match rest {
            0 => Some((short, long)),
            1.. => Some((Some(Tokens::from_sum(self.count(Count::CacheWrite5m) + rest)), long)),
            _ => None,
        }
    }

    fn whole_into_usage(self) -> CallUsage {
        let Some((cache_write_5m, cache_write_1h)) = self.cache_writes().filter(|_| !self.contradicts) else { return self.contradictory() };
        let Some(outside) = OUTSIDE.into_iter().find(|outside| self.explains_total(outside)) else { return self.contradictory() };
        let prompt = self.with(Count::Input, Count::AudioInput, outside);
        let completion = self.with(Count::Output, Count::Reasoning, outside);
        let parts = [self.get(Count::CacheRead), cache_write_5m, cache_write_1h, self.get(Count::AudioInput)];
        let Some(input) = rest(prompt, &parts) else { return self.contradictory() };
        let parts = [self.get(Count::Reasoning), self.get(Count::AudioOutput)];
        let Some(output) = rest(completion, &parts) else { return self.contradictory() };
        CallUsage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: self.get(Count::Total),
            counts: TokenCounts {
                input,
                cache_read: self.get(Count::CacheRead),
                cache_write_5m,
                cache_write_1h,
                audio_input: self.get(Count::AudioInput),
                output,
                reasoning: self.get(Count::Reasoning),
                audio_output: self.get(Count::AudioOutput),
            },
            flag: None,
        }
    }

    const fn get(&self, count: Count) -> Option<Tokens> {
        self.counts[count as usize]
    }

    fn count(&self, count: Count) -> i64 {
        self.get(count).unwrap_or_default().get()
    }

    /// Whether the total is the sum of the two sides and what lies outside of them; without a total, nothing does.
    fn explains_total(&self, outside: &[Count]) -> bool {
        let sides = self.count(Count::Input) + self.count(Count::Output);
        let beside: i64 = outside.iter().map(|count| self.count(*count)).sum();
        self.get(Count::Total).map_or(outside.is_empty(), |total| total.get() == sides + beside)
    }

    /// A side's total, with the part that lies beside it.
    fn with(&self, side: Count, part: Count, outside: &[Count]) -> Option<Tokens> {
        let total = self.get(side)?;
        Some(if outside.contains(&part) { total.saturating_add(self.get(part).unwrap_or_default()) } else { total })
    }

    fn contradictory(&self) -> CallUsage {
        let totals = CallUsage::of_totals(self.get(Count::Input), self.get(Count::Output), self.get(Count::Total));
        CallUsage { flag: Some(Flag::Contradictory), ..totals }
    }
}

/// What is left of a side's total when its parts are taken out: `Some(None)` if the side was not reported, `None` if the parts do not fit.
fn rest(side: Option<Tokens>, parts: &[Option<Tokens>]) -> Option<Option<Tokens>> {
    let sum: i64 = parts.iter().flatten().map(|part| part.get()).sum();
    match side {
        Some(total) if sum <= total.get() => Some(Some(Tokens::from_sum(total.get() - sum))),
        None if parts.iter().all(Option::is_none) => Some(None),
        _ => None,
    }
}

const ALL: [Count; Count::ALL] = [
    Count::Input,
    Count::Output,
    Count::Total,
    Count::CacheRead,
    Count::CacheWrite,
    Count::CacheWrite5m,
    Count::CacheWrite1h,
    Count::AudioInput,
    Count::Reasoning,
    Count::AudioOutput,
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;
    use crate::{
        dialect::DIALECTS,
        wire::{estimate::DeliveredText, scan::Scanner},
    };

    fn parse(json: &str) -> Option<Reported> {
        let mut scanner = Scanner::new(&DIALECTS[0].answers.grammar);
        scanner.push(format!(r#"{{"usage":{json}}}"#).as_bytes(), &mut DeliveredText::default());
        scanner.finish().reports.first().and_then(Reported::of)
    }

    fn usage(json: &str) -> CallUsage {
        parse(json).unwrap().into_usage(CacheTokens::InPrompt)
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
        let reported = |json: &str| parse(json).unwrap();
        let gemini = r#"{"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}"#;
        let usage = reported(gemini).with_thoughts().into_usage(CacheTokens::InPrompt);
        assert_eq!((usage.completion_tokens, usage.counts.output, usage.flag), (tokens(74), tokens(74), None));
        assert!(reported(gemini).into_usage(CacheTokens::InPrompt).flag.is_some(), "from any other model it is a contradiction");
        let whole = r#"{"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 47}"#;
        assert_eq!(reported(whole).with_thoughts(), reported(whole));
    }

    #[test]
    fn another_completion_leaves_the_parts_of_the_prompt_and_what_lies_beside_it() {
        let reported = |json: &str| parse(json).unwrap().with_completion(Tokens::from_sum(9)).into_usage(CacheTokens::InPrompt);
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
            assert_eq!(parse(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn buckets_always_add_up_to_the_totals(counts in prop::collection::vec(prop::option::of(0_i64..100), Count::ALL), honest: bool, beside: bool) {
            let mut reported = Reported::default();
            for (place, count) in reported.counts.iter_mut().zip(counts) {
                *place = count.map(Tokens::from_sum);
            }
            if honest {
                reported.counts[Count::Total as usize] = tokens(reported.count(Count::Input) + reported.count(Count::Output));
            }
            let usage = reported.into_usage(if beside { CacheTokens::BesidePrompt } else { CacheTokens::InPrompt });
            prop_assert!(usage.adds_up());
            if usage.flag.is_some() {
                prop_assert_eq!(usage.counts, CallUsage::of_totals(usage.prompt_tokens, usage.completion_tokens, None).counts);
            }
        }
    }
}
