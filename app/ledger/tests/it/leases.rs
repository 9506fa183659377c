//! What is leased of an account at any concurrency, and what becomes of changes that are said again, late or at once.

use domain::{
    credit::{Hardness, Hold, PoolRef, Quantity, Scope, Unit, Window},
    id::{AccountId, EpochId, LimitId},
    lease::{Answer, Change},
    money::Amount,
};
use futures_util::future::join_all;
use ledger::{Admitted, ChangedLease, Error, NewLimit, Wait};
use sqlx::PgPool;

use crate::world::{Customer, Proxy, World, amount, ask, give_back_all, split_of};

/// What is leased by slices, in all units.
pub(crate) async fn slices(world: &World) -> i64 {
    sqlx::query_scalar("select coalesce(sum(amount), 0)::bigint from slices").fetch_one(&world.pool).await.unwrap()
}

/// Says a change, which is not the next one of its proxy unless the number is.
async fn say(world: &World, proxy: &Proxy, account: AccountId, number: i64, call: &Admitted) -> ledger::Result<ChangedLease> {
    let change = Change { number, heard: 0, returned: Vec::new(), ask: Some(ask(call)) };
    let changed = world.ledger.meter().change_leases(proxy.epoch, &[(account, change)], Wait::Yes).await?;
    Ok(changed.accounts.into_iter().next().unwrap())
}

fn given(answer: Option<&Answer>) -> Vec<(Unit, i64)> {
    answer.unwrap().given.iter().map(|hold| (hold.unit, hold.quantity.get())).collect()
}

