//! Prices of a model at other service tiers than the default.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    catalog::PriceKind,
    id::PriceId,
    money::Amount,
    pricing::{self, Discount},
    rates::Rates,
    service_tier::ServiceTier::{self, Batch, Default, Flex, Priority},
};
use ledger::{Error, NewPrice, Operator, Reprice, Result, Review, SettledCall, secrets::SecretKey};
use sqlx::PgPool;

use crate::world::{Customer, MODEL, World, amount};

fn half() -> Rates {
    Rates::plain(amount("0.0005"), amount("0.001"))
}

/// Written a day before it begins.
fn price(world: &World, service_tier: ServiceTier, rates: Rates, effective_from: DateTime<Utc>) -> NewPrice<'static> {
    let (id, now) = (PriceId::new(world.now, world.random()), effective_from - TimeDelta::days(1));
    NewPrice { id, model: MODEL, kind: PriceKind::Sale, service_tier, rates, effective_from, actor: "test", now }
}

/// As somebody who has just read everything, and agrees to it.
async fn publish(operator: &Operator, new: NewPrice<'_>) -> Result<PriceId> {
    let revision = operator.price_history(new.model, new.service_tier).await?.revision(new.kind);
    let id = new.id;
    operator.publish_price(new, Review { revision, named: Some(MODEL) }).await.map(|()| id)
}

/// A call as a proxy charges it that goes by these rates, with room for the dearest.
fn call(
    world: &World,
    customer: Customer,
    (asked, served): (ServiceTier, Option<ServiceTier>),
    by: (PriceId, &Rates),
    ago: TimeDelta,
) -> SettledCall {
    let mut call = world.call(customer, 1_000, 100, ago);
    (call.admitted.asked_tier, call.served_tier, call.admitted.price_id) = (asked, served, by.0);
    call.amount = pricing::price(&call.usage, by.1, Discount::NONE).unwrap().amount;
    call.admitted.held = amount("1");
    call
}

