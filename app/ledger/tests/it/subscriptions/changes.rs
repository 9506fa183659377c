//! A plan that takes the place of another.

use domain::{credit::Quantity, plan::PlanTerms};
use ledger::{Bought, Error, Purchase};
use sqlx::PgPool;

use super::{half_of, past_world};
use crate::world::{amount, monthly};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_dearer_plan_begins_at_once_and_takes_off_the_lesser_of_the_time_and_the_allowance_that_are_left(pool: PgPool) {
    let mut world = past_world(pool).await;
    let (ada, ben) = (world.customer("ada", "100").await, world.customer("ben", "100").await);
    let plan = world.sell("Basic", monthly()).await;
    let large = world.sell("Large", PlanTerms { fee: amount("50"), allowance: Quantity::from(amount("200")), ..monthly() }).await;
    for customer in [ada, ben] {
        world.buy(&world.ledger, customer, &plan).await.unwrap();
    }
    let period = world.subscription(ada).await.unwrap().period;
    // Of what Ben was given nine tenths are taken by somebody who writes into the books: no call can be of those days.
    let take = "update grants set leased = 18000000000 where account_id = $1 and kind = 'plan'";
    sqlx::query(take).bind(ben.account.uuid()).execute(&world.pool).await.unwrap();
    let half = world.ledger.dated(half_of(period));
    for customer in [ada, ben] {
        assert!(matches!(world.buy(&half, customer, &large).await.unwrap(), Bought::Now(_)));
    }
    sqlx::query("update grants set leased = 0 where account_id = $1").bind(ben.account.uuid()).execute(&world.pool).await.unwrap();
    let at = world.subscription(ada).await.unwrap().period.from;
    // Some microseconds after the half: the books date what follows after what was.
    let back = world.has(ada, at).await.0.checked_sub(amount("40")).unwrap();
    assert!(back <= amount("5") && back > amount("4.9999"), "half of 10 comes back: {back}");
    assert_eq!(world.has(ada, at).await.1, amount("200"), "what was left of the plan before has lapsed");
    assert_eq!(world.has(ben, at).await.0, amount("41"), "a tenth of the allowance was left");
    world.ledger.dated(at).system().lapse_grants().await.unwrap();
    world.assert_proven().await;
}

/// Also one that comes again when something else was bought since.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_change_that_is_asked_for_again_is_made_once(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Basic", monthly()).await;
    let large = world.sell("Large", PlanTerms { fee: amount("20"), ..monthly() }).await;
    let huge = world.sell("Huge", PlanTerms { fee: amount("30"), ..monthly() }).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let purchase = world.purchase(&large);
    let bought = owner.buy(purchase).await.unwrap();
    let left = world.has(ada, world.now).await.0;
    assert_eq!((owner.buy(purchase).await.unwrap(), world.has(ada, world.now).await.0), (bought, left));
    world.buy(&world.ledger, ada, &huge).await.unwrap();
    assert_eq!(owner.buy(purchase).await.unwrap(), bought);
    let now = world.subscription(ada).await.unwrap();
    assert_eq!((now.plan.name.as_str(), now.next), ("Huge", None));
    let other = owner.buy(Purchase { plan: huge.id, ..purchase }).await;
    assert!(matches!(other, Err(Error::IdempotencyConflict)), "{other:?}");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_cheaper_plan_follows_when_the_month_is_over_and_can_be_thought_better_of(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Basic", monthly()).await;
    let small = world.sell("Small", PlanTerms { fee: amount("4"), ..monthly() }).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    let over = world.subscription(ada).await.unwrap().period.to;
    assert_eq!(world.buy(&world.ledger, ada, &small).await.unwrap(), Bought::Then(over));
    assert_eq!(world.subscription(ada).await.unwrap().next.unwrap().name, "Small");
    let owner = world.ledger.owner(ada.user).await.unwrap();
    owner.end_plan(plan.id, false).await.unwrap();
    assert_eq!(world.subscription(ada).await.unwrap().next, None, "it stays after all");
    world.buy(&world.ledger, ada, &small).await.unwrap();
    assert_eq!(world.has(ada, world.now).await.0, amount("90"), "nothing is paid before");
    assert_eq!(world.renew_at(over).await, 1);
    let now = world.subscription(ada).await.unwrap();
    assert_eq!((now.plan.name.as_str(), now.next, world.has(ada, over).await.0), ("Small", None, amount("86")));
    world.assert_proven().await;
}
