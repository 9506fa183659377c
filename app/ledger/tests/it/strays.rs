//! Calls whose slices are gone, or whose settlement comes twice: what a call takes of its slice, and what it is paid from without one.

use chrono::TimeDelta;
use domain::{
    billing::GrantKind,
    call::{CallDetail, CorrectionKind, Outcome},
    catalog::PriceKind,
    credit::{CreditLine, Hardness, Quantity, Scope, Unit, Window},
    id::{LimitId, PriceId},
    money::Amount,
    pricing::Excess,
    rates::Rates,
    service_tier::ServiceTier,
    tokens::Tokens,
};
use ledger::{Admitted, NewLimit, NewPrice, SettledCall};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    leases::slices,
    world::{Customer, MODEL, Proxy, World, amount, give_back_all, with},
};

/// From now on each call costs a flat fee of 0.01 beside its tokens.
async fn charge_a_fee(world: &mut World) {
    let rates = Rates { per_call: amount("0.01"), ..world.rates.clone() };
    let id = PriceId::from_uuid(Uuid::from_u128(2));
    let (kind, effective_from) = (PriceKind::Sale, world.now - TimeDelta::days(1));
    let price = NewPrice {
        id,
        model: MODEL,
        kind,
        rates: rates.clone(),
        effective_from,
        actor: "test",
        now: effective_from,
        service_tier: ServiceTier::Default,
    };
    world.ledger.system().import_price(price).await.unwrap();
    (world.price, world.rates) = (id, rates);
}

/// Limits of the day, of each unit, that refuse nobody.
async fn set_limits(world: &World, customer: Customer) {
    for unit in Unit::ALL {
        let (id, capacity) = (LimitId::new(world.now, world.random()), Quantity::from_count(1_000_000_000_000));
        let new = NewLimit { id, scope: Scope::Account, window: Window::Day, unit, hardness: Hardness::Hard, capacity };
        world.ledger.owner(customer.user).await.unwrap().set_limit(&new).await.unwrap();
    }
}

/// Money, tokens and requests that the limits counted, and what of all is leased.
async fn counted(world: &World, customer: Customer) -> ([i64; 3], i64) {
    let limits = world.ledger.reader(customer.user).await.unwrap().limits(world.now).await.unwrap();
    let of = |unit| limits.iter().filter(|state| state.limit.pool.unit == unit).map(|state| state.limit.pool.used.get()).sum();
    (Unit::ALL.map(of), limits.iter().map(|state| state.limit.pool.leased.get()).sum())
}

async fn detail(world: &World, customer: Customer, call: &SettledCall) -> CallDetail {
    world.ledger.reader(customer.user).await.unwrap().call(call.call_id).await.unwrap()
}

/// Ends an epoch, with all that it had.
async fn end(world: &World, proxy: &Proxy) {
    give_back_all(&world.ledger.meter().end_epoch(proxy.epoch).await.unwrap()).await;
}

/// A call of a proxy whose epoch ended before anybody heard of the call.
async fn stray(world: &World, customer: Customer, change: impl FnOnce(&mut Admitted)) -> Admitted {
    let proxy = world.proxy().await;
    let call = with(world.intent(customer, "0.5"), change);
    world.lease_by(&proxy, &call).await.unwrap();
    let reserved = world.balance(customer).await.reserved;
    end(world, &proxy).await;
    assert!(world.balance(customer).await.reserved <= reserved);
    assert_eq!(slices(world).await, 0);
    world.assert_proven().await;
    world.holding(&call)
}

/// Posts it, and some more times, which changes nothing.
async fn post(world: &World, call: &SettledCall, posted: usize, corrected: usize) {
    let done = world.ledger.meter().post_calls(std::slice::from_ref(call)).await.unwrap();
    assert_eq!((done.posted, done.corrected, done.replayed, &done.unleased[..]), (posted, corrected, 0, &[][..]), "{done:?}");
    world.assert_proven().await;
    for _ in 0..2 {
        let again = world.ledger.meter().post_calls(&[call.clone(), call.clone()]).await.unwrap();
        assert_eq!((again.posted, again.corrected, again.replayed), (0, 0, 2));
    }
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_takes_what_it_used_of_its_slice_and_leaves_the_rest(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    set_limits(&world, ada).await;
    let (call, beside) = (world.intent(ada, "0.4"), world.intent(ada, "0.1"));
    world.lease(&call).await.unwrap();
    world.lease(&beside).await.unwrap();
    assert_eq!(slices(&world).await, 500_000_000 + 500_000_000 + 2_000_000 + 2);
    let settled = world.settle(&call, ada, 1_000, 100);

    post(&world, &settled, 1, 0).await;

    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved), (amount("0.9988"), amount("0.4988")));
    assert_eq!(counted(&world, ada).await, ([1_200_000, 1_100, 1], 498_800_000 + 1_998_900 + 1));
    // What is left of both goes back together.
    end(&world, &world.proxy).await;
    assert_eq!((world.balance(ada).await.available, slices(&world).await), (amount("0.9988"), 0));
    assert_eq!(counted(&world, ada).await, ([1_200_000, 1_100, 1], 0));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_was_assumed_is_paid_from_the_slice_and_what_the_call_came_to_after_it_from_what_there_is(pool: PgPool) {
    let mut world = World::new(pool).await;
    charge_a_fee(&mut world).await;
    let ada = world.customer("ada", "1").await;
    set_limits(&world, ada).await;
    let call = world.intent(ada, "0.4");
    world.lease(&call).await.unwrap();
    post(&world, &world.interrupt(&call, ada), 1, 0).await;
    assert_eq!(world.balance(ada).await.reserved, amount("0.389988"), "12 tokens and the fee");
    let own = world.settle(&call, ada, 1_000, 100);
    post(&world, &own, 0, 1).await;
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved), (amount("0.9888"), amount("0.389988")), "its slice it leaves alone");
    assert_eq!(counted(&world, ada).await.0, [11_200_000, 1_100, 1]);
    end(&world, &world.proxy).await;
    world.assert_proven().await;
}

