//! A day of the whole gateway: its sums are those of its calls, and what they cost is priced call by call.

use chrono::TimeDelta;
use domain::{
    catalog::PriceKind,
    id::PriceId,
    money::Amount,
    rates::{BucketRates, ContextTier, Rates},
    service_tier::ServiceTier,
    tokens::Tokens,
};
use ledger::{NewModel, NewPrice};
use sqlx::PgPool;

use crate::world::{MODEL, World, amount, with};

async fn cost(world: &World, rates: Rates, ago: TimeDelta) {
    let price = NewPrice {
        id: PriceId::new(world.now, world.random()),
        model: MODEL,
        kind: PriceKind::Cost,
        rates,
        effective_from: world.now - ago,
        actor: "test",
        now: world.now,
        service_tier: ServiceTier::Default,
    };
    world.ledger.system().import_price(price).await.unwrap();
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_days_figures_are_those_of_its_calls_whoever_made_them(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "10").await, world.customer("bob", "10").await);
    world.customer("carol", "10").await;
    let dear = BucketRates::plain(amount("0.01"), amount("0.02"));
    let tier = ContextTier { from_prompt_tokens: Tokens::from_sum(5_000), rates: dear };
    // The cost changes two hours ago, from a flat fee to tiers.
    cost(&world, Rates { per_call: amount("0.5"), ..Rates::plain(Amount::ZERO, Amount::ZERO) }, TimeDelta::days(9)).await;
    cost(&world, Rates { tiers: vec![tier], ..Rates::plain(amount("0.0001"), amount("0.0002")) }, TimeDelta::hours(2)).await;
    let calls = [
        world.call(ada, 1_000, 1_000, TimeDelta::hours(3)),
        world.call(ada, 4_999, 0, TimeDelta::zero()),
        world.call(bob, 5_000, 100, TimeDelta::minutes(1)),
        world.call(bob, 1, 0, TimeDelta::minutes(2)),
        world.call(bob, 2_000, 0, TimeDelta::days(1)),
    ];
    world.post(&calls).await.unwrap();

    let operator = world.ledger.system().operator();
    let today = operator.today(world.now).await.unwrap();
    assert_eq!((today.calls, today.before), (4, (1, amount("0.002"))));
    // 0.003, 0.004999, 0.0052 and 0.000001.
    assert_eq!((today.revenue, today.written_off), (amount("0.0132"), Amount::ZERO));
    // 0.5; 0.0004999; 0.05 and 0.002; 0.0000001.
    assert_eq!((today.cost.amount, today.cost.unknown), (Some(amount("0.5525")), 0));
    assert_eq!(today.margin(), Some(amount("-0.5393")));
    assert_eq!(today.quarantine.calls, 0);

    let tomorrow = operator.today(world.now + TimeDelta::days(1)).await.unwrap();
    assert_eq!((tomorrow.calls, tomorrow.before), (0, (4, amount("0.0132"))));
    let later = operator.today(world.now + TimeDelta::days(2)).await.unwrap();
    assert_eq!((later.calls, later.before, later.cost.amount), (0, (0, Amount::ZERO), Some(Amount::ZERO)));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_calls_of_a_model_without_a_cost_cost_is_not_known(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let other = NewModel { name: "large", ..world.model() };
    world.ledger.system().add_model(other).await.unwrap();
    cost(&world, Rates::plain(amount("0.0001"), amount("0.0002")), TimeDelta::days(1)).await;
    let known = world.call(ada, 1_000, 0, TimeDelta::zero());
    let mut unknown = world.call(ada, 1_000, 0, TimeDelta::zero());
    unknown.admitted = with(unknown.admitted, |call| call.model = "large".to_owned());
    world.post(&[known, unknown]).await.unwrap();
    let today = world.ledger.system().operator().today(world.now).await.unwrap();
    assert_eq!((today.calls, today.cost.amount, today.cost.unknown), (2, Some(amount("0.0001")), 1));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_cannot_be_posted_waits_where_an_operator_sees_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let mut nobodys = world.call(ada, 1_000, 0, TimeDelta::zero());
    nobodys.admitted.account_id = domain::id::AccountId::new(world.now, world.random());
    assert_eq!(world.post(&[nobodys]).await.unwrap().quarantined.len(), 1);
    let today = world.ledger.system().operator().today(world.now).await.unwrap();
    assert!(today.quarantine.calls == 1 && today.quarantine.since.is_some() && today.calls == 0, "{today:?}");
}
