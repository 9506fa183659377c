//! What operators sell, and who has it.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    id::PlanId,
    plan::{Plan, PlanTerms, Term},
};
use ledger::{Error, NewPlan};
use sqlx::PgPool;

use super::past_world;
use crate::world::{amount, monthly};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn who_has_what_is_told_for_as_long_as_they_have_it(pool: PgPool) {
    let mut world = past_world(pool).await;
    let (ada, ben) = (world.customer("ada", "100").await, world.customer("ben", "100").await);
    let plan = world.sell("Basic", monthly()).await;
    let large = world.sell("Large", PlanTerms { fee: amount("50"), ..monthly() }).await;
    let package = world.sell("Volume", PlanTerms { term: Term::Once { days: 30 }, ..monthly() }).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    world.buy(&world.ledger, ben, &large).await.unwrap();
    world.buy(&world.ledger, ben, &plan).await.unwrap();
    for _ in 0..2 {
        world.buy(&world.ledger, ada, &package).await.unwrap();
    }
    let until = world.subscription(ben).await.unwrap().period.to;
    let over = until + TimeDelta::days(2);
    let counts = async |at: DateTime<Utc>| {
        let plans = world.ledger.dated(at).system().operator().plans().await.unwrap();
        plans.into_iter().map(|(plan, accounts)| (plan.name, accounts)).collect::<Vec<_>>()
    };
    let named = |name: &str, accounts| (name.to_owned(), accounts);
    assert_eq!(counts(world.now).await, [named("Basic", 1), named("Large", 1), named("Volume", 1)]);
    assert_eq!(counts(over).await.last(), Some(&named("Volume", 0)), "it is over, and its period is not forgotten");
    let holders = async |plan: &Plan, at| world.ledger.dated(at).system().operator().plan_holders(plan.id, 9).await.unwrap();
    let of_large = holders(&large, world.now).await;
    assert_eq!(of_large.len(), 1);
    assert_eq!((of_large[0].account, of_large[0].until, of_large[0].ends), (ben.account, until, false));
    assert_eq!((of_large[0].next.as_deref(), of_large[0].version), (Some("Basic"), 1));
    let of_package = holders(&package, world.now).await;
    assert_eq!((of_package.len(), of_package[0].account, of_package[0].ends), (2, ada.account, true));
    assert_eq!(holders(&package, over).await, []);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_version_is_looked_at_before_it_is_written_and_none_is_written_over_unseen(pool: PgPool) {
    let world = past_world(pool).await;
    let operator = world.ledger.system().operator();
    let new = |fee: &str, seen| NewPlan {
        id: PlanId::new(world.now, [7; 10]),
        name: "Basic",
        is_offered: true,
        terms: PlanTerms { fee: amount(fee), ..monthly() },
        seen,
        actor: "test",
        now: world.now,
    };
    let reviewed = operator.review_plan(new("10", Some(0))).await.unwrap().unwrap();
    assert_eq!(operator.plans().await.unwrap(), [], "nothing is written yet");
    let first = operator.set_plan(new("10", Some(0))).await.unwrap();
    assert_eq!(first, reviewed);
    assert_eq!(operator.set_plan(new("10", Some(0))).await.unwrap(), first, "the second click");
    assert_eq!(operator.review_plan(new("10", Some(1))).await.unwrap(), None, "nothing would change");
    let unseen = operator.set_plan(new("11", Some(0))).await;
    assert!(matches!(unseen, Err(Error::Taken("a plan or a package of this name"))), "{unseen:?}");
    let second = operator.set_plan(new("11", Some(1))).await.unwrap();
    let unseen = operator.set_plan(new("12", Some(1))).await;
    assert!(matches!(unseen, Err(Error::Taken("a newer version than the one that you saw"))), "{unseen:?}");
    let versions = operator.plan_versions(first.id).await.unwrap();
    let versions: Vec<_> = versions.into_iter().map(|set| (set.plan, set.set_by)).collect();
    assert_eq!(versions, [(second, "test".to_owned()), (first, "test".to_owned())]);
    assert!(matches!(operator.plan_versions(PlanId::new(world.now, [8; 10])).await, Err(Error::NotFound)));
}
