//! Room that is promised to the settlements of calls that have begun, and whether it is there.

use std::collections::BTreeMap;

use crate::books::spool::segment::frame::{self, BODY_BYTES_MAX};

/// What a settlement's body may be longer than its intent's.
const SETTLEMENT_BYTES_MORE: usize = 2 * 1024;

/// What is promised: a piece to each call that is not settled.
#[derive(Debug, Default)]
pub(super) struct Promises {
    total: u64,
    /// How many pieces there are of each size.
    sizes: BTreeMap<u64, u64>,
}

/// Pieces of any sizes up to the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pieces {
    pub(super) total: u64,
    pub(super) largest: u64,
}

/// What is promised to the settlement of an intent with such a body.
pub(super) fn promise_for(intent_bytes: usize) -> u64 {
    frame::size_of(intent_bytes.saturating_add(SETTLEMENT_BYTES_MORE).min(BODY_BYTES_MAX))
}

/// The longest intent of which frame and promise each take at most so many bytes, if there is any.
pub(super) fn intent_bytes_max(promise_bytes: u64) -> usize {
    frame::body_bytes_in(promise_bytes).saturating_sub(SETTLEMENT_BYTES_MORE)
}

impl Promises {
    pub(super) fn add(&mut self, piece: u64) {
        self.total = self.total.saturating_add(piece);
        let count = self.sizes.entry(piece).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn remove(&mut self, piece: u64) {
        self.total = self.total.saturating_sub(piece);
        if let Some(count) = self.sizes.get_mut(&piece) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.sizes.remove(&piece);
            }
        }
    }

    pub(super) fn pieces(&self) -> Pieces {
        Pieces { total: self.total, largest: self.sizes.last_key_value().map_or(0, |(size, _)| *size) }
    }

    /// What is promised, and one piece more.
    pub(super) fn with(&self, piece: u64) -> Pieces {
        self.pieces().and(piece)
    }

    /// What is promised to the others.
    pub(super) fn without(&self, piece: u64) -> Pieces {
        let is_shared = self.sizes.get(&piece).is_some_and(|count| *count > 1);
        let largest = self.sizes.keys().rev().find(|size| **size != piece || is_shared);
        Pieces { total: self.total.saturating_sub(piece), largest: largest.copied().unwrap_or(0) }
    }
}

impl Pieces {
    /// These, and one more.
    pub(super) fn and(self, piece: u64) -> Self {
        Self { total: self.total.saturating_add(piece), largest: self.largest.max(piece) }
    }

    /// Whether all of them find room in these stretches, whatever the order in which they come and however much smaller each turns out to be.
    ///
    /// A piece goes into the first stretch that has room for it, and then none goes into an earlier one any more. So less than the largest piece is
    /// wasted at the end of each stretch that is left.
    pub(super) fn fit(self, stretches: impl IntoIterator<Item = u64>) -> bool {
        let mut left = 0_u64;
        stretches.into_iter().any(|stretch| {
            let fit = left.saturating_add(stretch) >= self.total;
            left = left.saturating_add(stretch.saturating_sub(self.largest));
            fit
        }) || self.total == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_promised_fits_in_any_order_and_smaller_too(
            stretches in prop::collection::vec(0_u64..60, 1..5),
            pieces in prop::collection::vec((1_u64..20, 0_u64..20), 1..12),
        ) {
            let mut promises = Promises::default();
            pieces.iter().for_each(|(size, _)| promises.add(*size));
            prop_assume!(promises.pieces().fit(stretches.iter().copied()));
            let mut stretches = stretches.into_iter();
            let mut free = stretches.next().expect("one at least");
            for (size, less) in pieces {
                let taken = size.saturating_sub(less);
                while free < taken {
                    free = stretches.next().expect("what fits is never out of room");
                }
                free -= taken;
            }
        }

        #[test]
        fn a_promise_that_was_kept_is_gone(kept in 1_u64..5, others in prop::collection::vec(1_u64..5, 0..6)) {
            let (mut all, mut rest) = (Promises::default(), Promises::default());
            others.iter().for_each(|size| rest.add(*size));
            others.iter().chain([&kept]).for_each(|size| all.add(*size));
            prop_assert_eq!(rest.with(kept), all.pieces());
            prop_assert_eq!(all.without(kept), rest.pieces());
            all.remove(kept);
            prop_assert_eq!(all.pieces(), rest.pieces());
        }

        #[test]
        fn the_longest_intent_has_its_promise(bytes in 4_096_u64..3_000_000) {
            let longest = intent_bytes_max(bytes);
            prop_assert!(promise_for(longest) <= bytes && frame::size_of(longest) <= bytes);
        }
    }

    #[test]
    fn one_stretch_wastes_nothing() {
        let pieces = Pieces { total: 30, largest: 20 };
        assert!(pieces.fit([30]) && !pieces.fit([29]));
        assert!(pieces.fit([30, 5]), "the first alone is enough");
        assert!(pieces.fit([20, 30]) && !pieces.fit([20, 29]), "the whole first stretch may be wasted");
        assert!(Pieces { total: 0, largest: 0 }.fit([]));
    }
}
