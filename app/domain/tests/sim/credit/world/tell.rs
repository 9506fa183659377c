//! What happened, for the tally.

use domain::credit::{Exhausted, Limit, PoolRef, Quantity, Refuser, Strictness, Unit};

use super::{Account, Call};
use crate::credit::tally::Tally;

impl Account {
    pub(super) fn tell_admitted(&self, is_aimed: bool, tally: &mut Tally) {
        let Some(Call { split, .. }) = self.calls.last() else { return };
        let grants: Vec<_> =
            split.payment.iter().filter_map(|hold| self.grants.iter().find(|grant| hold.pool == PoolRef::Grant(grant.id))).collect();
        tally.count("admitted");
        tally.count_if(split.payment.is_empty(), "admitted: free");
        tally.count_if(split.payment.len() > 1, "admitted: by several grants");
        tally.count_if(grants.iter().any(|grant| grant.pool.unit == Unit::Tokens), "admitted: by tokens");
        tally.count_if(grants.iter().any(|grant| grant.models.is_some()), "admitted: by a grant for some models");
        let on_line = grants.iter().any(|grant| grant.pool.available() < Quantity::from_count(-grant.floor.get()));
        tally.count_if(on_line && self.strictness == Strictness::Strict, "admitted: on a credit line");
        let pools: Vec<_> = split.limits.iter().filter_map(|hold| self.windows.get(&hold.pool).map(|pool| (hold, pool))).collect();
        tally.count_if(
            pools.iter().any(|(hold, pool)| !hold.quantity.is_zero() && pool.available().is_negative()),
            "admitted: beyond a soft limit",
        );
        let is_full = !grants.is_empty() && grants.iter().all(|grant| grant.pool.available().is_zero())
            || pools.iter().any(|(_, pool)| pool.available().is_zero());
        tally.count_if(is_aimed && is_full, "admitted: all that there was");
    }

    pub(super) fn tell_refused(&self, exhausted: &Exhausted, is_aimed: bool, limits: &[Limit], tally: &mut Tally) {
        let is_one_more = exhausted.available.checked_add(Quantity::from_count(1)) == Some(exhausted.needed);
        tally.count_if(is_aimed && is_one_more, "refused: one more than there was");
        match &exhausted.pool {
            Refuser::Credit { unit: Unit::Tokens } => tally.count("refused: credit, tokens"),
            Refuser::Credit { .. } => tally.count("refused: credit, money"),
            Refuser::Limit { id, window, .. } => {
                let Some(limit) = limits.iter().find(|limit| limit.id == *id) else { return };
                tally.refused_by(limit);
                let is_larger = exhausted.needed > limit.pool.capacity;
                tally.count_if(is_larger && *window != domain::credit::Window::Ever, "refused: larger than the limit");
                let only_running = limit.pool.used.checked_add(exhausted.needed).is_some_and(|all| all <= limit.pool.capacity);
                tally.count_if(only_running, "refused: because others still run");
            }
        }
    }
}