/// A limit of a day's requests.
async fn limit_requests(world: &World, customer: Customer, requests: i64) -> LimitId {
    let id = LimitId::new(world.now, world.random());
    let (scope, window, unit, hardness) = (Scope::Account, Window::Day, Unit::Requests, Hardness::Hard);
    let new = NewLimit { id, scope, window, unit, hardness, capacity: Quantity::from_count(requests) };
    world.ledger.owner(customer.user).await.unwrap().set_limit(&new).await.unwrap()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn fifty_proxies_at_once_lease_no_more_than_there_is(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let proxies = join_all((0..50).map(|_| world.proxy())).await;
    let calls: Vec<_> = proxies.iter().map(|_| world.intent(ada, "0.1")).collect();

    let (mut admitted, mut refused) = (0, 0);
    for answer in join_all(proxies.iter().zip(&calls).map(|(proxy, call)| world.lease_by(proxy, call))).await {
        match answer {
            Ok(unit) => {
                assert_eq!(unit, Unit::Money);
                admitted += 1;
            }
            Err(Error::Exhausted(exhausted)) => {
                assert_eq!(exhausted.needed, amount("0.1").into());
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }

    assert_eq!((admitted, refused), (10, 40));
    let balance = world.balance(ada).await;
    assert_eq!((balance.reserved, balance.available), (amount("1"), Amount::ZERO));
    world.assert_proven().await;
}

/// Calls end and others begin all the while: what one gives back another may have, and nobody has it twice.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn three_proxies_with_forty_calls_each_never_spend_more_than_there_is(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0.01").await;
    let proxies = join_all((0..3).map(|_| world.proxy())).await;
    let calls: Vec<_> = (0..120).map(|_| world.intent(ada, "0.001")).collect();

    let ran = join_all(calls.iter().zip(proxies.iter().cycle()).map(async |(call, proxy)| {
        world.lease_by(proxy, call).await.ok()?;
        // Each costs 0.0006 of the 0.001 that it holds.
        world.post(&[world.settle(call, ada, 600, 0)]).await.unwrap();
        Some(())
    }))
    .await;

    let ran = ran.into_iter().flatten().count();
    let balance = world.balance(ada).await;
    let spent = Amount::from_nanos(600_000 * i64::try_from(ran).unwrap());
    assert!((10..=16).contains(&ran), "{ran}");
    assert_eq!((balance.balance, balance.reserved), (amount("0.01").checked_sub(spent).unwrap(), Amount::ZERO));
    assert_eq!(slices(&world).await, 0);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_hold_that_was_not_needed_goes_back_whole(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let intent = world.intent(ada, "0.7");
    world.lease(&intent).await.unwrap();
    assert_eq!(world.balance(ada).await.available, amount("0.3"));

    world.release(&intent).await.unwrap();

    assert_eq!((world.balance(ada).await.available, slices(&world).await), (amount("1"), 0));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_change_that_is_said_again_gives_nothing_twice_and_says_what_it_gave(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    limit_requests(&world, ada, 5).await;
    let (call, proxy) = (world.intent(ada, "0.4"), world.proxy.clone());
    let first = say(&world, &proxy, ada.account, 1, &call).await.unwrap();
    let expected = [(Unit::Money, 400_000_000), (Unit::Requests, 1)];
    assert_eq!(given(first.answer.as_ref()), expected);
    for _ in 0..2 {
        let again = say(&world, &proxy, ada.account, 1, &call).await.unwrap();
        assert_eq!(again.answer, first.answer);
        assert_eq!(world.balance(ada).await.reserved, amount("0.4"));
    }
    assert_eq!(slices(&world).await, 400_000_001);

    // A call of it was posted before it was said once more.
    let split = split_of(&first.answer.as_ref().unwrap().given);
    let held = Admitted { epoch: Some(proxy.epoch), split, ..call.clone() };
    let posted = world.ledger.meter().post_calls(&[world.settle(&held, ada, 1_000, 0)]).await.unwrap();
    assert_eq!((posted.posted, posted.unleased), (1, vec![]));
    assert_eq!(slices(&world).await, 399_000_000);
    let again = say(&world, &proxy, ada.account, 1, &call).await.unwrap();
    assert_eq!(given(again.answer.as_ref()), expected[..1], "of the slice that is gone it has heard: it used it");
    assert_eq!(world.balance(ada).await.reserved, amount("0.399"));
    assert_eq!(slices(&world).await, 399_000_000);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_refused_change_that_is_said_again_is_answered_and_gives_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0.1").await;
    let call = world.intent(ada, "0.4");
    let proxy = world.proxy.clone();
    let refused = say(&world, &proxy, ada.account, 1, &call).await.unwrap().answer.unwrap();
    assert_eq!((refused.given, refused.refused.map(|refused| refused.available)), (vec![], Some(amount("0.1").into())));
    // There is enough by now, and the change had its turn.
    world.ledger.owner(ada.user).await.unwrap().top_up(world.money("1", "more")).await.unwrap();
    let again = say(&world, &proxy, ada.account, 1, &call).await.unwrap().answer.unwrap();
    assert_eq!((again.given, again.refused, slices(&world).await), (vec![], None, 0));
    assert_eq!(given(say(&world, &proxy, ada.account, 2, &call).await.unwrap().answer.as_ref()), [(Unit::Money, 400_000_000)]);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_change_that_comes_after_a_later_one_is_nobodys_any_more(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let (call, proxy) = (world.intent(ada, "0.1"), world.proxy.clone());
    say(&world, &proxy, ada.account, 5, &call).await.unwrap();
    let late = say(&world, &proxy, ada.account, 4, &call).await.unwrap();
    assert_eq!((late.account, late.answer), (ada.account, None));
    assert_eq!(late.told.grants[0].pool.leased, amount("0.1").into(), "it is told all the same");
    assert_eq!(world.balance(ada).await.reserved, amount("0.1"));
    assert_eq!(given(say(&world, &proxy, ada.account, 5, &call).await.unwrap().answer.as_ref()), [(Unit::Money, 100_000_000)]);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn whoever_has_heard_of_a_change_that_is_not_there_changes_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let (proxy, call) = (world.proxy().await, world.intent(ada, "0.1"));
    say(&world, &proxy, ada.account, 1, &call).await.unwrap();
    let change = Change { number: 5, heard: 4, returned: Vec::new(), ask: Some(ask(&call)) };
    let changed = world.ledger.meter().change_leases(proxy.epoch, &[(ada.account, change)], Wait::Yes).await.unwrap();
    assert_eq!((&changed.accounts[0].answer, world.balance(ada).await.reserved), (&None, amount("0.1")));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_change_that_is_said_eight_times_at_once_gives_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let (call, proxy) = (world.intent(ada, "0.1"), world.proxy.clone());
    let answers = join_all((0..8).map(|_| say(&world, &proxy, ada.account, 1, &call))).await;
    for answer in answers {
        assert_eq!(given(answer.unwrap().answer.as_ref()), [(Unit::Money, 100_000_000)]);
    }
    assert_eq!((world.balance(ada).await.reserved, slices(&world).await), (amount("0.1"), 100_000_000));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_change_of_an_epoch_that_is_over_or_of_none_changes_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let call = world.intent(ada, "0.1");
    let (over, nobody) = (world.proxy().await, world.proxy().await);
    let before = world.intent(ada, "0.2");
    world.lease_by(&over, &before).await.unwrap();
    let meter = world.ledger.meter();
    let ending = meter.end_epoch(over.epoch).await.unwrap();
    give_back_all(&meter.end_epoch(nobody.epoch).await.unwrap()).await;
    for (proxy, number) in [(&over, 2), (&over, over.last_number().await), (&nobody, 1)] {
        assert!(matches!(say(&world, proxy, ada.account, number, &call).await, Err(Error::EpochOver)));
    }
    // Nothing goes back by it either.
    assert!(matches!(world.release(&before).await, Err(Error::EpochOver)));
    let never = EpochId::new(world.now, [9; 10]);
    assert!(matches!(meter.change_leases(never, &[], Wait::Yes).await, Err(Error::EpochOver)));
    assert_eq!(world.balance(ada).await.reserved, amount("0.2"));
    let rows: i64 = sqlx::query_scalar("select count(*) from leases").fetch_one(&world.pool).await.unwrap();
    assert_eq!(rows, 1);
    world.assert_proven().await;
    give_back_all(&ending).await;
    assert_eq!(world.balance(ada).await.reserved, Amount::ZERO);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn more_than_is_leased_never_goes_back(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let (mine, others) = (world.intent(ada, "0.1"), world.intent(ada, "0.2"));
    let other = world.proxy().await;
    world.lease(&mine).await.unwrap();
    world.lease_by(&other, &others).await.unwrap();
    let [hold] = world.holding(&mine).split.payment[..] else { panic!("one grant pays") };
    let too_much = Hold { quantity: Quantity::from_count(250_000_000), ..hold };
    world.proxy.change(&world.ledger, ada.account, vec![too_much], None).await.unwrap();
    assert_eq!(world.balance(ada).await.reserved, amount("0.2"), "the other's slice is its own");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_change_is_told_what_the_account_has_and_whether_others_lease_of_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let limit = limit_requests(&world, ada, 5).await;
    let (proxy, other) = (world.proxy.clone(), world.proxy().await);
    let call = world.intent(ada, "0.1");
    let alone = proxy.change(&world.ledger, ada.account, vec![], Some(ask(&call))).await.unwrap();
    assert!(!alone.others && !alone.told.has_limits_of_runs);
    let [told] = &alone.told.limits[..] else { panic!("{:?}", alone.told.limits) };
    assert_eq!((told.id, told.pool.leased.get(), told.pool.capacity.get()), (limit, 0, 5), "as it was before the change");
    let beside = other.change(&world.ledger, ada.account, vec![], Some(ask(&call))).await.unwrap();
    assert!(beside.others);
    assert_eq!(beside.told.grants[0].pool.leased, amount("0.2").into());

    // What the first gives back is nobody's.
    let returned = alone.answer.unwrap().given;
    assert!(returned.iter().any(|hold| matches!(hold.pool, PoolRef::Limit { id, .. } if id == limit)));
    proxy.change(&world.ledger, ada.account, returned, None).await.unwrap();
    assert!(!other.change(&world.ledger, ada.account, vec![], None).await.unwrap().others);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_account_that_is_locked_is_left_out_or_waited_for_and_keeps_no_other_waiting(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "1").await, world.customer("bob", "1").await);
    let changes = [ada, bob].map(|customer| {
        let call = world.intent(customer, "0.1");
        (customer.account, Change { number: 1, heard: 0, returned: vec![], ask: Some(ask(&call)) })
    });
    let mut lock = world.pool.begin().await.unwrap();
    sqlx::query("select from heads where account_id = $1 for update").bind(ada.account.uuid()).execute(&mut *lock).await.unwrap();
    let (meter, epoch) = (world.ledger.meter(), world.proxy.epoch);
    let done = meter.change_leases(epoch, &changes, Wait::No).await.unwrap();
    assert_eq!(done.accounts.iter().map(|changed| changed.account).collect::<Vec<_>>(), [bob.account]);
    let waited = meter.change_leases(epoch, &changes[..1], Wait::Yes).await.unwrap_err();
    assert!(waited.did_nothing(), "{waited}");
    lock.rollback().await.unwrap();
    let done = meter.change_leases(epoch, &changes, Wait::No).await.unwrap();
    assert_eq!(done.accounts.len(), 2);
    assert_eq!(slices(&world).await, 200_000_000, "bob's was a change that was said again");
    world.assert_proven().await;
}
