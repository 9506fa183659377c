use chrono::TimeDelta;
use domain::money::Amount;
use futures_util::future::join_all;
use ledger::Error;
use sqlx::PgPool;

use crate::world::{PROXY, World, amount, with};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn fifty_calls_at_once_hold_no_more_than_there_is(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let intents: Vec<_> = (0..50).map(|_| world.intent(ada, "0.1")).collect();
    let meter = world.ledger.meter();

    let (mut admitted, mut refused) = (0, 0);
    for answer in join_all(intents.iter().map(|intent| meter.lease(intent))).await {
        match answer {
            Ok(_) => admitted += 1,
            Err(Error::Exhausted(exhausted)) => {
                assert_eq!(exhausted.needed, amount("0.1").into());
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }

    assert_eq!((admitted, refused), (10, 40));
    let balance = world.balance(ada).await;
    assert_eq!((balance.reserved, balance.available), (amount("1"), Amount::ZERO));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_hold_that_was_not_needed_goes_back_whole(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let intent = world.intent(ada, "0.7");
    let meter = world.ledger.meter();
    meter.lease(&intent).await.unwrap();

    meter.release(intent.account_id, intent.call_id).await.unwrap();
    meter.release(intent.account_id, intent.call_id).await.unwrap();

    assert_eq!(world.balance(ada).await.available, amount("1"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_was_revoked_or_suspended_a_moment_ago_admits_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "1").await, world.customer("bob", "1").await);
    let (of_ada, of_bob) = (world.intent(ada, "0.1"), world.intent(bob, "0.1"));
    world.ledger.member(ada.user).await.unwrap().revoke_key(ada.key, world.now).await.unwrap();
    sqlx::query("update accounts set status = 'suspended' where account_id = $1")
        .bind(bob.account.uuid())
        .execute(&world.pool)
        .await
        .unwrap();
    let meter = world.ledger.meter();

    assert!(matches!(meter.lease(&of_ada).await, Err(Error::KeyRevoked)));
    assert!(matches!(meter.lease(&of_bob).await, Err(Error::AccountSuspended)));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn another_accounts_key_holds_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "1").await, world.customer("bob", "1").await);
    let crossed = with(world.intent(ada, "0.1"), |call| call.key_id = bob.key);

    assert!(matches!(world.ledger.meter().lease(&crossed).await, Err(Error::KeyRevoked)));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_dead_proxys_calls_are_found_by_its_next_run_or_when_they_expire(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let intent = world.intent(ada, "0.2");
    let meter = world.ledger.meter();
    meter.lease(&intent).await.unwrap();

    assert_eq!(meter.interrupted_of(PROXY).await.unwrap(), std::slice::from_ref(&intent));
    assert_eq!(meter.interrupted_of(uuid::Uuid::from_u128(8)).await.unwrap(), []);
    assert_eq!(meter.interrupted_before(world.now).await.unwrap(), []);
    assert_eq!(meter.interrupted_before(world.now + TimeDelta::hours(1)).await.unwrap(), std::slice::from_ref(&intent));

    meter.post_calls(&[world.settle(&intent, ada, 12, 0)]).await.unwrap();
    assert_eq!(meter.interrupted_of(PROXY).await.unwrap(), []);
    assert_eq!(world.balance(ada).await.reserved, Amount::ZERO);
    world.assert_proven().await;
}
