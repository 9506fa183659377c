//! Epochs that end, and clocks that nobody can rely on.

use std::sync::atomic::Ordering;

use domain::credit::release;

use super::{fake::Mode, *};

impl Proxy {
    /// Somebody sets this machine's clock.
    fn set_clock(&self, seconds: i64) {
        self.line.set_by.store(seconds * 1_000, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn when_an_epoch_is_over_another_begins_and_calls_of_the_old_one_leave_its_slices_alone() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    let (old, epoch) = (proxy.hold(10).await.unwrap(), proxy.leases.epoch());
    let dropped = proxy.hold(10).await.unwrap();
    world.fake().end(epoch);
    let (new, took) = timed(proxy.hold(10)).await;
    let new = new.unwrap();
    assert!(took < Duration::from_millis(50), "whoever asks hears of it, and asks anew: {took:?}");
    assert_ne!(proxy.leases.epoch(), epoch);
    assert_eq!((old.epoch(), new.epoch()), (epoch, proxy.leases.epoch()));
    let before = proxy.money();
    let charge = release(old.split());
    old.settle(&charge);
    drop(dropped);
    assert_eq!(proxy.money(), before);
    assert_eq!(world.leased(), before.0 + before.1);
}

#[tokio::test(start_paused = true)]
async fn an_epoch_that_is_found_over_when_it_is_renewed_gives_way_to_another() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    drop(proxy.hold(10).await.unwrap());
    let epoch = proxy.leases.epoch();
    world.fake().end(epoch);
    pass(5_100).await;
    assert!(proxy.leases.epoch() != epoch && proxy.leases.is_on());
    assert_eq!(proxy.money(), (0, 0));
    assert!(proxy.hold(10).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_went_back_to_an_older_copy_ends_the_epoch_with_the_next_ask() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    drop(proxy.hold(10).await.unwrap());
    let (epoch, older) = (proxy.leases.epoch(), world.fake().accounts.clone());
    pass(5_000).await;
    assert_eq!(world.leased(), 0, "what was idle has gone back");
    world.fake().accounts = older;
    assert!(proxy.hold(10).await.is_ok());
    assert_ne!(proxy.leases.epoch(), epoch, "else what went back would be leased for as long as it lives");
}

#[tokio::test(start_paused = true)]
async fn an_epoch_is_renewed_for_as_long_as_the_ledger_answers() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    let epoch = proxy.leases.epoch();
    for _ in 0..100 {
        pass(1_000).await;
        assert!(proxy.leases.is_on());
    }
    assert_eq!(proxy.leases.epoch(), epoch);
    proxy.line.set(Mode::Hangs);
    pass(22_500).await;
    assert!(proxy.leases.is_on());
    pass(6_000).await;
    assert!(!proxy.leases.is_on(), "before the thirty seconds are over");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_stood_still_admits_nothing_before_it_has_renewed() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    drop(proxy.hold(10).await.unwrap());
    proxy.set_clock(40);
    assert!(!proxy.leases.is_on());
    let (held, took) = timed(proxy.hold(10)).await;
    assert!(held.is_ok() && took > Duration::ZERO && took < Duration::from_millis(50), "it renews first: {took:?}");
    assert!(proxy.leases.is_on());
    proxy.set_clock(80);
    proxy.line.set(Mode::Away);
    let (refused, took) = timed(proxy.hold(10)).await;
    assert_eq!(refused.err(), Some(NoHold::Unavailable));
    assert!(took < Duration::from_millis(50), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_to_an_epoch_that_is_over_is_nothing_to_the_next() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    proxy.line.set(Mode::Slow);
    let first = proxy.spawn_hold(wanted(10));
    pass(10).await;
    proxy.line.set(Mode::Answers);
    world.fake().end(proxy.leases.epoch());
    proxy.set_clock(40);
    let calls = all(vec![first, proxy.spawn_hold(wanted(10))]).await;
    assert_eq!((calls.0.len(), proxy.money().1), (2, 20));
    assert_eq!(world.leased(), proxy.money().0 + proxy.money().1);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_makes_no_epoch_longer() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    proxy.line.set(Mode::Away);
    proxy.set_clock(-3_600);
    pass(27_900).await;
    assert!(proxy.leases.is_on());
    pass(200).await;
    assert!(!proxy.leases.is_on());
}

#[tokio::test(start_paused = true)]
async fn the_time_that_counts_is_the_ledgers() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    proxy.set_clock(-20);
    let (held, took) = timed(proxy.hold(10)).await;
    assert!(held.is_ok() && took < Duration::from_millis(50), "each answer says what time it is: {took:?}");
    let off = proxy.leases.clock.now().ledger - proxy.line.clock();
    assert!(off.abs() < chrono::TimeDelta::milliseconds(5), "{off}");
}
