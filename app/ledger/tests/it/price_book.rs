//! Many prices at once: all of them, or none.

use chrono::TimeDelta;
use domain::{catalog::PriceKind, id::PriceId, rates::Rates, service_tier::ServiceTier};
use ledger::{Error, NewModel, NewPrice, Review};
use sqlx::PgPool;

use crate::world::{MODEL, World, amount};

fn price(world: &World, kind: PriceKind, ahead: TimeDelta) -> NewPrice<'static> {
    NewPrice {
        id: PriceId::new(world.now, world.random()),
        model: MODEL,
        kind,
        rates: Rates::plain(amount("0.01"), amount("0.02")),
        effective_from: world.now + ahead,
        actor: "test",
        now: world.now,
        service_tier: ServiceTier::Default,
    }
}

async fn count(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from price_versions").fetch_one(&world.pool).await.unwrap()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn prices_are_written_all_or_none(pool: PgPool) {
    let world = World::new(pool).await;
    let system = world.ledger.system();
    let book = system.operator().price_book().await.unwrap();
    assert_eq!(book.versions.iter().map(|version| version.id).collect::<Vec<_>>(), [world.price]);
    let good = || price(&world, PriceKind::Sale, TimeDelta::minutes(1));
    let unknown = NewPrice { model: "unheard of", ..good() };
    assert!(matches!(system.operator().import_prices(&book, &[good(), unknown]).await, Err(Error::NotFound)));
    let negative = NewPrice { rates: Rates::plain(amount("-1"), amount("1")), ..price(&world, PriceKind::Cost, TimeDelta::zero()) };
    assert!(matches!(system.operator().import_prices(&book, &[good(), negative]).await, Err(Error::Invalid { field: "price", .. })));
    let soon = price(&world, PriceKind::Sale, TimeDelta::seconds(59));
    assert!(matches!(system.operator().import_prices(&book, &[good(), soon]).await, Err(Error::PriceTooSoon)));
    let rival = price(&world, PriceKind::Sale, TimeDelta::minutes(1));
    assert!(matches!(system.operator().import_prices(&book, &[good(), rival]).await, Err(Error::Taken(_))));
    assert_eq!(count(&world).await, 1);

    // A side that never had a price needs no notice, and may have one that follows at once.
    let first = price(&world, PriceKind::Cost, TimeDelta::zero());
    let next = price(&world, PriceKind::Cost, TimeDelta::seconds(30));
    system.operator().import_prices(&book, &[good(), first, next]).await.unwrap();
    assert_eq!(count(&world).await, 4);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_price_that_was_written_meanwhile_stops_them(pool: PgPool) {
    let world = World::new(pool).await;
    let system = world.ledger.system();
    let book = system.operator().price_book().await.unwrap();
    system
        .operator()
        .publish_price(price(&world, PriceKind::Sale, TimeDelta::days(1)), Review { revision: 1, named: Some(MODEL) })
        .await
        .unwrap();
    let new = price(&world, PriceKind::Sale, TimeDelta::minutes(1));
    let refused = system.operator().import_prices(&book, std::slice::from_ref(&new)).await.unwrap_err().to_string();
    assert!(refused.contains("somebody wrote a price meanwhile"), "{refused}");
    assert_eq!(count(&world).await, 2);
    let book = system.operator().price_book().await.unwrap();
    system.operator().import_prices(&book, &[new]).await.unwrap();
    assert_eq!(count(&world).await, 3);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_price_that_was_withdrawn_meanwhile_stops_them_too(pool: PgPool) {
    let world = World::new(pool).await;
    let operator = world.ledger.system().operator();
    let next = price(&world, PriceKind::Sale, TimeDelta::days(1));
    operator.publish_price(next.clone(), Review { revision: 1, named: Some(MODEL) }).await.unwrap();
    let book = operator.price_book().await.unwrap();
    let models = [book.versions[0].model_id].into();
    operator.withdraw_price((MODEL, ServiceTier::Default), next.id, "test", world.now).await.unwrap();
    let new = [price(&world, PriceKind::Sale, TimeDelta::days(1))];
    assert!(matches!(operator.import_prices(&book, &new).await, Err(Error::Invalid { field: "prices", .. })));
    let without = operator.price_book().await.unwrap();
    assert_eq!((book.versions.len(), without.versions.len()), (2, 1));
    assert_ne!(book.stamp(&models), without.stamp(&models));
    operator.import_prices(&without, &new).await.expect("its instant is free");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_import_waits_for_a_price_that_is_being_written_and_then_sees_it(pool: PgPool) {
    let world = World::new(pool).await;
    let operator = world.ledger.system().operator();
    let book = operator.price_book().await.unwrap();
    let new = [price(&world, PriceKind::Sale, TimeDelta::minutes(1))];
    let mut other = world.pool.begin().await.unwrap();
    let copy = "insert into price_versions select gen_random_uuid(), model_id, kind, effective_from + interval '90 days', rates, created_at, created_by, seal
                from price_versions";
    sqlx::query(copy).execute(&mut *other).await.unwrap();

    let mut import = std::pin::pin!(operator.import_prices(&book, &new));
    let waits = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
    let mut waiting = false;
    while !waiting {
        tokio::select! {
            done = &mut import => panic!("it did not wait: {done:?}"),
            answer = sqlx::query_scalar(waits).fetch_one(&world.pool) => waiting = answer.unwrap(),
        }
    }
    other.commit().await.unwrap();
    assert!(matches!(import.await, Err(Error::Invalid { field: "prices", .. })));
    assert_eq!(count(&world).await, 2);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_price_that_cannot_be_read_stops_no_other(pool: PgPool) {
    let mut world = World::new(pool).await;
    let other = NewModel { name: "large", ..world.model() };
    let system = world.ledger.system();
    system.add_model(other).await.unwrap();
    sqlx::query(r#"update price_versions set rates = '{"base": "dear"}'"#).execute(&world.pool).await.unwrap();
    let book = system.operator().price_book().await.unwrap();
    assert!(book.versions.is_empty());
    let large = NewPrice { model: "large", ..price(&world, PriceKind::Sale, TimeDelta::zero()) };
    let small = price(&world, PriceKind::Sale, TimeDelta::zero());
    assert!(matches!(system.operator().import_prices(&book, &[small]).await, Err(Error::PriceTooSoon)), "it has a price, be it unreadable");
    // Nor does one of another model that was written meanwhile.
    system
        .operator()
        .publish_price(price(&world, PriceKind::Sale, TimeDelta::days(1)), Review { revision: 0, named: Some(MODEL) })
        .await
        .unwrap();
    system.operator().import_prices(&book, &[large]).await.unwrap();
    assert_eq!(count(&world).await, 3);
}
