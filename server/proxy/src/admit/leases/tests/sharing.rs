//! Several proxies, and an account that has little.

use super::*;

#[tokio::test(start_paused = true)]
async fn of_two_hundred_calls_on_three_proxies_just_those_are_admitted_that_there_is_credit_for() {
    let (world, start) = (World::new(100), Instant::now());
    let proxies = [world.proxy().await, world.proxy().await, world.proxy().await];
    let calls: Vec<_> = proxies.iter().zip([67, 67, 66]).flat_map(|(proxy, many)| proxy.hold_many(many, 10)).collect();
    let (held, refused) = all(calls).await;
    assert_eq!((held.len(), refused.len()), (10, 190));
    assert!(refused.iter().all(|why| matches!(why, NoHold::Exhausted(_))));
    assert!(start.elapsed() < Duration::from_millis(1_100), "{:?}", start.elapsed());
    assert!(world.said() < 100, "{}", world.said());
    world.fake().check();
}

#[tokio::test(start_paused = true)]
async fn what_another_proxy_has_idle_lets_a_call_in() {
    let world = World::new(100);
    let (one, other) = (world.proxy().await, world.proxy().await);
    drop(one.hold(100).await.unwrap());
    let (held, took) = timed(other.hold(100)).await;
    assert!(held.is_ok() && took < Duration::from_millis(600), "{took:?}");
    assert_eq!((one.money(), other.money(), world.leased()), ((0, 0), (0, 100), 100));
    assert_eq!(world.fake().notices.len(), 1, "it was said once");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_elsewhere_is_waited_for_a_second_and_then_the_call_is_refused() {
    let world = World::new(100);
    let (one, other) = (world.proxy().await, world.proxy().await);
    let _held = one.hold(100).await.unwrap();
    let (refused, took) = timed(other.hold(100)).await;
    let Err(NoHold::Exhausted(exhausted)) = refused else { panic!("it was not refused") };
    assert!(exhausted.may_pass());
    assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(1_100), "{took:?}");
    assert!(world.said() < 10, "{}", world.said());
}

#[tokio::test(start_paused = true)]
async fn of_proxies_that_have_a_little_each_one_gets_enough() {
    let world = World::new(100);
    let proxies = [world.proxy().await, world.proxy().await];
    let both = (proxies[0].hold(50).await.unwrap(), proxies[1].hold(50).await.unwrap());
    drop(both);
    assert_eq!((proxies[0].money(), proxies[1].money()), ((50, 0), (50, 0)));
    let calls: Vec<_> = proxies.iter().flat_map(|proxy| proxy.hold_many(1, 100)).collect();
    let (held, refused) = all(calls).await;
    assert_eq!((held.len(), refused.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_has_changed_is_heard_once_and_asked_for_before_the_next_call() {
    let world = World::new(1_000);
    let (one, other) = (world.proxy().await, world.proxy().await);
    let _held = one.hold(10).await.unwrap();
    let asked = world.said();
    drop(one.hold(1).await.unwrap());
    assert_eq!(world.said(), asked, "there is room");
    let said = (ACCOUNT, one.line.clock());
    world.fake().notices.push(said);
    world.fake().changed.push(said);
    pass(300).await;
    let asked = world.said();
    drop(one.hold(1).await.unwrap());
    assert_eq!(world.said(), asked + 1);
    pass(30_000).await;
    for proxy in [one, other] {
        assert_eq!(*proxy.heard.lock().unwrap(), [ACCOUNT]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recall_leaves_what_calls_hold() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    let _held = proxy.hold(10).await.unwrap();
    assert_eq!(proxy.money(), (10, 10));
    proxy.leases.recall(&[ACCOUNT]);
    assert_eq!(proxy.money(), (0, 10), "at once");
    pass(10).await;
    assert_eq!(world.leased(), 10);
}

/// Threads that are really at work at once, by a clock that is.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_hold_and_settle_at_once_use_no_more_than_there_is() {
    let world = Arc::new(World::new(20_000));
    let proxies = [Arc::new(world.proxy().await), Arc::new(world.proxy().await)];
    let tasks = TaskTracker::new();
    let calls = (0_i64..16).map(|task| {
        let (world, proxy) = (Arc::clone(&world), Arc::clone(&proxies[usize::from(task % 2 == 0)]));
        tasks.spawn(async move {
            let mut used = 0;
            for call in 0..200 {
                let Ok(held) = proxy.hold(10).await else { break };
                let nanos = (task + call) % 11;
                tokio::task::yield_now().await;
                match nanos {
                    0 => drop(held),
                    _ => settle_and_post(&world, held, nanos),
                }
                used += nanos;
            }
            used
        })
    });
    let mut used = 0;
    for task in calls.collect::<Vec<_>>() {
        used += task.await.unwrap();
    }
    let fake = world.fake();
    fake.check();
    let pool = fake.accounts[&ACCOUNT].grants[0].pool;
    assert_eq!((pool.used.get(), used > 10_000), (used, true));
    let free: i64 = proxies.iter().map(|proxy| proxy.money().0).sum();
    assert!(free <= pool.leased.get(), "{free} of {pool:?}");
}
