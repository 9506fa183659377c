use chrono::TimeDelta;
use domain::{catalog::PriceKind, id::PriceId, money::Amount, rates::Rates, service_tier::ServiceTier};
use ledger::{Error, NewModel, NewPrice, Operator, Result, Review, secrets::SecretKey};
use sqlx::PgPool;

use crate::world::{MODEL, World, amount};

fn price(world: &mut World, rates: Rates, ahead: TimeDelta) -> NewPrice<'static> {
    let id = PriceId::new(world.now, world.random());
    NewPrice {
        id,
        model: MODEL,
        kind: PriceKind::Sale,
        rates,
        effective_from: world.now + ahead,
        actor: "test",
        now: world.now,
        service_tier: ServiceTier::Default,
    }
}

/// As somebody who has just read everything, and agrees to it.
async fn publish(operator: &Operator, new: NewPrice<'_>) -> Result<()> {
    let revision = operator.price_history(new.model, ServiceTier::Default).await?.revision(new.kind);
    let named = Some(new.model);
    operator.publish_price(new.clone(), Review { revision, named }).await
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_price_is_written_ahead_and_never_changed(pool: PgPool) {
    let mut world = World::new(pool).await;
    let operator = world.ledger.system().operator();
    let rates = Rates::plain(amount("0.01"), amount("0.02"));

    let soon = price(&mut world, rates.clone(), TimeDelta::seconds(59));
    assert!(matches!(publish(&operator, soon).await, Err(Error::PriceTooSoon)));
    let negative = price(&mut world, Rates::plain(amount("-0.01"), Amount::ZERO), TimeDelta::days(1));
    assert!(matches!(publish(&operator, negative).await, Err(Error::Invalid { field: "price", .. })));
    let unknown = NewPrice { model: "unheard of", ..price(&mut world, rates.clone(), TimeDelta::days(1)) };
    assert!(matches!(publish(&operator, unknown).await, Err(Error::NotFound)));

    let good = price(&mut world, rates.clone(), TimeDelta::days(1));
    publish(&operator, good.clone()).await.unwrap();
    publish(&operator, good).await.unwrap();
    let rival = price(&mut world, rates, TimeDelta::days(1));
    assert!(matches!(publish(&operator, rival).await, Err(Error::Taken(_))));
    assert_eq!(
        operator.price_history(MODEL, ServiceTier::Default).await.unwrap().versions.len(),
        2,
        "a second click writes no second version"
    );
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_price_in_force_changes_at_its_instant(pool: PgPool) {
    let mut world = World::new(pool).await;
    let dearer = Rates::plain(amount("0.01"), amount("0.02"));
    let next = price(&mut world, dearer.clone(), TimeDelta::days(1));
    publish(&world.ledger.system().operator(), next).await.unwrap();

    let today = world.ledger.price_list(world.now).await.unwrap();
    let tomorrow = world.ledger.price_list(world.now + TimeDelta::days(1)).await.unwrap();

    assert_eq!((&today[0].sale.as_ref().unwrap().rates, today[0].scheduled.len()), (&world.rates, 1));
    assert_eq!((&tomorrow[0].sale.as_ref().unwrap().rates, tomorrow[0].scheduled.len()), (&dearer, 0));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn customers_never_see_costs(pool: PgPool) {
    let mut world = World::new(pool).await;
    let cost = NewPrice {
        kind: PriceKind::Cost,
        effective_from: world.now - TimeDelta::days(1),
        ..price(&mut world, Rates::plain(amount("0.0001"), amount("0.0002")), TimeDelta::zero())
    };
    world.ledger.system().import_price(cost).await.unwrap();

    assert!(world.ledger.price_list(world.now).await.unwrap().iter().all(|model| model.cost.is_none()));
    assert!(world.ledger.system().operator().priced_models(world.now).await.unwrap().iter().all(|model| model.cost.is_some()));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_proxy_sees_prices_in_force_and_scheduled_and_what_opens_the_upstream(pool: PgPool) {
    let mut world = World::new(pool).await;
    let secret = SecretKey::from_bytes([3; 32]);
    let next = price(&mut world, Rates::plain(amount("0.01"), amount("0.02")), TimeDelta::days(1));
    publish(&world.ledger.system().operator(), next).await.unwrap();
    let sealed = secret.seal("sk-upstream", "upstream", [1; 24]).unwrap();
    sqlx::query("update providers set credential = $1").bind(sealed).execute(&world.pool).await.unwrap();

    let catalog = world.ledger.meter().catalog(&secret, world.now).await.unwrap();
    let starts: Vec<_> = catalog.models[MODEL].sale.iter().map(|version| version.effective_from).collect();
    assert_eq!(starts, [world.now - TimeDelta::days(60), world.now + TimeDelta::days(1)]);
    let provider = catalog.models[MODEL].model.provider_id;
    assert_eq!(catalog.providers[&provider].credential.as_deref(), Some("sk-upstream"));

    let wrong = world.ledger.meter().catalog(&SecretKey::from_bytes([4; 32]), world.now).await.unwrap();
    assert!(!wrong.providers.contains_key(&provider), "a call without its credential would be refused by the upstream");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_price_that_cannot_be_read_makes_its_own_model_unavailable_and_no_other(pool: PgPool) {
    let mut world = World::new(pool).await;
    let other = NewModel { name: "large", ..world.model() };
    world.ledger.system().add_model(other).await.unwrap();
    let large = NewPrice { model: "large", ..price(&mut world, Rates::plain(amount("1"), amount("2")), -TimeDelta::days(1)) };
    world.ledger.system().import_price(large).await.unwrap();
    sqlx::query(r#"update price_versions set rates = '{"base": "dear"}' where price_id = $1"#)
        .bind(world.price)
        .execute(&world.pool)
        .await
        .unwrap();

    let catalog = world.ledger.meter().catalog(&SecretKey::from_bytes([3; 32]), world.now).await.unwrap();

    assert!(catalog.models.get(MODEL).is_none_or(|model| model.sale.is_empty()));
    assert_eq!(catalog.models["large"].sale.len(), 1);
    assert_eq!(world.ledger.price_list(world.now).await.unwrap().iter().filter(|model| model.sale.is_some()).count(), 1);
    assert!(world.ledger.system().operator().price_history(MODEL, ServiceTier::Default).await.unwrap().versions.is_empty());
    assert!(matches!(world.ledger.meter().price(world.price).await, Err(Error::Corrupt(_))));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_price_is_refused_if_another_was_written_since_its_form_was_filled(pool: PgPool) {
    let mut world = World::new(pool).await;
    let operator = world.ledger.system().operator();
    let seen =
        Review { revision: operator.price_history(MODEL, ServiceTier::Default).await.unwrap().revision(PriceKind::Sale), named: None };
    let own = |prompt: &str, completion: &str| Rates::plain(amount(prompt), amount(completion));
    let prompt = price(&mut world, own("0.0011", "0.002"), TimeDelta::days(1));
    let completion = price(&mut world, own("0.001", "0.0021"), TimeDelta::days(2));
    let cost = NewPrice { kind: PriceKind::Cost, ..price(&mut world, own("0.0001", "0.0002"), TimeDelta::days(1)) };
    operator.publish_price(cost, Review { revision: 0, named: None }).await.unwrap();

    operator.publish_price(prompt.clone(), seen).await.unwrap();
    assert!(matches!(operator.publish_price(completion.clone(), seen).await, Err(Error::PriceMoved)));
    operator.publish_price(prompt.clone(), seen).await.expect("the same price again is none that was written since");

    let seen =
        Review { revision: operator.price_history(MODEL, ServiceTier::Default).await.unwrap().revision(PriceKind::Sale), named: None };
    operator.withdraw_price((MODEL, ServiceTier::Default), prompt.id, "test", world.now).await.unwrap();
    assert!(matches!(operator.publish_price(completion.clone(), seen).await, Err(Error::PriceMoved)), "what it followed was withdrawn");
    publish(&operator, completion).await.unwrap();
}

/// Both have read the same; one of them is told.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn of_two_prices_at_once_one_is_written(pool: PgPool) {
    let mut world = World::new(pool).await;
    let operator = world.ledger.system().operator();
    let review =
        Review { revision: operator.price_history(MODEL, ServiceTier::Default).await.unwrap().revision(PriceKind::Sale), named: None };
    let rates = Rates::plain(amount("0.001"), amount("0.0021"));
    let (one, other) = (price(&mut world, rates.clone(), TimeDelta::days(1)), price(&mut world, rates, TimeDelta::days(2)));

    let (one, other) = tokio::join!(operator.publish_price(one, review), operator.publish_price(other, review));

    assert!(matches!((&one, &other), (Ok(()), Err(Error::PriceMoved)) | (Err(Error::PriceMoved), Ok(()))), "{one:?} {other:?}");
    assert_eq!(operator.price_history(MODEL, ServiceTier::Default).await.unwrap().versions.len(), 2);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_leap_and_a_loss_take_the_models_name_as_of_the_instant_at_which_they_begin(pool: PgPool) {
    let mut world = World::new(pool).await;
    let operator = world.ledger.system().operator();
    let mut offer = async |prompt: &str, days: i64, kind: PriceKind, named: Option<&str>| {
        let rates = Rates::plain(amount(prompt), amount("0.002"));
        let new = NewPrice { kind, ..price(&mut world, rates, TimeDelta::days(days)) };
        let revision = operator.price_history(MODEL, ServiceTier::Default).await.unwrap().revision(kind);
        operator.publish_price(new.clone(), Review { revision, named }).await
    };
    for named in [None, Some("large")] {
        assert!(matches!(offer("0.0031", 1, PriceKind::Sale, named).await, Err(Error::PriceNotAgreed)), "{named:?}");
    }
    offer("0.003", 1, PriceKind::Sale, None).await.unwrap();
    offer("0.009", 2, PriceKind::Sale, None).await.expect("no leap from what is in force by then");
    assert!(matches!(offer("0.0101", 3, PriceKind::Cost, None).await, Err(Error::PriceNotAgreed)), "below cost");
    offer("0.0101", 3, PriceKind::Cost, Some(MODEL)).await.unwrap();
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_price_can_be_withdrawn_until_proxies_may_charge_by_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let operator = world.ledger.system().operator();
    let rates = Rates::plain(amount("0.0011"), amount("0.002"));
    let begins = TimeDelta::days(1);
    let next = price(&mut world, rates.clone(), begins);
    publish(&operator, next.clone()).await.unwrap();

    let too_late = world.now + begins - TimeDelta::seconds(59);
    assert!(matches!(operator.withdraw_price((MODEL, ServiceTier::Default), next.id, "test", too_late).await, Err(Error::PriceTooSoon)));
    assert!(
        matches!(operator.withdraw_price((MODEL, ServiceTier::Default), world.price, "test", world.now).await, Err(Error::PriceTooSoon)),
        "it is in force"
    );
    operator.withdraw_price((MODEL, ServiceTier::Default), next.id, "test", world.now).await.unwrap();
    operator.withdraw_price((MODEL, ServiceTier::Default), next.id, "somebody else", world.now).await.unwrap();

    let history = operator.price_history(MODEL, ServiceTier::Default).await.unwrap();
    assert_eq!((history.versions.len(), history.withdrawal(next.id).unwrap().by.as_str()), (2, "test"));
    assert_eq!(history.at(PriceKind::Sale, world.now + begins).unwrap().id, world.price);
    let tomorrow = world.ledger.price_list(world.now + begins).await.unwrap();
    assert_eq!((&tomorrow[0].sale.as_ref().unwrap().rates, tomorrow[0].scheduled.len()), (&world.rates, 0));
    let catalog = world.ledger.meter().catalog(&SecretKey::from_bytes([3; 32]), world.now).await.unwrap();
    assert_eq!(catalog.models[MODEL].sale.len(), 1, "no proxy charges by it");

    publish(&operator, price(&mut world, rates, begins)).await.expect("its instant is free");
    world.assert_proven().await;
}
