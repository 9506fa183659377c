//! A ledger that hangs, fails, loses answers, and accounts that are locked.

use ledger::Wait;

use super::{fake::Mode, *};

#[tokio::test(start_paused = true)]
async fn a_change_whose_answer_was_lost_is_said_again_and_gives_nothing_twice() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    proxy.line.set(Mode::LosesAnswers);
    let call = proxy.spawn_hold(wanted(10));
    pass(100).await;
    proxy.line.set(Mode::Answers);
    let _held = call.await.unwrap().unwrap();
    let said = world.fake().said.clone();
    assert_eq!((said.len(), said[0]), (2, said[1]), "the same number");
    assert_eq!((world.leased(), proxy.money()), (20, (10, 10)));
}

#[tokio::test(start_paused = true)]
async fn calls_within_what_is_leased_go_on_without_the_ledger_and_all_others_are_refused_at_once() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    drop(proxy.hold(10).await.unwrap());
    proxy.line.set(Mode::Away);
    for _ in 0..25 {
        assert!(proxy.hold(10).await.is_ok());
        let (refused, took) = timed(proxy.hold(500)).await;
        assert_eq!(refused.err(), Some(NoHold::Unavailable));
        assert!(took < Duration::from_millis(10), "{took:?}");
        pass(1_000).await;
    }
    assert!(proxy.leases.is_on());
    pass(5_000).await;
    assert!(!proxy.leases.is_on());
    let (refused, took) = timed(proxy.hold(10)).await;
    assert_eq!((refused.err(), took), (Some(NoHold::Unavailable), Duration::ZERO));
    proxy.line.set(Mode::Answers);
    pass(2_100).await;
    assert!(proxy.leases.is_on() && proxy.hold(500).await.is_ok(), "it goes on by itself");
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_hangs_is_away_after_a_second_and_nobody_waits_for_it_any_more() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    proxy.line.set(Mode::Hangs);
    let (refused, took) = timed(proxy.hold(10)).await;
    assert_eq!(refused.err(), Some(NoHold::Unavailable));
    assert!(took <= Duration::from_millis(1_300), "{took:?}");
    let (refused, took) = timed(proxy.hold(10)).await;
    assert_eq!((refused.err(), took), (Some(NoHold::Unavailable), Duration::ZERO));
    proxy.line.set(Mode::Answers);
    pass(5_000).await;
    assert!(!world.fake().said.is_empty(), "what was asked for is asked for until there is an answer");
    pass(3_000).await;
    assert_eq!(world.leased(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_locked_keeps_nobody_elses_calls_waiting() {
    let world = World::new(1_000);
    let other = AccountId::from_uuid(Uuid::from_u128(2));
    world.open(other, 1_000);
    world.fake().accounts.get_mut(&ACCOUNT).unwrap().is_locked = true;
    let proxy = world.proxy().await;
    let locked = proxy.spawn_hold(wanted(10));
    let (held, took) = timed(proxy.leases.hold(other, &wanted(10))).await;
    assert!(held.is_ok() && took < Duration::from_millis(5), "{took:?}");
    assert_eq!(locked.await.unwrap().err(), Some(NoHold::Unavailable));
    assert_eq!(world.fake().batches.last(), Some(&(1, Wait::Yes)), "it is waited for alone");
    world.fake().accounts.get_mut(&ACCOUNT).unwrap().is_locked = false;
    pass(1_100).await;
    assert!(proxy.hold(10).await.is_ok());
    assert!(!proxy.leases.trouble.is_on(), "the ledger was never away");
}

#[tokio::test(start_paused = true)]
async fn what_many_accounts_want_at_once_goes_in_a_few_requests() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    let ids: Vec<_> = (10..1_010).map(|id| AccountId::from_uuid(Uuid::from_u128(id))).collect();
    let calls = ids.iter().map(|id| {
        world.open(*id, 1_000);
        let (leases, id) = (Arc::clone(&proxy.leases), *id);
        proxy.leases.options.background.spawn(async move { leases.hold(id, &wanted(10)).await })
    });
    let calls: Vec<_> = calls.collect();
    assert_eq!(all(calls).await.0.len(), 1_000);
    let batches: Vec<_> = world.fake().batches.iter().map(|(many, _)| *many).collect();
    assert!(batches.len() <= 5 && batches.iter().all(|many| *many <= 256), "{batches:?}");
    assert_eq!(world.said(), 1_000, "each account's once");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_gathers() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    let ids: Vec<_> = (10..60).map(|id| AccountId::from_uuid(Uuid::from_u128(id))).collect();
    let use_up = async |ids: &[AccountId]| {
        for id in ids {
            let held = proxy.leases.hold(*id, &wanted(10)).await.unwrap();
            let charge = settle(held.split(), demand(10), Strictness::Strict);
            held.settle(&charge);
        }
    };
    ids.iter().for_each(|id| world.open(*id, 1_000));
    use_up(&ids).await;
    pass(300).await;
    let asked = world.fake().batches.len();
    use_up(&ids[..1]).await;
    pass(10).await;
    use_up(&ids[1..]).await;
    pass(15).await;
    assert_eq!(world.fake().batches[asked..], [(50, Wait::No)], "each had one call's more, which it used up");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_fails_by_itself_takes_no_other_with_it() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    world.fake().accounts.get_mut(&ACCOUNT).unwrap().is_corrupt = true;
    let other = AccountId::from_uuid(Uuid::from_u128(2));
    world.open(other, 1_000);
    // Four batches are on their way, so that both accounts are in the one that follows.
    proxy.line.set(Mode::Hangs);
    let others = (10..14).map(|id| AccountId::from_uuid(Uuid::from_u128(id)));
    for id in others {
        world.open(id, 1_000);
        let leases = Arc::clone(&proxy.leases);
        proxy.leases.options.background.spawn(async move { leases.hold(id, &wanted(10)).await });
        pass(2).await;
    }
    proxy.line.set(Mode::Answers);
    let leases = Arc::clone(&proxy.leases);
    let good = proxy.leases.options.background.spawn(async move { leases.hold(other, &wanted(10)).await });
    let (refused, took) = timed(proxy.hold(10)).await;
    assert_eq!(refused.err(), Some(NoHold::Unavailable));
    assert!(good.await.unwrap().is_ok() && took < LEASE_TIMEOUT, "{took:?}");
    assert!(world.fake().batches.iter().any(|(many, _)| *many > 1), "they were sent together");
    world.fake().accounts.get_mut(&ACCOUNT).unwrap().is_corrupt = false;
    pass(1_100).await;
    assert!(proxy.hold(10).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_is_given_what_it_cannot_use_does_not_ask_without_end() {
    let world = World::new(1_000);
    let proxy = world.proxy().await;
    world.fake().accounts.get_mut(&ACCOUNT).unwrap().is_contrary = true;
    assert_eq!(proxy.hold(10).await.err(), Some(NoHold::Unavailable));
    assert!(world.said() < 40, "{}", world.said());
}
