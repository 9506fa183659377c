//! Plans and packages: what they take, what they give, and what becomes of them from month to month.

mod calls;
mod changes;
mod limits;
mod months;
mod offers;
mod purchases;

use chrono::{DateTime, Months, Utc};
use domain::{billing::GrantKind, money::Amount, plan::Plan};
use ledger::{Bought, Error, Ledger};
use sqlx::PgPool;

use crate::world::{Customer, World};

/// A world that began on 31 January three years ago, so that months can pass in it.
async fn past_world(pool: PgPool) -> World {
    let mut world = World::new(pool).await;
    world.now = "2024-01-31T12:00:00Z".parse().unwrap();
    world.ledger = world.ledger.dated(world.now);
    world
}

impl World {
    async fn buy(&self, ledger: &Ledger, customer: Customer, plan: &Plan) -> Result<Bought, Error> {
        ledger.owner(customer.user).await.unwrap().buy(self.purchase(plan)).await
    }

    async fn renew_at(&self, at: DateTime<Utc>) -> usize {
        self.ledger.dated(at).system().renew_plans().await.unwrap()
    }

    async fn subscription(&self, customer: Customer) -> Option<domain::plan::Subscription> {
        self.ledger.reader(customer.user).await.unwrap().subscription().await.unwrap()
    }

    /// What is in the wallet, and in the allowance of the running period.
    async fn has(&self, customer: Customer, at: DateTime<Utc>) -> (Amount, Amount) {
        let balance = self.ledger.reader(customer.user).await.unwrap().balance(at).await.unwrap();
        let of = |kind| balance.grants.iter().filter(|grant| grant.kind == kind).map(|grant| grant.balance.get()).sum::<i64>();
        (Amount::from_nanos(of(GrantKind::Wallet)), Amount::from_nanos(of(GrantKind::Plan)))
    }
}

fn months(at: DateTime<Utc>, many: u32) -> DateTime<Utc> {
    at.checked_add_months(Months::new(many)).unwrap()
}

fn half_of(period: domain::plan::Month) -> DateTime<Utc> {
    period.from + (period.to - period.from) / 2
}
