//! Any course of events, on several proxies.

use domain::credit::Hold;
use proptest::prelude::*;

use super::{fake::Mode, *};

const PROXIES: usize = 3;

#[derive(Debug, Clone)]
enum Event {
    Call { proxy: usize, nanos: i64 },
    Settled { call: usize, nanos: i64 },
    Dropped { call: usize },
    Left { call: usize },
    Line { proxy: usize, mode: Mode },
    EpochEnded { proxy: usize },
    Locked(bool),
    Passes { millis: u64 },
}

fn any_event() -> impl Strategy<Value = Event> {
    let mode = prop::sample::select(vec![Mode::Answers, Mode::Answers, Mode::Away, Mode::Hangs, Mode::LosesAnswers, Mode::Slow]);
    prop_oneof![
        12 => (0..PROXIES, 1_i64..30).prop_map(|(proxy, nanos)| Event::Call { proxy, nanos }),
        5 => (0_usize..20, 0_i64..30).prop_map(|(call, nanos)| Event::Settled { call, nanos }),
        2 => (0_usize..20).prop_map(|call| Event::Dropped { call }),
        1 => (0_usize..20).prop_map(|call| Event::Left { call }),
        3 => (0..PROXIES, mode).prop_map(|(proxy, mode)| Event::Line { proxy, mode }),
        1 => (0..PROXIES).prop_map(|proxy| Event::EpochEnded { proxy }),
        1 => any::<bool>().prop_map(Event::Locked),
        8 => prop_oneof![0_u64..5, 0_u64..500, 0_u64..8_000].prop_map(|millis| Event::Passes { millis }),
    ]
}

#[derive(Default)]
struct Calls {
    waiting: Vec<JoinHandle<Result<Held, NoHold>>>,
    running: Vec<Held>,
}

impl Calls {
    /// Those that were admitted meanwhile run.
    async fn hear(&mut self) {
        let (over, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(JoinHandle::is_finished);
        self.waiting = waiting;
        self.running.extend(all(over).await.0);
    }

    fn take(&mut self, which: usize) -> Option<Held> {
        (!self.running.is_empty()).then(|| self.running.swap_remove(which % self.running.len()))
    }

    /// What running calls hold is leased to their epoch, as long as that goes on.
    fn check(&self, world: &World) {
        let fake = world.fake();
        fake.check();
        for epoch in &fake.epochs {
            let of_epoch = self.running.iter().filter(|held| held.epoch() == *epoch);
            let held: i64 = of_epoch.flat_map(|held| &held.split().payment).map(|hold: &Hold| hold.quantity.get()).sum();
            let account = &fake.accounts[&ACCOUNT];
            let leased = account.leases.get(epoch).map_or(0, |row| row.of(account.grants[0].pool_ref()).get());
            assert!(held <= leased, "{held} are held of {leased}");
        }
    }
}

async fn happen(event: Event, world: &World, proxies: &[Proxy], calls: &mut Calls) {
    match event {
        Event::Call { proxy, nanos } => calls.waiting.push(proxies[proxy].spawn_hold(wanted(nanos))),
        Event::Settled { call, nanos } => {
            if let Some(held) = calls.take(call) {
                settle_and_post(world, held, nanos);
            }
        }
        Event::Dropped { call } => drop(calls.take(call)),
        Event::Left { call } => {
            if !calls.waiting.is_empty() {
                let call = calls.waiting.swap_remove(call % calls.waiting.len());
                call.abort();
                drop(call.await);
            }
        }
        Event::Line { proxy, mode } => proxies[proxy].line.set(mode),
        Event::EpochEnded { proxy } => world.fake().end(proxies[proxy].leases.epoch()),
        Event::Locked(is_locked) => world.fake().accounts.get_mut(&ACCOUNT).unwrap().is_locked = is_locked,
        Event::Passes { millis } => pass(millis).await,
    }
}

/// Everything answers again, and every call ends: then nothing is leased, and nobody believes to have anything.
async fn rest(world: &World, proxies: &[Proxy], mut calls: Calls) {
    world.fake().accounts.get_mut(&ACCOUNT).unwrap().is_locked = false;
    proxies.iter().for_each(|proxy| proxy.line.set(Mode::Answers));
    pass(15_000).await;
    calls.hear().await;
    assert!(calls.waiting.is_empty(), "a call waits forever");
    calls.check(world);
    calls.running.clear();
    pass(15_000).await;
    assert_eq!(proxies.iter().map(Proxy::money).collect::<Vec<_>>(), [(0, 0); PROXIES]);
    let epochs: Vec<_> = proxies.iter().map(|proxy| proxy.leases.epoch()).collect();
    let fake = world.fake();
    let leases = &fake.accounts[&ACCOUNT].leases;
    let left: Vec<_> = leases.iter().filter(|(epoch, row)| epochs.contains(epoch) && !row.slices.is_empty()).collect();
    assert!(left.is_empty(), "{left:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_there_is_no_more_than_there_is(events in prop::collection::vec(any_event(), 1..80), capacity in 0_i64..400) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new(capacity);
            let proxies = [world.proxy().await, world.proxy().await, world.proxy().await];
            let mut calls = Calls::default();
            for event in events {
                happen(event, &world, &proxies, &mut calls).await;
                calls.hear().await;
                calls.check(&world);
            }
            rest(&world, &proxies, calls).await;
        });
    }
}
