//! What is counted of every refusal. Whoever is refused may ask again at once, and often: each thread keeps the handles of the codes that it has told.

use std::{cell::RefCell, collections::HashMap};

use metrics::Counter;

use super::REFUSALS;

thread_local! {
    static COUNTERS: RefCell<HashMap<&'static str, Counter>> = RefCell::default();
}

/// Counts a refusal of this code.
pub(crate) fn count(code: &'static str) {
    COUNTERS.with_borrow_mut(|counters| counters.entry(code).or_insert_with(|| REFUSALS.counter(&[code])).increment(1));
}
