//! What makes every proxy look at an account anew.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    credit::{CreditLine, Hardness, Quantity, Scope, Unit, Window},
    id::{AccountId, LimitId, ProjectId},
};
use ledger::{Error, NewLimit, NewProject};
use sqlx::PgPool;

use crate::world::{World, amount};

/// Of which accounts something was said since.
async fn since(world: &World, instant: DateTime<Utc>) -> Vec<AccountId> {
    world.ledger.meter().notices(instant).await.unwrap().recalled.into_iter().map(|(account, _)| account).collect()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whatever_changes_what_an_account_may_spend_is_noticed(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, _) = (world.customer("ada", "1").await, world.customer("bob", "1").await);
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let operator = world.ledger.system().operator();
    let project = ProjectId::new(world.now, world.random());
    owner.add_project(NewProject { id: project, name: "other", now: world.now }).await.unwrap();
    let id = LimitId::new(world.now, world.random());
    let (scope, window, unit, hardness) = (Scope::Account, Window::Day, Unit::Requests, Hardness::Hard);
    let limit = NewLimit { id, scope, window, unit, hardness, capacity: Quantity::from_count(5) };
    let mut last = world.ledger.clock().await.unwrap();
    assert_eq!(since(&world, last).await, []);
    for change in 0..6 {
        match change {
            0 => owner.set_limit(&limit).await.map(drop),
            1 => owner.remove_limit(limit.id).await,
            2 => owner.move_key(ada.key, project).await,
            3 => {
                operator.change_credit_line(ada.account, "test", |line| *line = CreditLine { amount: amount("1"), ..*line }).await.map(drop)
            }
            4 => world.ledger.meter().recall(&[ada.account]).await,
            _ => owner.revoke_key(ada.key, world.now).await,
        }
        .unwrap();
        let notices = world.ledger.meter().notices(last).await.unwrap();
        // A recall is no change.
        assert_eq!(notices.changed.len(), usize::from(change != 4), "change {change}: {notices:?}");
        let [(account, at)] = notices.recalled[..] else { panic!("change {change}: {notices:?}") };
        assert!(account == ada.account && last < at && at <= notices.clock, "change {change}: {notices:?}");
        assert_eq!(since(&world, at).await, [ada.account], "at that very instant, too");
        last = notices.clock;
        assert_eq!(since(&world, last).await, []);
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_was_refused_is_not_noticed(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "1").await, world.customer("bob", "1").await);
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let begun = world.ledger.clock().await.unwrap();
    assert!(matches!(owner.revoke_key(bob.key, world.now).await, Err(Error::NotFound)));
    assert!(matches!(owner.move_key(bob.key, ProjectId::first_of(ada.account)).await, Err(Error::NotFound)));
    assert!(matches!(owner.remove_limit(LimitId::new(world.now, world.random())).await, Err(Error::NotFound)));
    assert_eq!(since(&world, begun).await, []);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_notice_is_forgotten_after_a_minute(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "1").await, world.customer("bob", "1").await);
    for customer in [ada, bob] {
        world.ledger.meter().recall(&[customer.account]).await.unwrap();
    }
    let age = "update notices set at = at - interval '61 seconds' where account_id = $1";
    sqlx::query(age).bind(ada.account.uuid()).execute(&world.pool).await.unwrap();
    let long_ago = world.ledger.clock().await.unwrap() - TimeDelta::hours(1);
    assert_eq!(since(&world, long_ago).await.len(), 2);

    world.ledger.system().forget_notices().await.unwrap();

    assert_eq!(since(&world, long_ago).await, [bob.account]);
    // What is said again is there again.
    world.ledger.meter().recall(&[ada.account]).await.unwrap();
    assert_eq!(since(&world, long_ago).await.len(), 2);
}
