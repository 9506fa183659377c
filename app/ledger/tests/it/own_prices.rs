//! Prices that one customer has agreed on.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{id::PriceId, money::Amount, own_price, price_history::LEAD_MIN, pricing::Discount, rates::Rates, service_tier::ServiceTier};
use ledger::{Error, NewOwnPrice, OwnReview, Replayable, Result, SettledCall, secrets::SecretKey};
use sqlx::PgPool;

use crate::{
    reprice::{by, version},
    world::{Customer, MODEL, World, amount},
};

fn half() -> Rates {
    Rates::plain(amount("0.0005"), amount("0.001"))
}

/// Written two hours before it begins.
fn own(world: &World, customer: Customer, rates: Rates, effective_from: DateTime<Utc>) -> NewOwnPrice<'static> {
    let (id, now) = (PriceId::new(world.now, world.random()), effective_from - TimeDelta::hours(2));
    NewOwnPrice { id, account: customer.account, model: MODEL, rates, effective_from, actor: "test", now }
}

/// As somebody who has just read everything, and agrees to it.
async fn set(world: &World, new: NewOwnPrice<'_>) -> Result<PriceId> {
    let operator = world.ledger.system().operator();
    let revision = own_price::revision(&operator.own_prices(new.account).await?);
    let id = new.id;
    operator.set_own_price(new, OwnReview { revision, named: Some(MODEL) }).await.map(|()| id)
}

/// As a proxy charges it that goes by this price.
fn call_at(world: &World, customer: Customer, price: PriceId, rates: &Rates, ago: TimeDelta) -> SettledCall {
    let mut call = world.call(customer, 1_000, 100, ago);
    call.admitted.price_id = price;
    call.amount = domain::pricing::price(&call.usage, rates, Discount::NONE).unwrap().amount;
    call
}

