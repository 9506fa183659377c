//! Calls that are charged anew by another version of their model's price.

use chrono::TimeDelta;
use domain::{
    billing::JournalKind,
    call::CorrectionKind,
    catalog::PriceKind,
    credit::{Hardness, Quantity, Scope, Unit, Window},
    id::{LimitId, PriceId},
    money::Amount,
    rates::Rates,
    replay::Replay,
    service_tier::ServiceTier,
    tokens::Tokens,
};
use ledger::{Error, NewLimit, NewPrice, Replayable, Reprice, Review};
use sqlx::{AssertSqlSafe, PgPool};

use crate::world::{Customer, MODEL, World, amount, with};

/// A version that begins tomorrow.
pub(crate) async fn version(world: &World, rates: Rates) -> PriceId {
    let operator = world.ledger.system().operator();
    let id = PriceId::new(world.now, world.random());
    let revision = operator.price_history(MODEL, ServiceTier::Default).await.unwrap().revision(PriceKind::Sale);
    let effective_from = world.now + TimeDelta::days(revision);
    let new = NewPrice {
        id,
        model: MODEL,
        kind: PriceKind::Sale,
        rates,
        effective_from,
        actor: "test",
        now: world.now,
        service_tier: ServiceTier::Default,
    };
    operator.publish_price(new, Review { revision, named: Some(MODEL) }).await.unwrap();
    id
}

/// The calls of the last two days by a version.
pub(crate) fn by(world: &World, price: PriceId) -> Reprice<'static> {
    Reprice { model: MODEL, from: world.now - TimeDelta::days(2), to: world.now, price, note: "The price was a slip", actor: "test" }
}

async fn replay(world: &World, rates: &Rates) -> Replay {
    let of = by(world, world.price);
    let replayable = Replayable {
        model: MODEL,
        service_tier: ServiceTier::Default,
        from: of.from,
        to: of.to,
        sale: Some(rates),
        cost: None,
        calls_max: u64::MAX,
        customers_max: 10,
    };
    world.ledger.system().operator().replay(replayable).await.unwrap()
}

