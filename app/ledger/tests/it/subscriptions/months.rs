//! Months that follow each other, and plans that end.

use chrono::TimeDelta;
use domain::money::Amount;
use ledger::Error;
use sqlx::PgPool;

use super::{months, past_world};
use crate::world::{amount, monthly};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn each_month_is_paid_for_once_and_what_is_left_of_the_one_before_lapses(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Basic", monthly()).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    let began = world.subscription(ada).await.unwrap().period.from;
    assert_eq!(world.renew_at(months(began, 1) - TimeDelta::seconds(1)).await, 0, "it is not over");
    let over = months(began, 1);
    assert_eq!((world.renew_at(over).await, world.renew_at(over).await, world.renew_at(over + TimeDelta::hours(1)).await), (1, 0, 0));
    world.ledger.dated(over).system().lapse_grants().await.unwrap();
    assert_eq!(world.has(ada, over).await, (amount("80"), amount("20")));
    let next = world.subscription(ada).await.unwrap().period;
    assert_eq!((next.from, next.to), (over, months(began, 2)), "from the 29th to the 31st");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn months_in_which_nothing_ran_are_not_billed(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Basic", monthly()).await;
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    let began = world.subscription(ada).await.unwrap().period.from;
    let later = months(began, 4) + TimeDelta::days(3);
    assert_eq!(world.renew_at(later).await, 1);
    assert_eq!(world.has(ada, later).await.0, amount("80"), "the first month, and the one that runs");
    let period = world.subscription(ada).await.unwrap().period;
    assert_eq!((period.from, period.to), (months(began, 4), months(began, 5)));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_plan_that_is_ended_lasts_until_its_month_is_over(pool: PgPool) {
    let mut world = past_world(pool).await;
    let ada = world.customer("ada", "100").await;
    let plan = world.sell("Basic", monthly()).await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    assert!(matches!(owner.end_plan(plan.id, true).await, Err(Error::NotFound)));
    world.buy(&world.ledger, ada, &plan).await.unwrap();
    let other = world.sell("Other", monthly()).await;
    assert!(
        matches!(owner.end_plan(other.id, true).await, Err(Error::Invalid { field: "plan", .. })),
        "a page that is out of date ends nothing"
    );
    assert!(!world.subscription(ada).await.unwrap().ends);
    owner.end_plan(plan.id, true).await.unwrap();
    let open = world.subscription(ada).await.unwrap();
    assert!(open.ends);
    assert_eq!(world.renew_at(open.period.to).await, 0);
    assert_eq!((world.subscription(ada).await, world.has(ada, open.period.to).await), (None, (amount("90"), Amount::ZERO)));
    world.ledger.dated(open.period.to).system().lapse_grants().await.unwrap();
    world.buy(&world.ledger.dated(open.period.to), ada, &plan).await.unwrap();
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn who_cannot_pay_gets_a_whole_month_once_they_can_and_has_a_week_for_it(pool: PgPool) {
    let mut world = past_world(pool).await;
    let (ada, ben) = (world.customer("ada", "12").await, world.customer("ben", "12").await);
    let plan = world.sell("Basic", monthly()).await;
    for customer in [ada, ben] {
        world.buy(&world.ledger, customer, &plan).await.unwrap();
    }
    let over = world.subscription(ben).await.unwrap().period.to;
    assert_eq!(world.renew_at(over).await, 0);
    assert!(world.subscription(ada).await.unwrap().unpaid_since.is_some());
    let paid = over + TimeDelta::days(3);
    let money = world.money("10", "again");
    world.ledger.dated(paid).owner(ada.user).await.unwrap().top_up(money).await.unwrap();
    assert_eq!(world.renew_at(paid).await, 1);
    let open = world.subscription(ada).await.unwrap();
    assert_eq!((open.unpaid_since, open.period.to.date_naive()), (None, months(paid, 1).date_naive()));
    assert_eq!(world.renew_at(over + TimeDelta::days(6)).await, 0);
    assert!(world.subscription(ben).await.is_some());
    world.renew_at(over + TimeDelta::days(8)).await;
    assert_eq!((world.subscription(ben).await, world.has(ben, paid).await.0), (None, amount("2")));
    world.ledger.dated(paid).system().lapse_grants().await.unwrap();
    world.assert_proven().await;
}
