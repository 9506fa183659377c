//! Plans, each with limits of its own: bought, changed, left, renewed from month to month, and sold on other terms meanwhile.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::{
    credit::{LimitSetter, PoolRef, Quantity, Unit},
    id::{LimitId, PlanId},
    money::Amount,
    plan::{Plan, PlanLimits, PlanTerms, Subscription},
};
use ledger::{Admitted, Bought, Error};

use super::Walk;
use crate::world::monthly;

/// From the cheapest to the dearest.
const NAMES: [&str; 3] = ["small", "middle", "large"];

impl Walk {
    /// Something changes of what a customer has bought, or of what is sold.
    pub(super) async fn change_plan(&mut self, of: usize) {
        match self.dice.below(6) {
            0 => self.sell_plan().await,
            1 => self.leave_plan(of).await,
            _ => self.buy_plan(of).await,
        }
    }

    /// Has a plan on offer, in its first version or in another one, and remembers what it bounds: whoever has an earlier version keeps that.
    pub(super) async fn sell_plan(&mut self) {
        let place = self.dice.below(NAMES.len());
        let mut some = |most| (self.dice.below(2) == 0).then(|| Quantity::from_count(self.dice.between(1, most)));
        let limits = PlanLimits { requests_a_minute: some(4), tokens_a_minute: some(2_000_000), money_a_month: some(4_000_000_000) };
        let (fee, allowance) = (self.dice.between(0, 90_000_000), self.dice.between(0, 900_000_000));
        // The dearer ones always are.
        let fee = Amount::from_nanos(fee + 100_000_000 * i64::try_from(place).unwrap());
        let terms = PlanTerms { fee, allowance: Quantity::from_count(allowance), limits, ..monthly() };
        let known = self.plans.iter().rev().find(|plan| plan.name == NAMES[place]).map(|plan| plan.id);
        let plan = self.world.sell(NAMES[place], terms).await;
        assert!(known.is_none_or(|id| id == plan.id));
        self.plans.push(plan);
    }

    /// A customer buys a plan; the same purchase again is none.
    pub(super) async fn buy_plan(&mut self, of: usize) {
        let name = NAMES[self.dice.below(NAMES.len())];
        let Some(plan) = self.plans.iter().rev().find(|plan| plan.name == name).cloned() else { return };
        let (before, had) = (self.balance(of).await, self.subscription(of).await);
        let purchase = self.world.purchase(&plan);
        let owner = self.ledger().owner(self.customers[of].user).await.unwrap();
        let bought = match owner.buy(purchase).await {
            Ok(bought) => bought,
            Err(Error::InsufficientCredit { .. }) => return,
            Err(Error::Invalid { field: "plan", .. }) => return assert!(had.is_some_and(|had| version(&had.plan) == version(&plan))),
            Err(other) => panic!("{other}"),
        };
        let has = self.subscription(of).await.unwrap();
        match bought {
            Bought::Now(_) => {
                assert_eq!(owner.buy(purchase).await.unwrap(), bought);
                assert_eq!(version(&has.plan), version(&plan));
                let moved = self.moved(of, before).await;
                // Of a dearer one some of the fee before comes back, and what is left of the allowance before is lost.
                assert!(had.is_some() || moved == [comes_to(&plan), 0], "{moved:?}: {plan:?}");
            }
            Bought::Then(_) => {
                assert_eq!((version(&has.plan), self.balance(of).await), (version(&had.unwrap().plan), before), "it follows");
                assert!(!has.ends && has.next.as_ref().is_none_or(|next| version(next) == version(&plan)));
            }
        }
        self.assert_bounded_by_plans().await;
    }

    /// A customer's plan is to end with its month, or is not after all. Until then it is what it was.
    async fn leave_plan(&mut self, of: usize) {
        let Some(had) = self.subscription(of).await else { return };
        let ends = self.dice.below(2) == 0;
        self.ledger().owner(self.customers[of].user).await.unwrap().end_plan(had.plan.id, ends).await.unwrap();
        let has = self.subscription(of).await.unwrap();
        assert_eq!((version(&has.plan), has.ends), (version(&had.plan), ends));
        self.assert_bounded_by_plans().await;
    }

