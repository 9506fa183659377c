use chrono::TimeDelta;
use domain::{
    catalog::PriceKind,
    id::PriceId,
    money::Amount,
    rates::{BucketRates, ContextTier, Rates},
    tokens::Tokens,
};
use ledger::{Error, NewModel, NewPrice, secrets::SecretKey};
use sqlx::PgPool;

use crate::world::{MODEL, World, amount};

fn price(world: &mut World, rates: Rates, ahead: TimeDelta) -> NewPrice<'static> {
    let id = PriceId::new(world.now, world.random());
    NewPrice { id, model: MODEL, kind: PriceKind::Sale, rates, effective_from: world.now + ahead, actor: "test", now: world.now }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_price_is_written_ahead_and_never_changed(pool: PgPool) {
    let mut world = World::new(pool).await;
    let operator = world.ledger.system().operator();
    let rates = Rates::plain(amount("0.01"), amount("0.02"));

    let soon = price(&mut world, rates.clone(), TimeDelta::seconds(59));
    assert!(matches!(operator.publish_price(soon).await, Err(Error::PriceTooSoon)));
    let negative = price(&mut world, Rates::plain(amount("-0.01"), Amount::ZERO), TimeDelta::days(1));
    assert!(matches!(operator.publish_price(negative).await, Err(Error::Invalid { field: "price", .. })));
    let unknown = NewPrice { model: "unheard of", ..price(&mut world, rates.clone(), TimeDelta::days(1)) };
    assert!(matches!(operator.publish_price(unknown).await, Err(Error::NotFound)));

    let good = price(&mut world, rates.clone(), TimeDelta::days(1));
    operator.publish_price(good.clone()).await.unwrap();
    operator.publish_price(good).await.unwrap();
    let rival = price(&mut world, rates, TimeDelta::days(1));
    assert!(matches!(operator.publish_price(rival).await, Err(Error::Taken(_))));
    assert_eq!(operator.price_history(MODEL).await.unwrap().len(), 2, "a second click writes no second version");
}

/// The console's form and `farebox price set` show no tiers, so that who sends them has seen none.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn tiers_are_not_lost_by_a_price_that_says_nothing_of_them(pool: PgPool) {
    let mut world = World::new(pool).await;
    let operator = world.ledger.system().operator();
    let plain = Rates::plain(amount("0.01"), amount("0.02"));
    let tier = ContextTier { from_prompt_tokens: Tokens::from_sum(1_000), rates: BucketRates::plain(amount("0.1"), amount("0.2")) };
    let tiered = price(&mut world, Rates { tiers: vec![tier], ..plain.clone() }, TimeDelta::days(2));
    operator.publish_price(tiered.clone()).await.unwrap();
    let after = price(&mut world, plain.clone(), TimeDelta::days(3));
    let refused = operator.publish_price(after.clone()).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "tiers", .. })), "{refused:?}");
    operator.publish_price(price(&mut world, plain, TimeDelta::days(1))).await.unwrap();
    let book = operator.price_book().await.unwrap();
    operator.import_prices(&book, &[after]).await.unwrap();
    let tiers: Vec<_> = operator.price_history(MODEL).await.unwrap().iter().map(|version| version.rates.tiers.len()).collect();
    assert_eq!(tiers, [0, 1, 0, 0], "a list says all of a price");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_price_in_force_changes_at_its_instant(pool: PgPool) {
    let mut world = World::new(pool).await;
    let dearer = Rates::plain(amount("0.01"), amount("0.02"));
    let next = price(&mut world, dearer.clone(), TimeDelta::days(1));
    world.ledger.system().operator().publish_price(next).await.unwrap();

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
    world.ledger.system().operator().publish_price(next).await.unwrap();
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
    assert!(world.ledger.system().operator().price_history(MODEL).await.unwrap().is_empty());
    assert!(matches!(world.ledger.meter().price(world.price).await, Err(Error::Corrupt(_))));
}