/// Calls that differ in all that a replay looks at: a discount, what was given back, late usage, a cap, tokens, who paid, and when.
async fn all_kinds(world: &mut World) -> [Customer; 2] {
    let [ada, bob] = [world.customer("ada", "10").await, world.customer("bob", "5").await];
    world.promo(ada, "0.0007").await;
    let mut calls: Vec<_> =
        (0..40).map(|number| world.call(ada, 100 + 37 * number, 11 * number, TimeDelta::minutes(70 * number + 1))).collect();
    calls.push(world.call(bob, 1_000, 1_000, TimeDelta::hours(3)));
    let mut capped = world.call(bob, 2_000, 0, TimeDelta::hours(4));
    (capped.admitted.held, capped.amount, capped.written_off) = (amount("0.0015"), amount("0.0015"), amount("0.0005"));
    calls.push(capped);
    calls.push(world.call(bob, 50, 50, TimeDelta::days(9)));
    world.post(&calls).await.unwrap();
    let operator = world.ledger.system().operator();
    for (call, part) in [(&calls[3], Some("0.0002")), (&calls[4], None)] {
        operator.credit_call(call.call_id, world.give_back(part, part.unwrap_or("all"))).await.unwrap();
    }
    world.package(bob, 5_000, "package").await;
    let in_tokens = with(world.intent(bob, "0.5"), |call| call.tokens_held = Tokens::from_sum(3_000));
    let late = world.intent(ada, "0.4");
    for intent in [&in_tokens, &late] {
        world.lease(intent).await.unwrap();
    }
    world.post(&[world.interrupt(&late, ada), world.settle(&in_tokens, bob, 700, 70)]).await.unwrap();
    world.post(&[world.settle(&late, ada, 900, 90)]).await.unwrap();
    // They began now, which is not before it.
    world.now += TimeDelta::seconds(1);
    world.ledger = world.ledger.clone().dated(world.now);
    [ada, bob]
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_a_replay_says_goes_back_is_what_goes_back_to_the_nano(pool: PgPool) {
    let mut world = World::new(pool).await;
    let [ada, bob] = all_kinds(&mut world).await;
    // Prompts are cheaper and completions dearer: of some calls more goes back, of others nothing.
    let rates = Rates::plain(amount("0.000333333"), amount("0.0031"));
    let said = replay(&world, &rates).await;
    let price = version(&world, rates.clone()).await;
    let before = [world.balance(ada).await.balance, world.balance(bob).await.balance];

    let done = world.ledger.system().operator().reprice(by(&world, price)).await.unwrap();

    assert_eq!((done, said.left_out), (said.sums, 0));
    assert_eq!((done.calls, done.in_tokens), (43, 1), "of two days, and not the one that paid in tokens");
    assert!(done.lowered > 0 && done.lowered < done.calls, "{done:?}");
    let after = [world.balance(ada).await.balance, world.balance(bob).await.balance];
    let risen = |at: usize| after[at].checked_sub(before[at]).unwrap();
    assert_eq!(Amount::checked_sum([risen(0), risen(1)]), Some(done.given_back));
    for customer in &said.customers {
        let at = usize::from(customer.account == bob.account);
        assert_eq!(customer.sums.given_back, risen(at), "{}", customer.name);
    }
    world.assert_proven().await;

    let again = world.ledger.system().operator().reprice(by(&world, price)).await.unwrap();
    assert_eq!((again.given_back, again.lowered), (Amount::ZERO, 0), "a second time there is nothing left to do");
    assert_eq!(replay(&world, &rates).await.sums.given_back, Amount::ZERO);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_customer_reads_one_posting_and_each_calls_receipt_says_why(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let calls: Vec<_> = (1..4).map(|hour| world.call(ada, 1_000, 0, TimeDelta::hours(hour))).collect();
    world.post(&calls).await.unwrap();
    let price = version(&world, Rates::plain(amount("0.0004"), Amount::ZERO)).await;
    world.ledger.system().operator().reprice(by(&world, price)).await.unwrap();

    let reader = world.ledger.reader(ada.user).await.unwrap();
    let journal = reader.statement(None, 10, world.now).await.unwrap().journal;
    let newest = &journal.lines[0].rows()[0];
    assert_eq!((newest.kind, newest.amount, newest.calls), (JournalKind::Reprice, amount("0.0018"), Some(3)));
    assert_eq!(newest.memo, "The price was a slip");
    for call in &calls {
        let detail = reader.call(call.call_id).await.unwrap();
        let [correction] = &detail.corrections[..] else { panic!("{:?}", detail.corrections) };
        assert_eq!((correction.kind, correction.amount), (CorrectionKind::Reprice, amount("-0.0006")));
        assert_eq!((correction.memo.as_str(), detail.row.cost()), ("The price was a slip", amount("0.0004")));
    }
    let usage = reader.usage(&domain::filter::UsageFilter::default(), world.now).await.unwrap().totals;
    assert_eq!(usage.amount, amount("0.0012"), "the sums say the same");
}

async fn postings(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from journal").fetch_one(&world.pool).await.unwrap()
}

/// What was given back out of goodwill is no part of the price.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_that_was_given_back_in_part_gets_the_whole_difference_as_far_as_it_still_costs(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let [some, most] = [1, 2].map(|hour| world.call(ada, 100_000, 0, TimeDelta::hours(hour)));
    world.post(&[some.clone(), most.clone()]).await.unwrap();
    let operator = world.ledger.system().operator();
    for (call, part) in [(&some, "0.03"), (&most, "0.09")] {
        operator.credit_call(call.call_id, world.give_back(Some(part), part)).await.unwrap();
    }
    let price = version(&world, Rates::plain(amount("0.0006"), Amount::ZERO)).await;
    let done = operator.reprice(by(&world, price)).await.unwrap();
    assert_eq!(
        (done.charged, done.replayed, done.given_back),
        (amount("0.2"), amount("0.12"), amount("0.05")),
        "0.04, and the 0.01 that was left"
    );
    assert_eq!(world.balance(ada).await.balance, amount("0.97"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn limits_count_what_calls_cost_by_now(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let limit = NewLimit {
        id: LimitId::new(world.now, world.random()),
        scope: Scope::Account,
        window: Window::Ever,
        unit: Unit::Money,
        hardness: Hardness::Hard,
        capacity: Quantity::from(amount("10")),
    };
    let operator = world.ledger.system().operator();
    operator.set_limit(ada.account, &limit).await.unwrap();
    world.post(&[world.call(ada, 100_000, 0, TimeDelta::hours(1))]).await.unwrap();
    let price = version(&world, Rates::plain(amount("0.0006"), Amount::ZERO)).await;
    operator.reprice(by(&world, price)).await.unwrap();
    let limits = world.ledger.reader(ada.user).await.unwrap().limits(world.now).await.unwrap();
    assert_eq!(limits[0].limit.pool.used, Quantity::from(amount("0.06")));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_dearer_price_is_asked_of_no_past_call(pool: PgPool) {
    let mut world = World::new(pool).await;
    let [ada, bob] = all_kinds(&mut world).await;
    let rates = Rates::plain(amount("0.01"), amount("0.02"));
    let said = replay(&world, &rates).await;
    let of_bob = said.customers.iter().find(|customer| customer.account == bob.account).unwrap();
    assert_eq!(of_bob.sums.replayed, amount("0.0315"), "0.03, and what was paid of the call whose rest is the operator's loss");
    assert!(said.sums.replayed > said.sums.charged, "what they would have paid: {:?}", said.sums);
    let price = version(&world, rates).await;
    let (before, number) = (world.balance(ada).await, postings(&world).await);
    let done = world.ledger.system().operator().reprice(by(&world, price)).await.unwrap();
    assert_eq!((done.given_back, done.lowered), (Amount::ZERO, 0));
    assert_eq!((world.balance(ada).await, postings(&world).await), (before, number), "nothing was posted");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_cannot_be_is_refused_and_says_what_to_do(pool: PgPool) {
    let mut world = World::new(pool).await;
    all_kinds(&mut world).await;
    let price = version(&world, Rates::plain(Amount::ZERO, Amount::ZERO)).await;
    let good = by(&world, price);
    let operator = world.ledger.system().operator();
    for (field, wrong) in [
        ("note", Reprice { note: " ", ..good }),
        ("window", Reprice { to: good.from, ..good }),
        ("window", Reprice { to: world.now + TimeDelta::seconds(1), ..good }),
        ("price", Reprice { price: PriceId::new(world.now, [9; 10]), ..good }),
    ] {
        let refused = operator.reprice(wrong).await;
        assert!(matches!(&refused, Err(Error::Invalid { field: of, .. }) if *of == field), "{field}: {refused:?}");
    }
    assert!(matches!(operator.reprice(Reprice { model: "nothing", ..good }).await, Err(Error::NotFound)));
    operator.withdraw_price((MODEL, ServiceTier::Default), price, "test", world.now).await.unwrap();
    assert!(matches!(operator.reprice(good).await, Err(Error::Invalid { field: "price", .. })), "it was withdrawn");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_that_was_charged_anew_otherwise_than_by_its_price_is_found(pool: PgPool) {
    let mut world = World::new(pool).await;
    all_kinds(&mut world).await;
    let price = version(&world, Rates::plain(amount("0.0004"), amount("0.001"))).await;
    let other = version(&world, Rates::plain(amount("0.0003"), amount("0.001"))).await;
    world.ledger.system().operator().reprice(by(&world, price)).await.unwrap();
    world.assert_proven().await;
    for change in [
        format!("update corrections set price_id = '{}' where kind = 'reprice'", other.uuid()),
        "update corrections set amount = amount - 1 where kind = 'reprice'".to_owned(),
        "delete from corrections where ctid = (select ctid from corrections where kind = 'reprice' limit 1)".to_owned(),
        "update journal set calls = calls + 1 where kind = 'reprice'".to_owned(),
        "update journal set memo = 'another reason' where kind = 'reprice'".to_owned(),
    ] {
        for table in ["corrections", "journal"] {
            sqlx::query(AssertSqlSafe(format!("create table kept_{table} as select * from {table}"))).execute(&world.pool).await.unwrap();
        }
        sqlx::query(AssertSqlSafe(change.clone())).execute(&world.pool).await.unwrap();
        assert!(!world.proof().await.faults.is_empty(), "{change}");
        for table in ["corrections", "journal"] {
            let back = format!(
                "set session_replication_role = replica; delete from {table}; insert into {table} select * from kept_{table};
                 drop table kept_{table}; set session_replication_role = origin"
            );
            sqlx::raw_sql(AssertSqlSafe(back)).execute(&world.pool).await.unwrap();
        }
        world.assert_proven().await;
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_the_provider_charged_is_the_figure_that_the_day_has(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    // A third of a nano each: rounded call by call it would come to nothing.
    let calls: Vec<_> = (1..8).map(|minute| world.call(ada, 1, 0, TimeDelta::minutes(minute))).collect();
    world.post(&calls).await.unwrap();
    let operator = world.ledger.system().operator();
    let cost = NewPrice {
        id: PriceId::new(world.now, world.random()),
        model: MODEL,
        kind: PriceKind::Cost,
        rates: Rates::plain(Amount::from_nanos(333), Amount::ZERO),
        effective_from: world.now - TimeDelta::days(1),
        actor: "test",
        now: world.now,
        service_tier: ServiceTier::Default,
    };
    world.ledger.system().import_price(cost).await.unwrap();
    let said = replay(&world, &world.rates).await;
    let today = operator.today(world.now).await.unwrap().cost.amount;
    assert_eq!((said.provider, today), (Some([Amount::from_nanos(2); 2]), Some(Amount::from_nanos(2))));
}
