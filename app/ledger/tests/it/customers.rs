//! Customers as operators list them, and whether their calls are admitted.

use chrono::TimeDelta;
use domain::{
    account::AccountState,
    audit::{AuditFilter, Operation},
    customers::{CustomerFilter, CustomerKind, CustomerSort},
};
use ledger::{Error, NewKey};
use sqlx::PgPool;

use crate::world::{Customer, World, amount, monthly};

/// The names on all pages of a list, two a page.
async fn listed(world: &World, query: &str) -> Vec<String> {
    let filter = CustomerFilter::from_query(query).unwrap();
    let (mut names, mut place) = (Vec::new(), None);
    loop {
        let page = world.ledger.system().operator().customers(&filter, place.as_ref(), 2, world.now).await.unwrap();
        assert!(page.customers.len() <= 2);
        names.extend(page.customers.into_iter().map(|customer| customer.name));
        place = page.next;
        if place.is_none() {
            return names;
        }
    }
}

/// Five customers: Ada spent most, Bob has nothing left, Carol came last and never called.
async fn five(world: &mut World) -> [Customer; 5] {
    let mut five = Vec::new();
    for (name, credit) in [("ada", "90"), ("Bob", "3"), ("carol", "7"), ("dora", "5"), ("Émile", "5")] {
        five.push(world.customer(name, credit).await);
        world.now += TimeDelta::seconds(1);
    }
    let five: [Customer; 5] = five.try_into().unwrap_or_else(|_| unreachable!());
    let calls = [world.call(five[0], 20_000_000, 0, TimeDelta::zero()), world.call(five[1], 3_000_000, 0, TimeDelta::zero())];
    world.post(&calls).await.unwrap();
    five
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn every_order_shows_every_customer_once_over_all_pages(pool: PgPool) {
    let mut world = World::new(pool).await;
    five(&mut world).await;
    assert_eq!(listed(&world, "").await, ["ada", "Bob", "carol", "dora", "Émile"]);
    assert_eq!(listed(&world, "sort=spend").await[..2], ["ada", "Bob"]);
    assert_eq!(listed(&world, "sort=balance").await, ["Bob", "dora", "Émile", "carol", "ada"]);
    assert_eq!(listed(&world, "sort=created").await, ["Émile", "dora", "carol", "Bob", "ada"]);
    for sort in CustomerSort::ALL {
        let mut names = listed(&world, &format!("sort={}", sort.name())).await;
        names.sort();
        assert_eq!(names, ["Bob", "ada", "carol", "dora", "Émile"], "{sort:?}");
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_list_is_narrowed_to_what_its_kinds_say(pool: PgPool) {
    let mut world = World::new(pool).await;
    let [ada, _, carol, dora, _] = five(&mut world).await;
    let operator = world.ledger.system().operator();
    operator.set_account_state(carol.account, AccountState::Active, AccountState::Suspended).await.unwrap();
    operator.set_account_state(dora.account, AccountState::Active, AccountState::Closed).await.unwrap();
    let plan = world.sell("Basic", monthly()).await;
    operator.buy(ada.account, world.purchase(&plan)).await.unwrap();

    assert_eq!(listed(&world, "only=low").await, ["Bob"], "who never called needs nothing");
    assert_eq!(listed(&world, "only=suspended").await, ["carol"]);
    assert_eq!(listed(&world, "only=closed").await, ["dora"]);
    assert_eq!(listed(&world, "only=plan").await, ["ada"]);
    for kind in CustomerKind::ALL {
        for sort in CustomerSort::ALL {
            let query = format!("search=A&only={}&sort={}", kind.name(), sort.name());
            let expected = listed(&world, &format!("only={}", kind.name())).await.len();
            // Each has an A in its name or its address.
            assert_eq!(listed(&world, &query).await.len(), expected, "{query}");
        }
    }
    assert_eq!(listed(&world, "search=BOB%40example").await, ["Bob"]);
    assert_eq!(listed(&world, &format!("search={}", carol.account)).await, ["carol"]);
    assert_eq!(listed(&world, "search=%25").await, Vec::<String>::new(), "what a person types is no wildcard");

    let one = operator.customer(ada.account, world.now).await.unwrap();
    assert_eq!((one.plan.as_deref(), one.state, one.spent_30_days), (Some("Basic"), AccountState::Active, amount("20")));
    assert_eq!((one.balance, one.owner_email.as_deref()), (amount("80"), Some("ada@example.com")));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_suspended_account_is_known_to_its_keys_and_its_calls_that_run_are_posted(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let operator = world.ledger.system().operator();
    let secret = world.secret();
    let key = NewKey { name: "second", ..world.new_key(ada, &secret, "second") };
    world.ledger.member(ada.user).await.unwrap().create_key(key).await.unwrap();
    let state = async || world.ledger.meter().key(&ledger::keys::digest(&secret)).await.unwrap().unwrap().account_state;
    let running = world.intent(ada, "0.02");
    world.lease(&running).await.unwrap();

    let before = world.ledger.clock().await.unwrap();
    operator.set_account_state(ada.account, AccountState::Active, AccountState::Suspended).await.unwrap();
    assert_eq!(state().await, AccountState::Suspended);
    let changed = world.ledger.meter().notices(before).await.unwrap().changed;
    assert!(changed.iter().any(|(account, _)| *account == ada.account), "every proxy hears of it");
    world.post(&[world.settle(&running, ada, 10_000, 0)]).await.unwrap();
    assert_eq!(world.balance(ada).await.balance, amount("9.99"));

    let stale = operator.set_account_state(ada.account, AccountState::Active, AccountState::Closed).await;
    assert!(matches!(stale, Err(Error::Invalid { field: "state", .. })), "somebody has changed it meanwhile: {stale:?}");
    assert_eq!(state().await, AccountState::Suspended);
    operator.set_account_state(ada.account, AccountState::Suspended, AccountState::Active).await.unwrap();
    assert_eq!(state().await, AccountState::Active);
    let nobody = domain::id::AccountId::new(world.now, world.random());
    assert!(matches!(operator.set_account_state(nobody, AccountState::Active, AccountState::Closed).await, Err(Error::NotFound)));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_plan_of_a_closed_account_ends_with_its_month(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "100").await;
    let operator = world.ledger.system().operator();
    let plan = world.sell("Basic", monthly()).await;
    operator.buy(ada.account, world.purchase(&plan)).await.unwrap();
    operator.set_account_state(ada.account, AccountState::Active, AccountState::Closed).await.unwrap();
    let reader = world.ledger.reader(ada.user).await.unwrap();
    assert!(reader.subscription().await.unwrap().unwrap().ends);
    let owner = world.ledger.owner(ada.user).await.unwrap();
    assert!(matches!(owner.end_plan(plan.id, false).await, Err(Error::Invalid { field: "account", .. })), "nobody pays for what is closed");
    assert!(matches!(owner.buy(world.purchase(&plan)).await, Err(Error::Invalid { field: "account", .. })));
    let log = operator.audit(&AuditFilter::default(), None, 10).await.unwrap().lines;
    for operation in [Operation::AccountState, Operation::PlanEnd] {
        assert!(log.iter().any(|line| line.operation == operation.name() && line.account == Some(ada.account)), "{operation:?}: {log:?}");
    }
    let later = world.ledger.dated(world.now + TimeDelta::days(40));
    later.system().renew_plans().await.unwrap();
    assert_eq!(reader.subscription().await.unwrap(), None);
    assert_eq!(world.balance(ada).await.balance, amount("110"), "one fee and one allowance");
}
