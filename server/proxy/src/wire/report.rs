//! A report of usage, as it stands in an answer.

use super::grammar::Scope;

/// The most that is kept of a report as it was written: real ones are below 2 KiB.
const RAW_BYTES_MAX: usize = 64 * 1024;

/// What a number in a report counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// Tokens of the prompt.
    Input,
    /// Tokens of the completion.
    Output,
    /// Both, by the provider's own sum.
    Total,
    /// Of the prompt, read from a cache.
    CacheRead,
    /// Of the prompt, written to a cache.
    CacheWrite,
    /// Of these, to one that lives five minutes.
    CacheWrite5m,
    /// Of these, to one that lives an hour.
    CacheWrite1h,
    /// Of the prompt, sound.
    AudioInput,
    /// Of the completion, what the model thought with.
    Reasoning,
    /// Of the completion, sound.
    AudioOutput,
}

impl Count {
    /// How many there are.
    pub(crate) const ALL: usize = 10;
}

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    /// A whole number.
    Whole(i64),
    /// What no count can be: a fraction, a text, a number that is too large.
    Odd,
}

/// What one report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// What it is about.
    pub(crate) scope: Scope,
    /// The model, where it names one of its own.
    pub(crate) model: Option<String>,
    /// Where it begins in its document; 0 of one that stands in another report.
    pub(crate) at: usize,
    /// By [`Count`]; with how many names of the same count go before the one that was read.
    counts: [Option<(u8, Number)>; Count::ALL],
    /// How it was written; empty where that is too long to be kept, or stands in another report.
    pub(crate) raw: Vec<u8>,
    is_cut: bool,
}

impl Report {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope, model: None, at: 0, counts: [None; Count::ALL], raw: Vec::new(), is_cut: false }
    }

    pub(super) fn count(&mut self, count: Count, rank: u8, number: Number) {
        let known = &mut self.counts[count as usize];
        // The same name twice: what is read is the later, as by most parsers.
        if known.is_none_or(|(before, _)| rank <= before) {
            *known = Some((rank, number));
        }
    }

    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.is_cut |= self.raw.len() + bytes.len() > RAW_BYTES_MAX;
        if self.is_cut {
            self.raw = Vec::new();
        } else {
            self.raw.extend_from_slice(bytes);
        }
    }

    /// A number of it; `None` is "not reported", which is not 0.
    #[must_use]
    pub(crate) fn get(&self, count: Count) -> Option<Number> {
        self.counts[count as usize].map(|(_, number)| number)
    }

    /// Whether two reports say the same.
    #[must_use]
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        let numbers = |report: &Self| report.counts.map(|count| count.map(|(_, number)| number));
        numbers(self) == numbers(other)
    }

    /// Whether it has any number at all.
    #[must_use]
    pub(crate) fn says_something(&self) -> bool {
        self.counts.iter().any(Option::is_some)
    }
}
