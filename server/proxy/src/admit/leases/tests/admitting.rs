//! One proxy, and a ledger that answers.

use domain::{
    credit::{Hardness, Limit, Pool, Quantity, Scope, Unit, Window},
    id::LimitId,
};
use futures_util::FutureExt;

use super::*;

#[tokio::test(start_paused = true)]
async fn two_hundred_calls_at_once_make_one_ask_for_the_first_and_one_for_all_others() {
    let (world, start) = (World::new(1_000_000), Instant::now());
    let proxy = world.proxy().await;
    let (held, refused) = all(proxy.hold_many(200, 10)).await;
    assert_eq!((held.len(), refused), (200, vec![]));
    assert_eq!(world.said(), 2);
    assert!(start.elapsed() < Duration::from_millis(50), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_call_asks_while_there_is_room() {
    let world = World::new(1_000_000);
    let proxy = world.proxy().await;
    let first = all(proxy.hold_many(50, 10)).await.0;
    let said = world.said();
    drop(first);
    for _ in 0..50 {
        let held = proxy.hold(10).now_or_never();
        assert!(held.is_some_and(|held| held.is_ok()), "it does not even wait");
    }
    assert_eq!(world.said(), said);
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_is_free_again_and_what_is_settled_is_not() {
    let world = World::new(10);
    let proxy = world.proxy().await;
    drop(proxy.hold(10).await.unwrap());
    assert_eq!(proxy.money(), (10, 0));
    let held = proxy.hold(10).await.unwrap();
    assert_eq!(proxy.money(), (0, 10));
    settle_and_post(&world, held, 4);
    assert_eq!((proxy.money(), world.leased()), ((6, 0), 6));
    assert!(matches!(proxy.hold(7).await, Err(NoHold::Exhausted(_))));
    assert!(proxy.hold(6).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_too_large_is_refused_at_once_where_nobody_else_has_anything() {
    let world = World::new(10);
    let proxy = world.proxy().await;
    let (refused, took) = timed(proxy.hold(11)).await;
    let Err(NoHold::Exhausted(exhausted)) = refused else { panic!("it was not refused") };
    assert_eq!(
        (exhausted.pool.unit(), exhausted.needed, exhausted.available),
        (Unit::Money, Quantity::from_count(11), Quantity::from_count(10))
    );
    assert!(took < Duration::from_millis(10), "{took:?}");
    assert!(world.fake().notices.is_empty());
    assert_eq!(proxy.leases.figures().refused, 1);
}

#[tokio::test(start_paused = true)]
async fn one_answer_refuses_all_that_waited_for_as_much_and_nobody_who_wants_less() {
    let world = World::new(100);
    let proxy = world.proxy().await;
    // The first asks alone, what comes meanwhile waits for it.
    let first = proxy.spawn_hold(wanted(100));
    pass(1).await;
    let (large, small) = (proxy.hold_many(190, 200), proxy.hold_many(3, 5));
    let larger = proxy.hold_many(5, 300);
    let _first = first.await.unwrap().unwrap();
    let (held, refused) = all(large.into_iter().chain(larger).collect()).await;
    assert_eq!((held.len(), refused.len()), (0, 195));
    let needed = |why: &NoHold| if let NoHold::Exhausted(why) = why { why.needed.get() } else { 0 };
    assert_eq!(refused.iter().map(needed).sum::<i64>(), 190 * 200 + 5 * 300, "each is told what it needs itself");
    assert_eq!(all(small).await.1.len(), 3, "nothing was left");
    assert_eq!(world.said(), 3, "the first's, one for those that want much, one for those that want little");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_goes_on_when_a_running_one_ends() {
    let world = World::new(10);
    let (proxy, other) = (world.proxy().await, world.proxy().await);
    let crumb = other.hold(1).await.unwrap();
    let running = proxy.hold(9).await.unwrap();
    let waits = proxy.spawn_hold(wanted(5));
    pass(200).await;
    assert!(!waits.is_finished(), "it waits for what others have");
    drop(running);
    assert_eq!(timed(waits).await.1, Duration::ZERO);
    drop(crumb);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_it_waits_holds_nothing() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    let (left, stays) = (proxy.spawn_hold(wanted(10)), proxy.spawn_hold(wanted(10)));
    pass(1).await;
    left.abort();
    let held = stays.await.unwrap().unwrap();
    assert!(left.await.unwrap_err().is_cancelled());
    assert_eq!(proxy.money().1, 10);
    drop(held);
    assert_eq!(proxy.money().1, 0);
}

#[tokio::test(start_paused = true)]
async fn what_comes_to_one_who_has_just_left_goes_back() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    let leases = Arc::clone(&proxy.leases);
    let wanted = wanted(10);
    let mut call = Box::pin(leases.hold(ACCOUNT, &wanted));
    assert!(call.as_mut().now_or_never().is_none());
    pass(10).await;
    assert_eq!(proxy.money().1, 10, "it is given, and not heard");
    drop(call);
    assert_eq!(proxy.money().1, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_idle_goes_back_after_three_seconds_and_then_the_account_is_forgotten() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    let held = proxy.hold(10).await.unwrap();
    drop(proxy.hold(10).await.unwrap());
    pass(2_500).await;
    assert_eq!(world.leased(), 20);
    pass(1_600).await;
    assert_eq!((world.leased(), proxy.money()), (10, (0, 10)), "what a call holds stays");
    drop(held);
    pass(1_100).await;
    assert_eq!((world.leased(), proxy.money()), (0, (0, 0)));
    assert!(proxy.leases.known_account(ACCOUNT).is_some());
    pass(60_000).await;
    assert!(proxy.leases.known_account(ACCOUNT).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_used_keeps_what_it_has() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    for _ in 0..20 {
        drop(proxy.hold(10).await.unwrap());
        pass(1_000).await;
    }
    assert_eq!(world.said(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_there_is_much_no_call_waits_but_the_first_ones() {
    let world = World::new(1_000_000);
    let proxy = world.proxy().await;
    let mut waited = Vec::new();
    for call in 0..200 {
        let (held, took) = timed(proxy.hold(10)).await;
        if !took.is_zero() {
            waited.push(call);
        }
        settle_and_post(&world, held.unwrap(), 10);
        pass(50).await;
    }
    assert!(waited.len() <= 6 && waited.iter().all(|call| *call < 20), "{waited:?}");
    assert!(world.said() < 20, "{}", world.said());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_of_nobody_who_came_after_it_was_asked_for() {
    let world = World::new(10);
    let proxy = world.proxy().await;
    let early = proxy.hold_many(1, 20);
    // The ledger has decided, and its answer is on its way.
    pass(3).await;
    world.fake().accounts.get_mut(&ACCOUNT).unwrap().grants[0].pool.capacity = Quantity::from_count(20);
    let late = proxy.hold_many(1, 20);
    assert_eq!(all(early).await.1.len(), 1);
    assert_eq!(all(late).await.0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn limits_are_leased_as_credit_is() {
    let world = World::new(1_000_000);
    let limit = Limit {
        id: LimitId::from_uuid(Uuid::from_u128(1)),
        scope: Scope::Account,
        window: Window::Ever,
        hardness: Hardness::Hard,
        pool: Pool::new(Unit::Requests, Quantity::from_count(5)),
    };
    world.fake().accounts.get_mut(&ACCOUNT).unwrap().limits.push(limit);
    let (one, other) = (world.proxy().await, world.proxy().await);
    let calls = one.hold_many(4, 10).into_iter().chain(other.hold_many(4, 10)).collect();
    let (held, refused) = all(calls).await;
    assert_eq!((held.len(), refused.len()), (5, 3));
    let of_limit = |why: &NoHold| matches!(why, NoHold::Exhausted(why) if why.pool.unit() == Unit::Requests);
    assert!(refused.iter().all(of_limit));
    world.fake().check();
}