    /// About a month passes: plans are renewed, or end.
    pub(super) async fn pass_a_month(&mut self) {
        self.latest = self.latest.max(self.world.now);
        self.world.now = self.latest + TimeDelta::days(self.dice.between(25, 40));
        self.latest = self.world.now;
        self.ledger().system().make_partitions(self.world.now).await.unwrap();
        let mut befores = Vec::new();
        for of in 0..self.customers.len() {
            befores.push((self.balance(of).await, self.subscription(of).await));
        }
        self.ledger().system().renew_plans().await.unwrap();
        for (of, (before, had)) in befores.into_iter().enumerate() {
            let (has, moved) = (self.subscription(of).await, self.moved(of, before).await);
            let Some(had) = had else {
                assert_eq!((has, moved), (None, [0, 0]), "nobody has a plan that they did not buy");
                continue;
            };
            let is_due = had.period.to <= self.world.now;
            match has {
                None => assert!(is_due && (had.ends || had.unpaid_since.is_some()) && moved == [0, 0], "{had:?}"),
                Some(has) if has.period == had.period => assert!(moved == [0, 0] && (!is_due || has.unpaid_since.is_some()), "{has:?}"),
                Some(has) => {
                    assert!(is_due && !had.ends && has.period.to > self.world.now, "{had:?} {has:?}");
                    assert_eq!((version(&has.plan), moved), (version(&had.next.unwrap_or(had.plan)), [comes_to(&has.plan), 0]));
                }
            }
        }
        self.assert_bounded_by_plans().await;
    }

    /// What plans took and gave since; the sums have it from now on.
    async fn moved(&mut self, of: usize, before: [i128; 2]) -> [i128; 2] {
        let after = self.balance(of).await;
        let moved = [after[0] - before[0], after[1] - before[1]];
        for (sum, moved) in self.sums[of].iter_mut().zip(moved) {
            sum.put_in += moved;
        }
        moved
    }

    async fn subscription(&self, of: usize) -> Option<Subscription> {
        self.world.ledger.reader(self.customers[of].user).await.unwrap().subscription().await.unwrap()
    }

    /// Whether a limit is one that an account has by its plan.
    pub(super) async fn is_of_the_plan(&self, of: usize, limit: LimitId) -> bool {
        let limits = self.world.ledger.reader(self.customers[of].user).await.unwrap().limits(self.world.now).await.unwrap();
        limits.iter().any(|state| state.limit.id == limit && state.set_by == LimitSetter::Plan)
    }

    /// The limits of an account that came with a plan are those of the plan that it has, as that was sold; without one there are none.
    pub(super) async fn assert_bounded_by_plans(&self) {
        for (of, customer) in self.customers.iter().enumerate() {
            let limits = self.world.ledger.reader(customer.user).await.unwrap().limits(self.world.now).await.unwrap();
            let of_plan = limits.iter().filter(|state| state.set_by == LimitSetter::Plan).map(|state| &state.limit);
            let found: Vec<_> = of_plan.map(|limit| (limit.pool.unit.name(), limit.window.name(), limit.pool.capacity.get())).collect();
            let sold = self.subscription(of).await.map(|has| {
                let plan = self.plans.iter().find(|plan| version(plan) == version(&has.plan));
                plan.unwrap().terms.limits
            });
            let expected = sold.unwrap_or(PlanLimits::NONE).each();
            let expected: BTreeSet<_> = expected.map(|limit| (limit.unit.name(), limit.window.name(), limit.capacity.get())).collect();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "account {of}");
        }
    }

    /// A call that was just admitted holds all that it can take of each limit of its account's plan, and none of these has more held and used of it than
    /// there is.
    pub(super) async fn assert_within_the_plan(&self, of: usize, call: &Admitted, paid_in: Unit) {
        let reader = self.world.ledger.reader(self.customers[of].user).await.unwrap();
        let holds = self.world.holding(call).split.limits;
        for state in reader.limits(self.world.now).await.unwrap().into_iter().filter(|state| state.set_by == LimitSetter::Plan) {
            let id = state.limit.id;
            let wanted = match state.limit.pool.unit {
                Unit::Requests => 1,
                Unit::Tokens => call.tokens_held.get(),
                Unit::Money if paid_in == Unit::Money => call.held.nanos(),
                Unit::Money => 0,
            };
            let hold = holds.iter().find_map(|hold| match hold.pool {
                PoolRef::Limit { id: other, from } if other == id => Some((from, hold.quantity.get())),
                _ => None,
            });
            assert_eq!(hold.map_or(0, |(_, quantity)| quantity), wanted, "{state:?} {call:?}");
            let Some((from, _)) = hold else { continue };
            let then = reader.limits(from).await.unwrap().into_iter().find(|state| state.limit.id == id).unwrap().limit.pool;
            assert!(then.used.get() + then.leased.get() <= then.capacity.get(), "{then:?} {call:?}");
        }
    }
}

/// Which plan, and as it was sold when.
fn version(plan: &Plan) -> (PlanId, i64) {
    (plan.id, plan.version)
}

/// What a month of it adds to what an account has, in nanos.
fn comes_to(plan: &Plan) -> i128 {
    i128::from(plan.terms.allowance.get()) - i128::from(plan.terms.fee.nanos())
}
