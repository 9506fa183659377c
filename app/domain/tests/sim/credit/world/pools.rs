//! Credit and limits, as operators and customers change them.

use domain::{
    billing::GrantKind,
    credit::{Grant, Hardness, Limit, Pool, PoolRef, Quantity, Scope},
    id::{KeyId, LimitId, ProjectId, UserId},
};

use super::{
    Account,
    names::{grant_id, model, place, run, time, uuid},
};
use crate::{
    credit::{
        book::{GrantFacts, LimitFacts, Place, Who},
        tally::Tally,
    },
    walk::{Checked, ensure},
};

/// With more limits than these, hardly a call would be admitted: the oldest is dropped.
const LIMITS_MAX: usize = 6;

impl Account {
    pub(super) fn add_grant(&mut self, kind: GrantKind, facts: GrantFacts, amount: i64) {
        let number = self.grants.len();
        self.grants.push(Grant {
            id: grant_id(number),
            kind,
            pool: Pool::new(facts.unit, Quantity::from_count(amount + facts.line)),
            models: facts.models.as_ref().map(|models| models.iter().map(|number| model(*number)).collect()),
            floor: Quantity::from_count(-facts.line),
            starts_at: time(facts.starts),
            expires_at: facts.expires.map(time),
            priority: facts.priority,
        });
        self.book.grants.push(facts);
        self.book.pay_in(number, amount);
    }

    pub(super) fn pay_in(&mut self, grant: usize, amount: i64, what: &'static str, tally: &mut Tally) -> Checked {
        let pool = &mut self.grants[grant].pool;
        pool.capacity = pool.capacity.checked_add(Quantity::from_count(amount)).ok_or("a capacity does not fit")?;
        self.book.pay_in(grant, amount);
        tally.count_if(amount != 0, what);
        Ok(())
    }

    pub(super) fn take_back(&mut self, grant: usize, amount: i64, tally: &mut Tally) -> Checked {
        let amount = amount.min(self.grants[grant].pool.available().or_zero().get());
        self.pay_in(grant, -amount, "taken back", tally)
    }

    pub(super) fn lapse(&mut self, now: i64, tally: &mut Tally) -> Checked {
        for grant in 0..self.grants.len() {
            let (lapsed, expected) = (self.grants[grant].lapsed(time(now)).get(), self.book.lapsed(grant, now));
            ensure!(lapsed == expected, "{lapsed} of grant {grant} lapse instead of {expected}");
            if lapsed > 0 {
                self.pay_in(grant, -lapsed, "lapsed", tally)?;
            }
            ensure!(self.grants[grant].lapsed(time(now)).is_zero(), "grant {grant} lapses twice");
        }
        Ok(())
    }

    pub(super) fn add_limit(&mut self, facts: LimitFacts) {
        let number = self.limits.len();
        let scope = match facts.who {
            Who::Account => Scope::Account,
            Who::Project(number) => Scope::Project(ProjectId::from_uuid(uuid(number))),
            Who::Member(number) => Scope::Member(UserId::from_uuid(uuid(number))),
            Who::Key(number) => Scope::Key(KeyId::from_uuid(uuid(number))),
            Who::Run(number) => Scope::Run(run(number)),
        };
        self.limits.push(Limit {
            id: LimitId::from_uuid(uuid(number)),
            scope,
            window: facts.window,
            hardness: if facts.is_hard { Hardness::Hard } else { Hardness::Soft },
            pool: Pool::new(facts.unit, Quantity::from_count(facts.capacity)),
        });
        self.book.limits.push(facts);
        if self.book.limits.iter().filter(|facts| !facts.is_dropped).count() > LIMITS_MAX {
            self.drop_limit(0);
        }
    }

    pub(super) fn change(&mut self, limit: usize, capacity: i64, tally: &mut Tally) {
        if self.limits.is_empty() {
            return;
        }
        let limit = limit % self.limits.len();
        self.limits[limit].pool.capacity = Quantity::from_count(capacity);
        self.book.limits[limit].capacity = capacity;
        for (own, pool) in &mut self.windows {
            if matches!(place(*own), Place::Window(number, _) if number == limit) {
                pool.capacity = Quantity::from_count(capacity);
                tally.count_if(pool.available().is_negative(), "limit: lowered below what is taken");
            }
        }
    }

    pub(super) fn drop_limit(&mut self, limit: usize) {
        let mut live: Vec<_> = self.book.limits.iter_mut().filter(|facts| !facts.is_dropped).collect();
        let number = live.len();
        if let Some(facts) = live.get_mut(limit % number.max(1)) {
            facts.is_dropped = true;
        }
    }

    /// The limits that are left, each with the pool of the window that holds this instant.
    pub(super) fn limits_at(&self, now: i64) -> Vec<Limit> {
        let live = self.limits.iter().zip(&self.book.limits).filter(|(_, facts)| !facts.is_dropped);
        live.map(|(limit, _)| {
            let pool = self.windows.get(&limit.pool_ref(time(now))).copied().unwrap_or(limit.pool);
            Limit { pool, ..limit.clone() }
        })
        .collect()
    }

    pub(super) fn pool_mut(&mut self, pool: PoolRef) -> Checked<&mut Pool> {
        match pool {
            PoolRef::Grant(id) => {
                let grant = self.grants.iter_mut().find(|grant| grant.id == id);
                grant.map(|grant| &mut grant.pool).ok_or_else(|| format!("there is no grant {id}"))
            }
            PoolRef::Limit { id, .. } => {
                let limit = self.limits.iter().find(|limit| limit.id == id).ok_or_else(|| format!("there is no limit {id}"))?;
                Ok(self.windows.entry(pool).or_insert(limit.pool))
            }
        }
    }
}