/// What it came to is paid from what there is: the call itself is posted at no charge, whatever its price says of each call.
async fn settle_after_the_end(mut world: World) {
    charge_a_fee(&mut world).await;
    let ada = world.customer("ada", "1").await;
    set_limits(&world, ada).await;
    let call = stray(&world, ada, |_| {}).await;
    let own = world.settle(&call, ada, 1_000, 100);

    post(&world, &own, 1, 1).await;

    let found = detail(&world, ada, &own).await;
    assert_eq!((found.row.outcome, found.row.amount, found.written_off), (Outcome::Interrupted, Amount::ZERO, Amount::ZERO));
    let [correction] = &found.corrections[..] else { panic!("{:?}", found.corrections) };
    assert_eq!(
        (correction.kind, correction.amount, correction.late.as_ref().map(|late| late.usage)),
        (CorrectionKind::LateUsage, amount("0.0112"), Some(own.usage))
    );
    assert_eq!((correction.written_off, found.row.cost()), (Amount::ZERO, amount("0.0112")));
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved), (amount("0.9888"), Amount::ZERO));
    assert_eq!(counted(&world, ada).await, ([11_200_000, 1_100, 1], 0), "limits count it once");
    // What somebody assumes of it later is nothing new.
    let done = world.ledger.meter().post_calls(&[world.interrupt(&call, ada)]).await.unwrap();
    assert_eq!((done.posted, done.corrected, done.replayed), (0, 0, 1));
    // And some of it can be given back.
    world.ledger.system().operator().credit_call(own.call_id, world.give_back(Some("0.0012"), "back")).await.unwrap();
    assert_eq!(world.balance(ada).await.balance, amount("0.99"));
    world.ledger.system().close_hours().await.unwrap();
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_settlement_after_the_end_of_its_epoch_is_paid_from_what_there_is(pool: PgPool) {
    settle_after_the_end(World::new(pool).await).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_settlement_after_the_end_of_its_epoch_is_paid_from_what_there_is_on_the_twin(pool: PgPool) {
    settle_after_the_end(World::spread(pool).await).await;
}

/// An assumption costs nothing where nothing is leased, fee or no fee, and what the call came to is charged once.
async fn assume_after_the_end(mut world: World) {
    charge_a_fee(&mut world).await;
    let ada = world.customer("ada", "1").await;
    set_limits(&world, ada).await;
    let call = stray(&world, ada, |_| {}).await;
    let assumed = world.interrupt(&call, ada);
    assert_eq!(assumed.amount, amount("0.010012"));

    post(&world, &assumed, 1, 0).await;

    assert_eq!(world.balance(ada).await.balance, amount("1"));
    assert_eq!(counted(&world, ada).await, ([0, 0, 1], 0));
    let own = world.settle(&call, ada, 1_000, 100);
    post(&world, &own, 0, 1).await;
    let found = detail(&world, ada, &own).await;
    assert_eq!((found.row.amount, found.row.cost(), found.corrections.len()), (Amount::ZERO, amount("0.0112"), 1));
    assert_eq!(world.balance(ada).await.balance, amount("0.9888"));
    assert_eq!(counted(&world, ada).await, ([11_200_000, 1_100, 1], 0));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_assumed_after_the_end_costs_nothing_and_is_corrected_once(pool: PgPool) {
    assume_after_the_end(World::new(pool).await).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_assumed_after_the_end_costs_nothing_and_is_corrected_once_on_the_twin(pool: PgPool) {
    assume_after_the_end(World::spread(pool).await).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn of_two_settlements_after_the_end_in_one_batch_its_own_counts(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let call = stray(&world, ada, |_| {}).await;
    let batch = [world.interrupt(&call, ada), world.settle(&call, ada, 1_000, 0), world.call(ada, 1_000, 0, TimeDelta::minutes(1))];
    let done = world.ledger.meter().post_calls(&batch).await.unwrap();
    assert_eq!((done.posted, done.corrected, done.replayed), (2, 1, 1));
    assert_eq!(world.balance(ada).await.balance, amount("0.998"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_settlement_after_the_end_takes_nothing_that_others_hold_and_the_rest_is_written_off(pool: PgPool) {
    let mut world = World::new(pool).await;
    charge_a_fee(&mut world).await;
    let ada = world.customer("ada", "1").await;
    let call = stray(&world, ada, |_| {}).await;
    let beside = world.intent(ada, "0.995");
    world.lease(&beside).await.unwrap();
    let own = world.settle(&call, ada, 1_000, 100);

    post(&world, &own, 1, 1).await;

    let correction = detail(&world, ada, &own).await.corrections.remove(0);
    assert_eq!((correction.amount, correction.written_off), (amount("0.005"), amount("0.0062")));
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved, balance.available), (amount("0.995"), amount("0.995"), Amount::ZERO));
    let customer = world.ledger.system().operator().customer(ada.account, world.now).await.unwrap();
    assert_eq!(customer.written_off_30_days, amount("0.0062"));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_lenient_account_is_lent_what_a_settlement_after_the_end_came_to(pool: PgPool) {
    let mut world = World::new(pool).await;
    charge_a_fee(&mut world).await;
    let ada = world.customer("ada", "1").await;
    let lenient = CreditLine { excess: Excess::Charged, ..CreditLine::default() };
    world.ledger.system().operator().change_credit_line(ada.account, "test", |line| *line = lenient).await.unwrap();
    let call = stray(&world, ada, |call| call.excess = Excess::Charged).await;
    let beside = world.intent(ada, "1");
    world.lease(&beside).await.unwrap();
    // More than it had held, too.
    let own = world.settle(&call, ada, 1_000_000, 0);
    assert_eq!(own.amount, amount("1.01"));

    post(&world, &own, 1, 1).await;

    let found = detail(&world, ada, &own).await;
    assert_eq!((found.row.cost(), found.corrections[0].written_off), (amount("1.01"), Amount::ZERO));
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved), (amount("-0.01"), amount("1")));
}

async fn tokens_after_the_end(mut world: World) {
    charge_a_fee(&mut world).await;
    let ada = world.customer("ada", "1").await;
    set_limits(&world, ada).await;
    let package = world.package(ada, 1_000, "package").await;
    let of_tokens = |call: &mut Admitted| call.tokens_held = Tokens::from_sum(600);
    let left = async || {
        let grants = world.balance(ada).await.grants;
        grants.iter().find(|grant| grant.id == package).map_or(0, |grant| grant.balance.get())
    };

    let first = stray(&world, ada, of_tokens).await;
    assert_eq!(first.split.payment[0].unit, Unit::Tokens);
    let own = world.settle(&first, ada, 400, 100);
    post(&world, &own, 1, 1).await;
    let found = detail(&world, ada, &own).await;
    assert_eq!((found.row.amount, found.row.tokens_paid), (Amount::ZERO, Some(Tokens::ZERO)));
    assert_eq!((found.corrections[0].tokens_paid, found.corrections[0].amount), (Some(500), Amount::ZERO));
    assert_eq!(left().await, 500);

    let second = stray(&world, ada, |call| call.tokens_held = Tokens::from_sum(500)).await;
    post(&world, &world.interrupt(&second, ada), 1, 0).await;
    assert_eq!(left().await, 500, "an assumption costs nothing");
    let beside = with(world.intent(ada, "0.5"), |call| call.tokens_held = Tokens::from_sum(450));
    assert_eq!(world.lease(&beside).await.unwrap(), Unit::Tokens);
    let own = world.settle(&second, ada, 100, 0);
    post(&world, &own, 0, 1).await;
    assert_eq!(detail(&world, ada, &own).await.corrections[0].tokens_paid, Some(50), "what others hold is left alone");
    assert_eq!((left().await, world.balance(ada).await.balance), (450, amount("1")));
    assert_eq!(counted(&world, ada).await.0, [0, 600, 2], "it took them, whoever pays");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_of_a_package_is_paid_in_tokens_after_the_end_too(pool: PgPool) {
    tokens_after_the_end(World::new(pool).await).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_of_a_package_is_paid_in_tokens_after_the_end_too_on_the_twin(pool: PgPool) {
    tokens_after_the_end(World::spread(pool).await).await;
}

/// Some other proxy's slices of the same pools are none of its.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_without_slices_leaves_those_of_other_epochs_alone(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    world.promo(ada, "0.2").await;
    let call = stray(&world, ada, |_| {}).await;
    let beside = world.intent(ada, "0.5");
    world.lease(&beside).await.unwrap();
    let before = slices(&world).await;
    let own = world.settle(&call, ada, 100_000, 0);
    post(&world, &own, 1, 1).await;
    assert_eq!(slices(&world).await, before);
    let settled = world.settle(&beside, ada, 300_000, 0);
    post(&world, &settled, 1, 0).await;
    let kinds: Vec<_> = detail(&world, ada, &settled).await.paid_by.iter().map(|share| (share.kind, share.quantity)).collect();
    assert_eq!(kinds, [(GrantKind::Promo, amount("0.2").into()), (GrantKind::Wallet, amount("0.1").into())]);
    assert_eq!(world.balance(ada).await.balance, amount("0.8"));
}
