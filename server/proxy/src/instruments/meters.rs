//! What is counted of every call, by handles that a model of the catalog keeps: to count one looks nothing up and takes no memory of its own.

use std::{
    array,
    sync::{Arc, OnceLock},
    time::Duration,
};

use domain::{
    call::{Outcome, UsageSource},
    catalog::Model,
    credit::{Unit, unit_of},
    money::Amount,
    tokens::{Bucket, Tokens},
};
use ledger::SettledCall;
use metrics::{Counter, Histogram};

use super::{
    CALLS, CHARGED, ESTIMATED, FIRST_BYTE, OPERATION_DURATION, TIME_TO_FIRST_TOKEN, TOKEN_USAGE, TOKENS_USED, WRITTEN_OFF,
    WRITTEN_OFF_CALLS,
};
use crate::dialect::{DIALECTS, Dialect};

/// The handles of one model at one provider. Each is made when a call first needs it: a model that nobody calls has no series.
#[derive(Debug)]
pub(crate) struct Meters {
    provider: String,
    model: String,
    spent: OnceLock<Spent>,
    /// By the [`Dialect::index`].
    operations: [OnceLock<Operation>; DIALECTS.len()],
}

/// What its calls came to.
#[derive(Debug)]
struct Spent {
    /// In the order of [`Bucket::ALL`].
    tokens: [Counter; Bucket::ALL.len()],
    charged: Counter,
    estimated: Counter,
    written_off_calls: Counter,
    written_off: Counter,
}

/// Calls of one API.
#[derive(Debug)]
struct Operation {
    input: Histogram,
    output: Histogram,
    first_token: Histogram,
    /// In the order of [`Outcome::ALL`].
    ended: [OnceLock<Ended>; Outcome::ALL.len()],
}

/// Those that ended alike.
#[derive(Debug)]
struct Ended {
    calls: Counter,
    duration: Histogram,
    first_byte: Histogram,
}

impl Meters {
    /// Those of a model that had none.
    pub(crate) fn of(model: &Model) -> Arc<Self> {
        let (provider, model) = (model.provider.clone(), model.name.clone());
        Arc::new(Self { provider, model, spent: OnceLock::new(), operations: array::from_fn(|_| OnceLock::new()) })
    }

    /// Whether they are this model's, at the provider that answers it now.
    pub(crate) fn are_of(&self, model: &Model) -> bool {
        self.provider == model.provider && self.model == model.name
    }

    /// Counts a call that took so long, and had the first byte of its answer after so long.
    pub(crate) fn count(&self, dialect: &Dialect, settled: &SettledCall, took: Duration, first_byte: Option<Duration>) {
        let spent = self.spent();
        for (counter, bucket) in spent.tokens.iter().zip(Bucket::ALL) {
            if let Some(tokens) = settled.usage.counts.get(bucket) {
                counter.increment(unsigned(tokens.get()));
            }
        }
        if unit_of(&settled.split.payment) == Unit::Money {
            spent.charged.increment(unsigned(settled.amount.nanos()));
        }
        if settled.source == UsageSource::Estimated {
            spent.estimated.increment(1);
        }
        self.operation(dialect).count(self, dialect, settled, took, first_byte);
    }

    /// Counts a call that came to more than was held for it: so much more, if it is paid in money.
    pub(crate) fn write_off(&self, amount: Amount) {
        let spent = self.spent();
        spent.written_off_calls.increment(1);
        spent.written_off.increment(unsigned(amount.nanos()));
    }

    fn spent(&self) -> &Spent {
        let of_entry = [self.provider.as_str(), &self.model];
        self.spent.get_or_init(|| Spent {
            tokens: Bucket::ALL.map(|bucket| TOKENS_USED.counter(&[&self.provider, &self.model, name(bucket)])),
            charged: CHARGED.counter(&of_entry),
            estimated: ESTIMATED.counter(&of_entry),
            written_off_calls: WRITTEN_OFF_CALLS.counter(&of_entry),
            written_off: WRITTEN_OFF.counter(&of_entry),
        })
    }

    fn operation(&self, dialect: &Dialect) -> &Operation {
        let (operation, provider, model) = (dialect.operation, self.provider.as_str(), self.model.as_str());
        self.operations[dialect.index].get_or_init(|| Operation {
            input: TOKEN_USAGE.histogram(&[operation, provider, model, "input"]),
            output: TOKEN_USAGE.histogram(&[operation, provider, model, "output"]),
            first_token: TIME_TO_FIRST_TOKEN.histogram(&[operation, provider, model]),
            ended: array::from_fn(|_| OnceLock::new()),
        })
    }
}

impl Operation {
    fn count(&self, meters: &Meters, dialect: &Dialect, settled: &SettledCall, took: Duration, first_byte: Option<Duration>) {
        for (histogram, tokens) in [(&self.input, settled.usage.prompt_tokens), (&self.output, settled.usage.completion_tokens)] {
            if let Some(tokens) = tokens {
                histogram.record(rounded(tokens));
            }
        }
        let ended = self.ended[settled.outcome as usize].get_or_init(|| Ended::new(meters, dialect, settled.outcome));
        ended.calls.increment(1);
        ended.duration.record(took);
        let Some(first_byte) = first_byte else { return };
        ended.first_byte.record(first_byte);
        if settled.stream && settled.outcome == Outcome::Ok {
            self.first_token.record(first_byte);
        }
    }
}

impl Ended {
    fn new(Meters { provider, model, .. }: &Meters, dialect: &Dialect, outcome: Outcome) -> Self {
        let error = if outcome == Outcome::Ok { "" } else { outcome.name() };
        let of_outcome = [dialect.operation, provider, model, outcome.name()];
        Self {
            calls: CALLS.counter(&of_outcome),
            duration: OPERATION_DURATION.histogram(&[dialect.operation, provider, model, error]),
            first_byte: FIRST_BYTE.histogram(&of_outcome),
        }
    }
}

const fn name(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Input => "input",
        Bucket::CacheRead => "cache_read",
        Bucket::CacheWrite5m => "cache_write_5m",
        Bucket::CacheWrite1h => "cache_write_1h",
        Bucket::AudioInput => "audio_input",
        Bucket::Output => "output",
        Bucket::Reasoning => "reasoning",
        Bucket::AudioOutput => "audio_output",
    }
}

/// What no call takes back.
fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

/// As a histogram has it: it tells thousands from millions, and no call has more than fit.
fn rounded(tokens: Tokens) -> f64 {
    u32::try_from(tokens.get()).unwrap_or(u32::MAX).into()
}

#[cfg(test)]
pub(crate) mod tests;
