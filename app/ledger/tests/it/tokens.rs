//! Packages of tokens: a call that one of them pays costs its tokens, and no money.

use chrono::TimeDelta;
use domain::{
    billing::{Grant, GrantKind, JournalKind},
    call::CallDetail,
    credit::{Hardness, Quantity, Refuser, Scope, Unit, Window},
    filter::UsageFilter,
    id::{GrantId, LimitId},
    money::Amount,
    pricing::Excess,
    tokens::Tokens,
};
use futures_util::future::join_all;
use ledger::{Admitted, Error, NewLimit, SettledCall};
use sqlx::PgPool;

use crate::world::{Customer, World, amount, with};

/// A call that may take so many tokens, and what of money.
fn of_tokens(world: &World, customer: Customer, tokens: i64, held: &str) -> Admitted {
    with(world.intent(customer, held), |call| call.tokens_held = Tokens::from_sum(tokens))
}

async fn ended(world: &World, intent: &Admitted, customer: Customer, prompt: i64, completion: i64) -> SettledCall {
    let call = world.settle(intent, customer, prompt, completion);
    assert_eq!(world.post(std::slice::from_ref(&call)).await.unwrap().posted, 1);
    call
}

async fn detail(world: &World, customer: Customer, call: &SettledCall) -> CallDetail {
    world.ledger.reader(customer.user).await.unwrap().call(call.call_id).await.unwrap()
}

async fn package(world: &World, customer: Customer, id: GrantId) -> Option<Grant> {
    world.balance(customer).await.grants.into_iter().find(|grant| grant.id == id)
}

/// What is in it, and what is held of it.
async fn left(world: &World, customer: Customer, id: GrantId) -> Option<(i64, i64)> {
    package(world, customer, id).await.map(|grant| (grant.balance.get(), grant.leased.get()))
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_that_a_package_pays_costs_its_tokens_and_no_money(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let id = world.package(ada, 10_000, "package").await;
    let intent = of_tokens(&world, ada, 3_000, "0.006");
    world.lease(&intent).await.unwrap();
    assert_eq!(left(&world, ada, id).await, Some((10_000, 3_000)));
    world.assert_proven().await;

    let call = ended(&world, &intent, ada, 1_000, 100).await;

    assert_eq!(left(&world, ada, id).await, Some((8_900, 0)));
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved, balance.available), (amount("1"), Amount::ZERO, amount("1")));
    let receipt = detail(&world, ada, &call).await;
    assert_eq!(
        (receipt.row.amount, receipt.written_off, receipt.row.tokens_paid),
        (Amount::ZERO, Amount::ZERO, Some(Tokens::from_sum(1_100)))
    );
    assert_eq!(receipt.receipt.amount, amount("0.0012"), "what it would have cost");
    let [share] = receipt.paid_by.as_slice() else { panic!("{:?}", receipt.paid_by) };
    assert_eq!((share.grant, share.kind, share.quantity.get()), (id, GrantKind::Package, 1_100));
    let usage = world.ledger.reader(ada.user).await.unwrap().usage(&UsageFilter::default(), world.now).await.unwrap().totals;
    assert_eq!((usage.amount, usage.prompt_tokens.get()), (Amount::ZERO, 1_000));
    world.assert_proven().await;

    let replayed = world.post(&[call]).await.unwrap();
    assert_eq!((replayed.posted, replayed.replayed), (0, 1));
    assert_eq!(left(&world, ada, id).await, Some((8_900, 0)));
}

