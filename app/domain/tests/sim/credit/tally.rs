//! What happened in a walk, so that one in which nothing happens proves nothing.

use std::{collections::BTreeMap, fmt};

use domain::credit::{Limit, ScopeKind, Unit, Window};

/// What must happen in every walk, be it short.
const MUST: [&str; 26] = [
    "admitted",
    "admitted: all that there was",
    "admitted: free",
    "admitted: by tokens",
    "admitted: by several grants",
    "admitted: by a grant for some models",
    "admitted: on a credit line",
    "admitted: beyond a soft limit",
    "refused: one more than there was",
    "refused: credit, money",
    "refused: credit, tokens",
    "refused: larger than the limit",
    "refused: because others still run",
    "settled: below its hold",
    "settled: at its hold",
    "settled: written off",
    "settled: overdrawn",
    "settled: in a later window",
    "settled: after the grant expired",
    "replayed",
    "released",
    "topped up",
    "taken back",
    "lapsed",
    "clock: back into the window before",
    "limit: lowered below what is taken",
];

/// How often each thing happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    happened: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<(ScopeKind, Window, Unit), u64>,
}

impl Tally {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    pub(crate) fn count_if(&mut self, happened: bool, what: &'static str) {
        if happened {
            self.count(what);
        }
    }

    pub(crate) fn refused_by(&mut self, limit: &Limit) {
        *self.refusals.entry((limit.scope.kind(), limit.window, limit.pool.unit)).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (what, times) in &other.happened {
            *self.happened.entry(what).or_default() += times;
        }
        for (kind, times) in &other.refusals {
            *self.refusals.entry(*kind).or_default() += times;
        }
    }

    /// In a short walk each scope, window and unit must have refused; in one of 200,000 steps, every combination of them.
    pub(crate) fn assert_nothing_is_missing(&self, steps: u64) {
        if steps < 4_000 {
            return;
        }
        let missing: Vec<_> = MUST.into_iter().filter(|what| !self.happened.contains_key(what)).collect();
        assert!(missing.is_empty(), "the walk is too tame, it never came to: {missing:?}");
        let scopes = [ScopeKind::Account, ScopeKind::Project, ScopeKind::Member, ScopeKind::Key, ScopeKind::Run];
        for scope in scopes {
            assert!(self.refusals.keys().any(|kind| kind.0 == scope), "no limit of a {} ever refused", scope.name());
        }
        for window in Window::ALL {
            assert!(self.refusals.keys().any(|kind| kind.1 == window), "no limit {} ever refused", window.label());
        }
        for unit in Unit::ALL {
            assert!(self.refusals.keys().any(|kind| kind.2 == unit), "no limit of {} ever refused", unit.name());
        }
        let all = scopes.len() * Window::ALL.len() * Unit::ALL.len();
        assert!(steps < 200_000 || self.refusals.len() == all, "only {} of {all} kinds of limits ever refused", self.refusals.len());
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, times) in &self.happened {
            writeln!(f, "{times:>9}  {what}")?;
        }
        write!(f, "{:>9}  refused: by {} kinds of limits", self.refusals.values().sum::<u64>(), self.refusals.len())
    }
}
