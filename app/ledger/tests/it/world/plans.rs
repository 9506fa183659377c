//! Plans, and who buys them.

use domain::{
    credit::{Quantity, Unit},
    id::{PlanId, SubscriptionId},
    plan::{Overage, Plan, PlanLimits, PlanTerms, Term},
    pricing::Discount,
};
use ledger::{NewPlan, Purchase};

use super::{World, amount};

/// A plan by the month: 10 for 20 of credit, beyond which the wallet pays.
pub(crate) fn monthly() -> PlanTerms {
    PlanTerms {
        term: Term::Monthly,
        fee: amount("10"),
        unit: Unit::Money,
        allowance: Quantity::from(amount("20")),
        models: None,
        overage: Overage::Wallet,
        discount: Discount::NONE,
        limits: PlanLimits::NONE,
    }
}

impl World {
    /// Has a plan or a package on offer.
    pub(crate) async fn sell(&self, name: &str, terms: PlanTerms) -> Plan {
        let new =
            NewPlan { id: PlanId::new(self.now, self.random()), name, is_offered: true, terms, seen: None, actor: "test", now: self.now };
        self.ledger.system().operator().set_plan(new).await.unwrap()
    }

    /// Of what was just seen.
    pub(crate) fn purchase(&self, plan: &Plan) -> Purchase<'static> {
        Purchase { id: SubscriptionId::new(self.now, self.random()), plan: plan.id, version: plan.version, actor: "test" }
    }
}
