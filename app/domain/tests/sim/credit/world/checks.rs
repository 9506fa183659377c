//! What holds of an account's pools after every step.

use std::collections::BTreeMap;

use domain::credit::{Hardness, Pool, PoolRef, Strictness};

use super::{Account, names::place};
use crate::{
    credit::book::{self, Place},
    walk::{Checked, ensure},
};

impl Account {
    /// Every pool is what the list of events sums up to.
    pub(super) fn check_sums(&self) -> Checked {
        let sums = self.book.sums();
        let pools = self.pools();
        for (place, pool) in &pools {
            let sum = sums.get(place).copied().unwrap_or_default();
            let got = book::Sums { capacity: pool.capacity.get(), used: pool.used.get(), leased: pool.leased.get() };
            ensure!(got == sum, "{place:?} has {got:?} instead of {sum:?}");
        }
        let unknown = sums.keys().find(|place| !pools.contains_key(place));
        ensure!(unknown.is_none(), "{unknown:?} was never touched");
        Ok(())
    }

    /// No grant is used below its floor but a lenient account's wallet, and no hard limit is passed, unless an operator lowered it.
    pub(super) fn check_bounds(&self, before: &BTreeMap<Place, i64>, is_lowered: bool) -> Checked {
        for (place, over) in self.over() {
            match place {
                Place::Grant(0) if self.strictness != Strictness::Strict => {}
                Place::Grant(grant) => {
                    let (pool, floor) = (&self.grants[grant].pool, self.grants[grant].floor.get());
                    ensure!(over <= 0, "grant {grant} is {over} beyond what it has");
                    let balance = pool.capacity.get() + floor - pool.used.get();
                    ensure!(balance >= floor, "grant {grant} is at {balance}, below its floor of {floor}");
                }
                Place::Window(limit, _) if self.limits[limit].hardness == Hardness::Hard && !is_lowered => {
                    let over_before = before.get(&place).copied().unwrap_or(0).max(0);
                    ensure!(over <= over_before, "limit {limit} is {over} beyond its capacity, and was {over_before}");
                }
                Place::Window(..) => {}
            }
        }
        Ok(())
    }

    fn pools(&self) -> BTreeMap<Place, Pool> {
        let grants = self.grants.iter().map(|grant| (place(PoolRef::Grant(grant.id)), grant.pool));
        grants.chain(self.windows.iter().map(|(own, pool)| (place(*own), *pool))).collect()
    }

    /// How far each pool is beyond its capacity; below zero if it is not.
    pub(super) fn over(&self) -> BTreeMap<Place, i64> {
        self.pools().into_iter().map(|(place, pool)| (place, pool.used.get() + pool.leased.get() - pool.capacity.get())).collect()
    }
}
