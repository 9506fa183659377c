//! What happened in a walk, so that one in which nothing happens proves nothing.

use std::{collections::BTreeMap, fmt};

/// What must happen in every walk of some length.
const MUST: [&str; 37] = [
    "admitted: in memory",
    "admitted: after asking",
    "admitted: after a recall",
    "admitted: by tokens",
    "admitted: by several grants",
    "refused: no credit",
    "refused: a limit",
    "refused: nobody hears of the ledger",
    "refused: the epoch's lease has run out",
    "settled: below its hold",
    "settled: written off",
    "settled: overdrawn",
    "settled: after its epoch was over",
    "posted: new",
    "posted: stray",
    "posted: stray, and nobody knows its end",
    "posted: late",
    "posted: replayed",
    "posted: as interrupted, by its own proxy",
    "posted: as interrupted, by another",
    "late: written off",
    "late: given back",
    "lost: an ask",
    "lost: an answer",
    "said again: what was applied",
    "came after all: a change",
    "came after all: a posting",
    "given back: idle",
    "machine: killed between admission and spool",
    "machine: killed between spool and upstream",
    "machine: killed between upstream and spool",
    "machine: killed between spool and client",
    "machine: lost with its spool",
    "machine: suspended past its lease",
    "epoch: ended by its successor",
    "epoch: ended by another",
    "epoch: found that it is over",
];

/// How often each thing happened.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn count_if(&mut self, happened: bool, what: &'static str) {
        if happened {
            self.count(what);
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    pub(crate) fn assert_nothing_is_missing(&self, steps: u64) {
        let missing: Vec<_> = MUST.into_iter().filter(|what| !self.0.contains_key(what)).collect();
        assert!(steps < 40_000 || missing.is_empty(), "the walk is too tame, it never came to: {missing:?}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, times)| writeln!(f, "{times:>9}  {what}"))
    }
}
