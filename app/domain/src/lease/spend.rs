//! What a posted call takes of its pools, and what becomes of one that comes late.

use crate::credit::{Change, Charge, Hold, PoolRef, Quantity};

/// What a call takes of one pool for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// The pool, and what is used of it.
    pub used: Hold,
    /// How much of that was leased: at most what the call held. A lenient account's wallet may pay more.
    pub of_slice: Quantity,
}

impl From<&Change> for Spent {
    fn from(change: &Change) -> Self {
        let used = Hold { pool: change.pool, unit: change.unit, quantity: change.used };
        Self { used, of_slice: change.used.min(change.released) }
    }
}

/// What a call takes of its pools, payers first, with pools of which it takes nothing left out. What it held and did not use stays in its slices.
pub fn spend(charge: &Charge) -> impl Iterator<Item = Spent> {
    charge.payment.iter().chain(&charge.limits).map(Spent::from).filter(|spent| !spent.used.quantity.is_zero())
}

/// What is in the books of a call whose settlement comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// It was taken for dead, and charged what was known of it when it began.
    pub is_interrupted: bool,
    /// What it came to after all has been posted too.
    pub is_corrected: bool,
}

/// What is to be done with a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is posted, and its slices fall by what it used.
    New,
    /// Its epoch is over and its slices went back before anybody heard of it: it is posted as interrupted, at no charge, and what it came to, if that is
    /// known, is posted as [`Self::Late`] is.
    Stray,
    /// It had been posted as interrupted: the difference is posted, and paid from what there is now.
    Late,
    /// It is in the books.
    Replayed,
}

/// Decides it. `is_own` says that it is the call's own settlement, not what another assumed of it; `leased` is what is leased to its epoch of each pool.
#[must_use]
pub fn fate(is_own: bool, charge: &Charge, posted: Option<Posted>, leased: impl Fn(PoolRef) -> Quantity) -> Fate {
    match posted {
        Some(Posted { is_interrupted: true, is_corrected: false }) if is_own => Fate::Late,
        Some(_) => Fate::Replayed,
        None if spend(charge).all(|spent| leased(spent.used.pool) >= spent.of_slice) => Fate::New,
        None => Fate::Stray,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        credit::{Split, Strictness, settle},
        id::GrantId,
        lease::testing::{NOW, demand, of_grant, of_limit, quantity, uuid},
    };

    fn split() -> Split {
        Split { payment: vec![of_grant(1, 4), of_grant(2, 6)], limits: vec![of_limit(3, NOW, 1)] }
    }

    fn spent(money: i64, strictness: Strictness) -> Vec<(i64, i64)> {
        let charge = settle(&split(), demand(money, 0, 1), strictness);
        spend(&charge).map(|spent| (spent.used.quantity.get(), spent.of_slice.get())).collect()
    }

    #[test]
    fn a_call_takes_what_it_used_and_leaves_the_rest_in_its_slices() {
        assert_eq!(spent(5, Strictness::Strict), [(4, 4), (1, 1), (1, 1)]);
        assert_eq!(spent(0, Strictness::Strict), [(1, 1)], "it is a request, though it cost nothing");
        assert_eq!(spent(12, Strictness::Strict), [(4, 4), (6, 6), (1, 1)]);
    }

    #[test]
    fn what_a_lenient_wallet_pays_beyond_the_hold_is_of_no_slice() {
        let wallet = GrantId::from_uuid(uuid(2));
        assert_eq!(spent(12, Strictness::Lenient { wallet }), [(4, 4), (8, 6), (1, 1)]);
    }

    #[test]
    fn a_settlement_is_posted_once_corrected_once_and_never_paid_from_slices_that_are_gone() {
        let charge = settle(&split(), demand(5, 0, 1), Strictness::Strict);
        let (all, none) = (|_| quantity(4), |_| Quantity::ZERO);
        let posted = |is_interrupted, is_corrected| Some(Posted { is_interrupted, is_corrected });
        assert_eq!(fate(true, &charge, None, all), Fate::New);
        assert_eq!(fate(true, &charge, None, none), Fate::Stray);
        assert_eq!(fate(true, &charge, posted(true, false), none), Fate::Late);
        assert_eq!(fate(false, &charge, posted(true, false), all), Fate::Replayed, "what was assumed twice");
        assert_eq!(fate(true, &charge, posted(true, true), all), Fate::Replayed);
        assert_eq!(fate(true, &charge, posted(false, false), all), Fate::Replayed);
        let free = settle(&Split::default(), demand(0, 3, 1), Strictness::Strict);
        assert_eq!(fate(true, &free, None, none), Fate::New, "nothing was leased for it");
    }
}
