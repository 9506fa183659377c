//! Limits that come with a plan.

use domain::{
    credit::{Hardness, LimitSetter, LimitState, Quantity, Scope, Unit, Window},
    id::LimitId,
    plan::{PlanLimits, PlanTerms},
};
use ledger::{Error, NewLimit};
use sqlx::PgPool;

use super::past_world;
use crate::world::{Customer, World, amount, monthly};

/// What there is of limits that come with a plan: unit, window and capacity.
async fn bounds(world: &World, of: Customer) -> Vec<(&'static str, &'static str, i64)> {
    let limits = world.ledger.system().account(of.account).limits(world.now).await.unwrap();
    let of_plan = limits.into_iter().filter(|state| state.set_by == LimitSetter::Plan);
    of_plan.map(|LimitState { limit, .. }| (limit.pool.unit.name(), limit.window.name(), limit.pool.capacity.get())).collect()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_plans_limits_come_with_it_bind_beside_the_accounts_and_go_with_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "100").await;
    let (owner, operator) = (world.ledger.owner(ada.user).await.unwrap(), world.ledger.system().operator());
    let some = |count| Some(Quantity::from_count(count));
    let small = PlanLimits { requests_a_minute: some(1), money_a_month: some(5_000_000_000), ..PlanLimits::NONE };
    let plan = world.sell("Small", PlanTerms { limits: small, ..monthly() }).await;
    owner.buy(world.purchase(&plan)).await.unwrap();
    assert_eq!(bounds(&world, ada).await, [("requests", "minute", 1), ("money", "month", 5_000_000_000)]);
    world.lease(&world.intent(ada, "0.01")).await.unwrap();
    assert!(matches!(world.lease(&world.intent(ada, "0.01")).await, Err(Error::Exhausted(_))), "the second in a minute");
    let of_plan = owner.limits(world.now).await.unwrap().remove(0).limit.id;
    assert!(matches!(owner.remove_limit(of_plan).await, Err(Error::Forbidden)));
    assert!(matches!(operator.remove_limit(ada.account, of_plan).await, Err(Error::Forbidden)));

    // Whoever has it keeps it as it was; a dearer one takes its place at once.
    let large = PlanLimits { requests_a_minute: some(1_000), tokens_a_minute: some(50_000_000), ..PlanLimits::NONE };
    world.sell("Small", PlanTerms { limits: large, ..monthly() }).await;
    assert_eq!(bounds(&world, ada).await.len(), 2);
    let dear = world.sell("Large", PlanTerms { fee: amount("50"), limits: large, ..monthly() }).await;
    owner.buy(world.purchase(&dear)).await.unwrap();
    assert_eq!(bounds(&world, ada).await, [("tokens", "minute", 50_000_000), ("requests", "minute", 1_000)]);
    world.lease(&world.intent(ada, "0.01")).await.unwrap();
    // The tightest binds, whoever has set it.
    let own = NewLimit {
        id: LimitId::new(world.now, world.random()),
        scope: Scope::Account,
        window: Window::Minute,
        unit: Unit::Requests,
        hardness: Hardness::Hard,
        capacity: Quantity::from_count(1),
    };
    owner.set_limit(&own).await.unwrap();
    world.lease(&world.intent(ada, "0.01")).await.unwrap();
    assert!(matches!(world.lease(&world.intent(ada, "0.01")).await, Err(Error::Exhausted(_))), "the account's own");
    owner.remove_limit(own.id).await.unwrap();
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_plans_limits_last_until_it_ends_and_change_with_the_month(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let money = |count| PlanLimits { money_a_month: Some(Quantity::from_count(count)), ..PlanLimits::NONE };
    let plan = world.sell("Large", PlanTerms { limits: money(7), ..monthly() }).await;
    let small = world.sell("Small", PlanTerms { fee: amount("4"), limits: money(3), ..monthly() }).await;
    let ledger = world.ledger.clone();
    world.buy(&ledger, ada, &plan).await.unwrap();
    world.buy(&ledger, ada, &small).await.unwrap();
    assert_eq!(bounds(&world, ada).await, [("money", "month", 7)], "it follows when the month is over");
    let over = world.subscription(ada).await.unwrap().period.to;
    assert_eq!(world.renew_at(over).await, 1);
    assert_eq!(bounds(&world, ada).await, [("money", "month", 3)]);
    ledger.owner(ada.user).await.unwrap().end_plan(small.id, true).await.unwrap();
    assert_eq!(bounds(&world, ada).await.len(), 1);
    let over = world.subscription(ada).await.unwrap().period.to;
    assert_eq!(world.renew_at(over).await, 0, "it ends");
    assert_eq!(bounds(&world, ada).await, []);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_proof_finds_a_limit_of_a_plan_that_is_another(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "100").await;
    let limits = PlanLimits { requests_a_minute: Some(Quantity::from_count(60)), ..PlanLimits::NONE };
    let plan = world.sell("Small", PlanTerms { limits, ..monthly() }).await;
    world.ledger.owner(ada.user).await.unwrap().buy(world.purchase(&plan)).await.unwrap();
    world.assert_proven().await;
    for (wrong, right) in [
        ("update limits set capacity = 61 where set_by = 'plan'", "update limits set capacity = 60 where set_by = 'plan'"),
        ("update limits set removed_at = now() where set_by = 'plan'", "update limits set removed_at = null where set_by = 'plan'"),
        ("update plan_versions set tokens_a_minute = 1", "update plan_versions set tokens_a_minute = null"),
    ] {
        sqlx::query(wrong).execute(&world.pool).await.unwrap();
        assert!(!world.proof().await.holds(), "{wrong}");
        sqlx::query(right).execute(&world.pool).await.unwrap();
        world.assert_proven().await;
    }
}