const HOUR: TimeDelta = TimeDelta::hours(1);

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_is_charged_at_the_tier_that_served_it_and_proves_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let flex = publish(&world.ledger.system().operator(), price(&world, Flex, half(), world.now - HOUR * 5)).await.unwrap();
    let before = world.balance(ada).await.balance;
    let (plain, half) = (world.rates.clone(), half());
    let (by_default, by_flex) = ((world.price, &plain), (flex, &half));
    let calls = [
        call(&world, ada, (Flex, None), by_flex, HOUR),
        call(&world, ada, (Default, Some(Flex)), by_flex, HOUR),
        call(&world, ada, (Flex, Some(Default)), by_default, HOUR),
        call(&world, ada, (Flex, Some(Priority)), by_flex, HOUR),
        call(&world, ada, (Default, Some(Batch)), by_default, HOUR),
        // It had no price then.
        call(&world, ada, (Flex, Some(Flex)), by_default, HOUR * 6),
    ];
    world.post(&calls).await.unwrap();
    world.assert_proven().await;
    // Three at 0.0012, three at half of that.
    assert_eq!(world.balance(ada).await.balance, before.checked_sub(amount("0.0054")).unwrap());
    let receipt = world.ledger.reader(ada.user).await.unwrap().call(calls[3].call_id).await.unwrap();
    assert_eq!((receipt.receipt.amount, receipt.price_id), (amount("0.0006"), flex));
    assert_eq!([receipt.price_tier, receipt.service_tier, receipt.asked_tier], [Flex, Priority, Flex]);

    let wrong = [
        ("served at a tier that has a price", call(&world, ada, (Default, Some(Flex)), by_default, HOUR)),
        ("asked for it", call(&world, ada, (Flex, None), by_default, HOUR)),
        ("asked for it, and served where nothing has a price", call(&world, ada, (Flex, Some(Batch)), by_default, HOUR)),
        ("served at the default", call(&world, ada, (Flex, Some(Default)), by_flex, HOUR)),
        ("nobody asked for it", call(&world, ada, (Default, None), by_flex, HOUR)),
        ("served at another", call(&world, ada, (Default, Some(Priority)), by_flex, HOUR)),
        ("before it began", call(&world, ada, (Flex, None), by_flex, HOUR * 6)),
    ];
    for (number, (what, call)) in wrong.into_iter().enumerate() {
        world.post(&[call]).await.unwrap();
        let proof = world.proof().await;
        assert_eq!(proof.faults.len(), number + 1, "{what}: {:?}", proof.faults);
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_tier_of_a_price_and_of_a_call_cannot_be_changed_unseen(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let flex = publish(&world.ledger.system().operator(), price(&world, Flex, half(), world.now - HOUR * 5)).await.unwrap();
    world.post(&[call(&world, ada, (Flex, Some(Batch)), (flex, &half()), HOUR)]).await.unwrap();
    for (change, back) in [
        ("update calls set service_tier = null", "update calls set service_tier = 'batch'"),
        ("update calls set asked_tier = null", "update calls set asked_tier = 'flex'"),
        (
            "update price_versions set service_tier = 'scale' where service_tier = 'flex'",
            "update price_versions set service_tier = 'flex' where service_tier = 'scale'",
        ),
    ] {
        world.assert_proven().await;
        sqlx::query(change).execute(&world.pool).await.unwrap();
        let proof = world.proof().await;
        assert!(!proof.faults.is_empty(), "{change}");
        sqlx::query(back).execute(&world.pool).await.unwrap();
    }
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn each_tier_has_versions_of_its_own(pool: PgPool) {
    let world = World::new(pool).await;
    let operator = world.ledger.system().operator();
    let begins = world.now + TimeDelta::days(2);
    let new = |tier| NewPrice { now: world.now, ..price(&world, tier, half(), begins) };
    let flex = publish(&operator, new(Flex)).await.unwrap();
    publish(&operator, new(Default)).await.unwrap();
    assert!(matches!(publish(&operator, new(Flex)).await, Err(Error::Taken(_))), "it begins at that very instant already");
    let stale = NewPrice { effective_from: begins + HOUR, ..new(Flex) };
    assert!(matches!(operator.publish_price(stale, Review { revision: 0, named: None }).await, Err(Error::PriceMoved)));
    // Beside a first price of its tier, a leap is none; beside another one of it, it is.
    let leap = |tier, later| NewPrice { rates: Rates::plain(amount("5"), amount("5")), effective_from: begins + later, ..new(tier) };
    operator.publish_price(leap(Priority, HOUR), Review { revision: 0, named: None }).await.unwrap();
    assert!(matches!(operator.publish_price(leap(Flex, HOUR), Review { revision: 1, named: None }).await, Err(Error::PriceNotAgreed)));

    let listed = world.ledger.price_list(begins).await.unwrap().remove(0);
    let tiers: Vec<_> = listed.service_tiers.iter().map(|tier| (tier.service_tier, tier.sale.is_some(), tier.scheduled.len())).collect();
    assert_eq!(tiers, [(Flex, true, 0), (Priority, false, 1)]);
    assert_eq!(listed.service_tiers[0].sale.as_ref().unwrap().id, flex);
    let catalog = world.ledger.meter().catalog(&SecretKey::from_bytes([7; 32]), begins).await.unwrap();
    assert_eq!(catalog.models[MODEL].sale.len(), 3, "one of each tier");

    assert!(matches!(operator.withdraw_price((MODEL, Default), flex, "test", world.now).await, Err(Error::NotFound)));
    operator.withdraw_price((MODEL, Flex), flex, "test", world.now).await.unwrap();
    let listed = world.ledger.price_list(begins).await.unwrap().remove(0);
    assert_eq!(listed.service_tiers.len(), 1, "what never begins is in no list");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_charged_anew_are_the_calls_of_that_tier(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let operator = world.ledger.system().operator();
    let flex = publish(&operator, price(&world, Flex, half(), world.now - HOUR * 5)).await.unwrap();
    let (plain, half) = (world.rates.clone(), half());
    let calls = [call(&world, ada, (Flex, None), (flex, &half), HOUR), call(&world, ada, (Default, None), (world.price, &plain), HOUR)];
    world.post(&calls).await.unwrap();
    let cheaper = NewPrice { now: world.now, ..price(&world, Flex, Rates::plain(Amount::ZERO, Amount::ZERO), world.now + HOUR) };
    let anew = publish(&operator, cheaper).await.unwrap();
    let reprice = Reprice { model: MODEL, from: world.now - HOUR * 2, to: world.now, price: anew, note: "sorry", actor: "test" };
    let done = operator.reprice(reprice).await.unwrap();
    assert_eq!((done.calls, done.given_back), (1, amount("0.0006")));
    assert_eq!(operator.reprice(reprice).await.unwrap().given_back, Amount::ZERO, "the second time nothing is left to do");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_comes_late_is_charged_at_the_tier_that_served_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let flex = publish(&world.ledger.system().operator(), price(&world, Flex, half(), world.now - HOUR * 5)).await.unwrap();
    for (by, tier, faults) in [((flex, half()), Flex, 0), ((world.price, world.rates.clone()), Default, 1)] {
        let intent = world.intent(ada, "1");
        world.lease(&intent).await.unwrap();
        world.post(&[world.interrupt(&intent, ada)]).await.unwrap();
        let mut late = world.settle(&intent, ada, 1_000, 100);
        late.served_tier = Some(Flex);
        late.admitted.price_id = by.0;
        late.amount = pricing::price(&late.usage, &by.1, Discount::NONE).unwrap().amount;
        world.post(std::slice::from_ref(&late)).await.unwrap();
        let shown = world.ledger.reader(ada.user).await.unwrap().call(late.call_id).await.unwrap();
        let now = shown.late().unwrap();
        assert_eq!((now.receipt.amount, now.amount, now.price_id, now.price_tier), (late.amount, late.amount, by.0, tier));
        assert_eq!((now.service_tier, now.usage, &now.raw_usage), (Flex, late.usage, &late.raw_usage));
        let first = shown.first();
        assert_eq!(
            (first.receipt.amount, first.price_id, first.price_tier),
            (amount("0.000012"), world.price, Default),
            "as it was posted"
        );
        assert_eq!(shown.row.cost(), late.amount);
        assert_eq!(world.proof().await.faults.len(), faults, "{:?}", world.proof().await.faults);
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_tier_for_less_than_the_default_costs_is_asked_about(pool: PgPool) {
    let world = World::new(pool).await;
    let operator = world.ledger.system().operator();
    let since = world.now - TimeDelta::days(2);
    let cost = Rates::plain(amount("0.001"), amount("0.001"));
    publish(&operator, NewPrice { kind: PriceKind::Cost, ..price(&world, Default, cost, since) }).await.unwrap();
    let unnamed = Review { revision: 0, named: None };
    let below = operator.publish_price(price(&world, Flex, half(), since), unnamed).await;
    assert!(matches!(below, Err(Error::PriceNotAgreed)), "{below:?}");
    let cheaper = Rates::plain(amount("0.0001"), amount("0.0001"));
    publish(&operator, NewPrice { kind: PriceKind::Cost, ..price(&world, Flex, cheaper, since) }).await.unwrap();
    operator.publish_price(price(&world, Flex, half(), since), unnamed).await.unwrap();
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_day_costs_what_the_provider_charges_at_each_tier(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let operator = world.ledger.system().operator();
    let since = world.now - TimeDelta::days(2);
    for (tier, cost) in [(Default, "0.001"), (Flex, "0.0001")] {
        let rates = Rates::plain(amount(cost), amount(cost));
        publish(&operator, NewPrice { kind: PriceKind::Cost, ..price(&world, tier, rates, since) }).await.unwrap();
    }
    let plain = world.rates.clone();
    let by = (world.price, &plain);
    // The second at what the first of them costs the operator, for lack of another: 1,100 tokens each.
    let calls = [(Default, None), (Default, Some(Priority)), (Default, Some(Flex))].map(|tiers| call(&world, ada, tiers, by, HOUR));
    world.post(&calls).await.unwrap();
    let today = async || operator.today(world.now).await.unwrap().cost;
    let cost = today().await;
    assert_eq!((cost.amount, cost.unknown), (Some(amount("0.00231")), 0));
    // The first cost of that tier is of the calls from then on.
    let (from, rates) = (world.now - HOUR / 2, Rates::plain(amount("0.005"), amount("0.005")));
    publish(&operator, NewPrice { kind: PriceKind::Cost, ..price(&world, Priority, rates, from) }).await.unwrap();
    assert_eq!(today().await, cost);
    world.post(&[call(&world, ada, (Default, Some(Priority)), by, TimeDelta::minutes(5))]).await.unwrap();
    let after = today().await;
    assert_eq!((after.amount, after.unknown), (Some(amount("0.00781")), 0));
}