/// A package pays for all of a call or for nothing of it.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_that_may_take_more_than_is_left_is_paid_in_money(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let id = world.package(ada, 1_000, "package").await;
    let intent = of_tokens(&world, ada, 1_001, "0.5");
    world.lease(&intent).await.unwrap();
    let call = ended(&world, &intent, ada, 100, 0).await;
    assert_eq!(left(&world, ada, id).await, Some((1_000, 0)));
    let receipt = detail(&world, ada, &call).await;
    assert_eq!((receipt.row.amount, receipt.row.tokens_paid), (amount("0.0001"), None));
    // The refusal names that of which there is the larger part of what is needed.
    for (tokens, held, unit, available) in [(1_001, "2", Unit::Tokens, 1_000), (9_000, "1.5", Unit::Money, 999_900_000)] {
        let too_much = of_tokens(&world, ada, tokens, held);
        let Err(Error::Exhausted(exhausted)) = world.lease(&too_much).await else { panic!("nobody has so much") };
        assert_eq!((exhausted.pool.clone(), exhausted.available.get()), (Refuser::Credit { unit }, available));
    }
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn forty_calls_at_once_take_the_tokens_of_ten_and_no_more(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let id = world.package(ada, 1_000, "package").await;
    let intents: Vec<_> = (0..40).map(|_| of_tokens(&world, ada, 100, "0.1")).collect();
    let proxies = join_all((0..3).map(|_| world.proxy())).await;
    let leased = join_all(intents.iter().zip(proxies.iter().cycle()).map(|(intent, proxy)| world.lease_by(proxy, intent))).await;
    let admitted: Vec<_> = intents.iter().zip(&leased).filter(|(_, leased)| leased.is_ok()).map(|(intent, _)| intent).collect();
    assert_eq!(admitted.len(), 10);
    let refused = leased.iter().filter_map(|leased| leased.as_ref().err());
    for error in refused {
        let Error::Exhausted(exhausted) = error else { panic!("{error}") };
        assert_eq!((&exhausted.pool, exhausted.available.get()), (&Refuser::Credit { unit: Unit::Tokens }, 0));
        assert!(exhausted.may_pass(), "it is all held by running calls: {exhausted:?}");
    }
    let calls: Vec<_> = admitted.into_iter().map(|intent| world.settle(intent, ada, 90, 30)).collect();
    assert_eq!(world.post(&calls).await.unwrap().posted, 10);
    assert_eq!(left(&world, ada, id).await, Some((0, 0)), "an upstream that reports 120 tokens takes the 100 that were held");
    assert_eq!(detail(&world, ada, &calls[0]).await.row.tokens_paid, Some(Tokens::from_sum(100)));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_paid_in_tokens_is_nothing_to_limits_of_money(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    for (unit, capacity) in [(Unit::Money, 1_000), (Unit::Tokens, 500)] {
        let id = LimitId::new(world.now, world.random());
        let (scope, window, hardness) = (Scope::Account, Window::Day, Hardness::Hard);
        owner.set_limit(&NewLimit { id, scope, window, unit, hardness, capacity: Quantity::from_count(capacity) }).await.unwrap();
    }
    let in_money = of_tokens(&world, ada, 100, "0.5");
    assert!(matches!(world.lease(&in_money).await, Err(Error::Exhausted(_))), "the day's money");
    world.package(ada, 10_000, "package").await;
    let in_tokens = of_tokens(&world, ada, 100, "0.5");
    world.lease(&in_tokens).await.unwrap();
    ended(&world, &in_tokens, ada, 80, 20).await;
    let too_many = of_tokens(&world, ada, 401, "0.5");
    let Err(Error::Exhausted(exhausted)) = world.lease(&too_many).await else { panic!("the day has 400 left") };
    assert_eq!((exhausted.pool.unit(), exhausted.available.get()), (Unit::Tokens, 400));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_limit_of_money_that_is_set_beside_running_calls_counts_none_that_is_paid_in_tokens(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    world.package(ada, 10_000, "package").await;
    let (in_tokens, in_money) = (of_tokens(&world, ada, 100, "0.5"), of_tokens(&world, ada, 20_000, "0.3"));
    for (intent, unit) in [(&in_tokens, Unit::Tokens), (&in_money, Unit::Money)] {
        assert_eq!(world.lease(intent).await.unwrap(), unit);
    }
    let (scope, window, hardness) = (Scope::Account, Window::Day, Hardness::Hard);
    let capacity = Quantity::from_count(1_000_000_000);
    let new = NewLimit { id: LimitId::new(world.now, world.random()), scope, window, unit: Unit::Money, hardness, capacity };
    world.ledger.owner(ada.user).await.unwrap().set_limit(&new).await.unwrap();
    let calls = [world.settle(&in_tokens, ada, 10, 0), world.settle(&in_money, ada, 10, 0)];
    assert_eq!(world.post(&calls).await.unwrap().posted, 2);
    let limits = world.ledger.reader(ada.user).await.unwrap().limits(world.now).await.unwrap();
    assert_eq!((limits[0].limit.pool.used, limits[0].limit.pool.leased), (calls[1].amount.into(), Quantity::ZERO));
    world.assert_proven().await;
}

/// A package pays for the tokens that were held, and lenient terms are about money.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn lenient_terms_change_nothing_of_what_is_paid_in_tokens(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    world.ledger.system().operator().change_credit_line(ada.account, "test", |line| line.excess = Excess::Charged).await.unwrap();
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let (scope, window, hardness) = (Scope::Account, Window::Day, Hardness::Hard);
    let (id, capacity) = (LimitId::new(world.now, world.random()), Quantity::from_count(1_000));
    owner.set_limit(&NewLimit { id, scope, window, unit: Unit::Tokens, hardness, capacity }).await.unwrap();
    let package = world.package(ada, 10_000, "package").await;
    let intent = with(of_tokens(&world, ada, 100, "0.5"), |call| call.excess = Excess::Charged);
    world.lease(&intent).await.unwrap();
    ended(&world, &intent, ada, 90, 30).await;
    assert_eq!((left(&world, ada, package).await, world.balance(ada).await.balance), (Some((9_900, 0)), amount("1")));
    let limits = world.ledger.reader(ada.user).await.unwrap().limits(world.now).await.unwrap();
    assert_eq!(limits[0].limit.pool.used.get(), 100);
    world.assert_proven().await;
}

/// Its proxy died, the package ended, and then the proxy brings what the call came to.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_comes_after_the_package_has_ended_takes_nothing_and_gives_nothing_back(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let id = world.package(ada, 1_000, "package").await;
    let (more, less) = (late(&world, ada, 400, 100).await, late(&world, ada, 2, 0).await);
    let running = of_tokens(&world, ada, 500, "0.1");
    world.lease(&running).await.unwrap();
    world.ledger.system().operator().end_grant(ada.account, id, "test").await.unwrap();
    world.assert_proven().await;
    assert_eq!(world.post(&[more.clone(), less.clone()]).await.unwrap().corrected, 2);
    for call in [&more, &less] {
        assert_eq!(detail(&world, ada, call).await.corrections[0].tokens_paid, Some(0));
    }
    let call = ended(&world, &running, ada, 200, 0).await;
    assert_eq!(detail(&world, ada, &call).await.row.tokens_paid, Some(Tokens::from_sum(200)), "it settles on what it holds");
    assert_eq!(world.ledger.dated(world.now + TimeDelta::days(15)).system().lapse_grants().await.unwrap(), 1);
    assert_eq!(world.balance(ada).await.balance, amount("1"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_hour_is_posted_in_money_and_in_tokens(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let id = world.package(ada, 1_000, "package").await;
    for tokens in [600, 600] {
        let intent = of_tokens(&world, ada, tokens, "0.1");
        world.lease(&intent).await.unwrap();
        ended(&world, &intent, ada, 500, 0).await;
    }
    let statement = world.ledger.reader(ada.user).await.unwrap().statement(None, 10, world.now).await.unwrap();
    let open = statement.open_hour.unwrap();
    assert_eq!((open.calls, open.amount, open.tokens), (2, amount("0.0005"), 500), "the second found 500 left");
    assert_eq!(left(&world, ada, id).await, Some((500, 0)));

    world.now += TimeDelta::hours(1);
    world.ledger.dated(world.now).system().close_hours().await.unwrap();

    let statement = world.ledger.reader(ada.user).await.unwrap().statement(None, 10, world.now).await.unwrap();
    let newest = &statement.journal.lines[0].rows()[0];
    assert_eq!((newest.kind, newest.amount, newest.tokens), (JournalKind::Usage, amount("-0.0005"), -500));
    assert_eq!(newest.balance_after, amount("0.9995"));
    let given = statement.journal.lines.iter().flat_map(|line| line.rows()).find(|row| row.kind == JournalKind::Package).unwrap();
    assert_eq!((given.amount, given.tokens), (Amount::ZERO, 1_000));
    let entries: Vec<(String, String, i64)> =
        sqlx::query_as("select book, unit, amount from entries where seq = $1 and account_id = $2 order by line")
            .bind(newest.number.get())
            .bind(ada.account.uuid())
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let entries: Vec<_> = entries.iter().map(|(book, unit, amount)| (book.as_str(), unit.as_str(), *amount)).collect();
    assert_eq!(entries[2..], [("revenue", "money", 500_000), ("revenue", "tokens", 500)]);
    assert_eq!(entries[..2].iter().map(|(.., amount)| amount).sum::<i64>(), -500_500);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_left_of_a_package_lapses_in_tokens(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let id = world.package(ada, 1_000, "package").await;
    world.now += TimeDelta::days(15);
    assert_eq!(world.ledger.dated(world.now).system().lapse_grants().await.unwrap(), 1);
    assert_eq!(package(&world, ada, id).await, None);
    let breakage: i64 =
        sqlx::query_scalar("select balance from books where book = 'breakage' and unit = 'tokens'").fetch_one(&world.pool).await.unwrap();
    assert_eq!((breakage, world.balance(ada).await.balance), (1_000, amount("1")));
    world.assert_proven().await;
}

/// A call that was posted as interrupted, with 12 tokens, and the settlement that comes late.
async fn late(world: &World, customer: Customer, prompt: i64, completion: i64) -> SettledCall {
    let intent = of_tokens(world, customer, 600, "0.1");
    world.lease(&intent).await.unwrap();
    let posted = world.interrupt(&intent, customer);
    assert_eq!(world.post(&[posted]).await.unwrap().posted, 1);
    world.settle(&intent, customer, prompt, completion)
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn late_usage_is_paid_in_what_the_call_was_paid_in(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let id = world.package(ada, 1_000, "package").await;
    let (more, less) = (late(&world, ada, 400, 100).await, late(&world, ada, 2, 0).await);
    assert_eq!(left(&world, ada, id).await, Some((976, 0)));
    assert_eq!(world.post(&[more.clone(), less.clone()]).await.unwrap().corrected, 2);
    assert_eq!(left(&world, ada, id).await, Some((498, 0)), "500 and 2");
    for (call, tokens) in [(&more, 488), (&less, -10)] {
        let correction = detail(&world, ada, call).await.corrections.remove(0);
        assert_eq!((correction.amount, correction.tokens_paid, correction.written_off), (Amount::ZERO, Some(tokens), Amount::ZERO));
    }
    // What a package no longer has is nobody's to pay.
    let last = late(&world, ada, 12, 0).await;
    assert_eq!(detail(&world, ada, &last).await.row.tokens_paid, None, "600 tokens are not left: it was paid in money");
    world.package(ada, 600, "another").await;
    let beyond = late(&world, ada, 600, 0).await;
    let running = of_tokens(&world, ada, 588, "0.1");
    world.lease(&running).await.unwrap();
    assert_eq!(world.post(std::slice::from_ref(&beyond)).await.unwrap().corrected, 1);
    let correction = detail(&world, ada, &beyond).await.corrections.remove(0);
    assert_eq!((correction.tokens_paid, correction.written_off), (Some(498), Amount::ZERO), "what running calls hold is left alone");
    assert_eq!(world.balance(ada).await.balance, amount("0.999988"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_that_was_paid_in_tokens_is_given_back_whole_while_its_package_lasts(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let id = world.package(ada, 1_000, "package").await;
    let mut calls = Vec::new();
    for _ in 0..2 {
        let intent = of_tokens(&world, ada, 300, "0.1");
        world.lease(&intent).await.unwrap();
        calls.push(ended(&world, &intent, ada, 200, 50).await.call_id);
    }
    let operator = world.ledger.system().operator();
    let part = operator.credit_call(calls[0], world.give_back(Some("0.0001"), "part")).await;
    assert!(part.as_ref().is_err_and(|error| error.to_string().contains("250 tokens")), "{part:?}");
    for replayed in [false, true] {
        let credited = operator.credit_call(calls[0], world.give_back(None, "all")).await.unwrap();
        assert_eq!((credited.replayed, credited.cost.get(), credited.unit), (replayed, 0, Unit::Tokens));
    }
    assert_eq!(left(&world, ada, id).await, Some((750, 0)));
    let twice = operator.credit_call(calls[0], world.give_back(None, "twice")).await;
    assert!(matches!(twice, Err(Error::Invalid { field: "amount", .. })), "{twice:?}");

    operator.end_grant(ada.account, id, "test").await.unwrap();
    let over = operator.credit_call(calls[1], world.give_back(None, "over")).await;
    assert!(matches!(over, Err(Error::Invalid { field: "call", .. })), "{over:?}");
    world.assert_proven().await;
}