/// What a proxy goes by that reads the catalog at this instant.
async fn in_force(world: &World, customer: Customer, at: DateTime<Utc>) -> Option<PriceId> {
    let catalog = world.ledger.meter().catalog(&SecretKey::from_bytes([7; 32]), at).await.unwrap();
    let own = catalog.models[MODEL].own.get(&customer.account)?;
    own_price::in_force(own.as_ref().unwrap(), at).map(|own| own.version.id)
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_own_price_is_charged_while_it_is_in_force_and_each_call_proves_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let [ada, bob] = [world.customer("ada", "10").await, world.customer("bob", "10").await];
    let price = set(&world, own(&world, ada, half(), world.now - TimeDelta::hours(3))).await.unwrap();
    assert_eq!(in_force(&world, ada, world.now).await, Some(price));
    assert_eq!(in_force(&world, bob, world.now).await, None);
    let before = world.balance(ada).await.balance;
    let calls = [
        world.call(ada, 1_000, 100, TimeDelta::hours(4)),
        call_at(&world, ada, price, &half(), TimeDelta::hours(2)),
        world.call(bob, 9, 9, TimeDelta::hours(2)),
    ];
    world.post(&calls).await.unwrap();
    world.assert_proven().await;
    // 1,000 prompt and 100 completion tokens at 0.001 and 0.002 per thousand, and at half of that.
    assert_eq!(world.balance(ada).await.balance, before.checked_sub(amount("0.0018")).unwrap());
    let receipt = world.ledger.reader(ada.user).await.unwrap().call(calls[1].call_id).await.unwrap();
    assert_eq!(receipt.receipt.amount, amount("0.0006"));

    // What a call must not be charged by, each found by the proof.
    let wrong = [
        ("everyone's price beside an own one", world.call(ada, 1_000, 100, TimeDelta::hours(1))),
        ("another customer's own", call_at(&world, bob, price, &half(), TimeDelta::hours(1))),
        ("an own one before it began", call_at(&world, ada, price, &half(), TimeDelta::hours(5))),
        ("a discount off an own one", {
            let mut call = call_at(&world, ada, price, &half(), TimeDelta::hours(1));
            call.admitted.discount = Discount::from_bps(5_000).unwrap();
            call.amount = amount("0.0003");
            call
        }),
    ];
    for (number, (what, call)) in wrong.into_iter().enumerate() {
        world.post(&[call]).await.unwrap();
        let proof = world.proof().await;
        assert_eq!(proof.faults.len(), number + 1, "{what}: {:?}", proof.faults);
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn it_is_written_ahead_against_what_its_writer_saw_and_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let operator = world.ledger.system().operator();
    let review = OwnReview { revision: 0, named: None };
    let new = NewOwnPrice { now: world.now, ..own(&world, ada, half(), world.now + LEAD_MIN) };
    let soon = NewOwnPrice { effective_from: new.effective_from - TimeDelta::seconds(1), ..new.clone() };
    assert!(matches!(operator.set_own_price(soon, review).await, Err(Error::PriceTooSoon)));
    let slip = NewOwnPrice { rates: Rates::plain(amount("0.5"), amount("0.001")), ..new.clone() };
    assert!(matches!(operator.set_own_price(slip, review).await, Err(Error::PriceNotAgreed)));
    let negative = NewOwnPrice { rates: Rates::plain(amount("-0.5"), Amount::ZERO), ..new.clone() };
    assert!(matches!(operator.set_own_price(negative, review).await, Err(Error::Invalid { field: "price", .. })));
    let nobody = NewOwnPrice { account: domain::id::AccountId::new(world.now, world.random()), ..new.clone() };
    assert!(matches!(operator.set_own_price(nobody, review).await, Err(Error::NotFound)));

    operator.set_own_price(new.clone(), review).await.unwrap();
    operator.set_own_price(new.clone(), review).await.unwrap();
    let rival = NewOwnPrice { id: PriceId::new(world.now, world.random()), effective_from: world.now + TimeDelta::days(1), ..new.clone() };
    assert!(matches!(operator.set_own_price(rival.clone(), review).await, Err(Error::PriceMoved)));
    let seen = OwnReview { revision: 1, named: None };
    let twice = NewOwnPrice { effective_from: new.effective_from, ..rival.clone() };
    assert!(matches!(operator.set_own_price(twice, seen).await, Err(Error::Taken(_))));
    operator.set_own_price(rival, seen).await.unwrap();
    assert_eq!(operator.own_prices(ada.account).await.unwrap().len(), 2);
    // What everyone pays, and its history, know nothing of it.
    assert_eq!(operator.price_history(MODEL, ServiceTier::Default).await.unwrap().versions.len(), 1);
    assert_eq!(world.ledger.price_list(world.now + TimeDelta::days(9)).await.unwrap()[0].sale.as_ref().unwrap().rates, world.rates);
    assert_eq!(operator.price_book().await.unwrap().versions.len(), 1);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn it_ends_ahead_and_nothing_older_comes_back_then(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let operator = world.ledger.system().operator();
    let first = set(&world, own(&world, ada, half(), world.now - TimeDelta::days(9))).await.unwrap();
    let second = set(&world, own(&world, ada, half(), world.now - TimeDelta::days(1))).await.unwrap();
    let third = set(&world, own(&world, ada, half(), world.now + TimeDelta::days(1))).await.unwrap();
    assert_eq!(in_force(&world, ada, world.now).await, Some(second));
    assert_eq!(in_force(&world, ada, world.now + TimeDelta::days(1)).await, Some(third));

    operator.end_own_price(ada.account, third, world.now, "test", world.now).await.unwrap();
    assert_eq!(in_force(&world, ada, world.now + TimeDelta::days(1)).await, Some(second), "it never began");
    operator.end_own_price(ada.account, second, world.now, "test", world.now).await.unwrap();
    assert_eq!(in_force(&world, ada, world.now + LEAD_MIN - TimeDelta::seconds(1)).await, Some(second), "proxies hear of it first");
    let over = world.now + LEAD_MIN;
    assert_eq!(in_force(&world, ada, over).await, None, "the first one was followed, and stays so");
    assert!(
        matches!(operator.end_own_price(ada.account, first, over, "test", over).await, Err(Error::Invalid { field: "price", .. })),
        "it is over"
    );
    // The same again later moves nothing.
    operator.end_own_price(ada.account, second, over, "test", over).await.unwrap();
    assert_eq!(in_force(&world, ada, over).await, None);
    let bob = world.customer("bob", "1").await;
    assert!(matches!(operator.end_own_price(bob.account, first, over, "test", over).await, Err(Error::NotFound)));
    let own = world.ledger.reader(ada.user).await.unwrap().own_prices().await.unwrap();
    assert_eq!(own.iter().map(|own| own.version.id).collect::<Vec<_>>(), [third, second, first]);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn another_price_for_everyone_is_nothing_to_calls_at_an_own_one(pool: PgPool) {
    let mut world = World::new(pool).await;
    let [ada, bob] = [world.customer("ada", "10").await, world.customer("bob", "10").await];
    let price = set(&world, own(&world, ada, half(), world.now - TimeDelta::hours(3))).await.unwrap();
    world
        .post(&[call_at(&world, ada, price, &half(), TimeDelta::hours(2)), world.call(bob, 1_000, 100, TimeDelta::hours(2))])
        .await
        .unwrap();
    let operator = world.ledger.system().operator();
    let cheaper = Rates::plain(amount("0.0001"), amount("0.0001"));
    let replayable = Replayable {
        service_tier: ServiceTier::Default,
        model: MODEL,
        from: world.now - TimeDelta::days(2),
        to: world.now,
        sale: Some(&cheaper),
        cost: None,
        calls_max: u64::MAX,
        customers_max: 10,
    };
    let said = operator.replay(replayable).await.unwrap();
    assert_eq!((said.sums.calls, said.sums.charged), (1, amount("0.0012")));
    let everyones = version(&world, cheaper).await;
    let before = world.balance(ada).await.balance;
    let done = operator.reprice(by(&world, everyones)).await.unwrap();
    assert_eq!((done.lowered, world.balance(ada).await.balance), (1, before));
    // Nor are past calls charged anew by what one customer has agreed on.
    assert!(operator.reprice(by(&world, price)).await.is_err());
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn one_that_cannot_be_read_is_not_everyones_price(pool: PgPool) {
    let mut world = World::new(pool).await;
    let [ada, bob] = [world.customer("ada", "10").await, world.customer("bob", "10").await];
    let price = set(&world, own(&world, ada, half(), world.now - TimeDelta::hours(3))).await.unwrap();
    let calls = [call_at(&world, ada, price, &half(), TimeDelta::hours(2)), world.call(bob, 9, 9, TimeDelta::hours(2))];
    world.post(&calls).await.unwrap();
    let dear = r#"update price_versions set rates = '{"base": "dear"}' where account_id is not null"#;
    sqlx::query(dear).execute(&world.pool).await.unwrap();
    let catalog = world.ledger.meter().catalog(&SecretKey::from_bytes([7; 32]), world.now).await.unwrap();
    assert_eq!(catalog.models[MODEL].own.get(&ada.account), Some(&None), "whoever goes by it charges nothing");
    assert!(!catalog.models[MODEL].own.contains_key(&bob.account));
    world.post(&[world.call(ada, 9, 9, TimeDelta::hours(1))]).await.unwrap();
    let proof = world.proof().await;
    let of_calls = proof.faults.iter().filter(|fault| fault.row.starts_with("call ")).count();
    assert!(of_calls >= 2, "neither the call at it nor the one beside it is at a price that is known: {:?}", proof.faults);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_it_changes_is_told_from_what_the_customer_pays_with_their_discount(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let operator = world.ledger.system().operator();
    sqlx::query("update accounts set discount_bps = 8000").execute(&world.pool).await.unwrap();
    assert_eq!(operator.discount(ada.account).await.unwrap().bps(), 8_000);
    // Less than everyone pays, and more than three times what she pays.
    let new = NewOwnPrice { now: world.now, ..own(&world, ada, Rates::plain(amount("0.0007"), amount("0.002")), world.now + LEAD_MIN) };
    let review = OwnReview { revision: 0, named: None };
    assert!(matches!(operator.set_own_price(new.clone(), review).await, Err(Error::PriceNotAgreed)));
    operator.set_own_price(new, OwnReview { named: Some(MODEL), ..review }).await.unwrap();
}
