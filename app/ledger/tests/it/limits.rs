//! What bounds an account and its keys, whatever calls at once.

use chrono::TimeDelta;
use domain::{
    credit::{Exhausted, Hardness, LimitState, Quantity, Refuser, Scope, ScopeKind, Unit, Window},
    id::{LimitId, ProjectId},
    money::Amount,
    tokens::Tokens,
};
use futures_util::future::join_all;
use ledger::{Admitted, Error, NewLimit};
use sqlx::PgPool;

use crate::world::{Customer, World, amount, with};

fn limit(world: &mut World, scope: Scope, window: Window, unit: Unit, capacity: i64) -> NewLimit {
    let id = LimitId::new(world.now, world.random());
    NewLimit { id, scope, window, unit, hardness: Hardness::Hard, capacity: Quantity::from_count(capacity) }
}

async fn set(world: &World, customer: Customer, new: &NewLimit) -> LimitId {
    world.ledger.owner(customer.user).await.unwrap().set_limit(new).await.unwrap()
}

async fn limits(world: &World, customer: Customer) -> Vec<LimitState> {
    world.ledger.reader(customer.user).await.unwrap().limits(world.now).await.unwrap()
}

/// Used, held and left of the account's only limit.
async fn figures(world: &World, customer: Customer) -> (i64, i64, i64) {
    let states = limits(world, customer).await;
    let [LimitState { limit, .. }] = &states[..] else { panic!("{states:?}") };
    (limit.pool.used.get(), limit.pool.leased.get(), limit.pool.room().get())
}

/// A call that may cost 0.5 and take 1,000 tokens.
fn intent(world: &World, customer: Customer) -> Admitted {
    with(world.intent(customer, "0.5"), |call| call.tokens_held = Tokens::from_sum(1_000))
}

fn exhausted<T: std::fmt::Debug>(refused: Result<T, Error>) -> Exhausted {
    match refused {
        Err(Error::Exhausted(exhausted)) => *exhausted,
        other => panic!("{other:?}"),
    }
}

/// On what is left for ten, forty at once by three proxies: ten run, whatever is counted and of whom.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn no_limit_is_passed_at_any_concurrency(pool: PgPool) {
    let mut world = World::new(pool).await;
    let proxies = join_all((0..3).map(|_| world.proxy())).await;
    for (place, (unit, capacity)) in [(Unit::Money, 5_400_000_000), (Unit::Tokens, 10_999), (Unit::Requests, 10)].into_iter().enumerate() {
        for kind in [ScopeKind::Account, ScopeKind::Project, ScopeKind::Member, ScopeKind::Key, ScopeKind::Run] {
            for window in [Window::Minute, Window::Month] {
                let ada = world.customer(&format!("ada-{place}-{}-{}", kind.name(), window.name()), "1000").await;
                let scope = match kind {
                    ScopeKind::Account => Scope::Account,
                    ScopeKind::Project => Scope::Project(ProjectId::first_of(ada.account)),
                    ScopeKind::Member => Scope::Member(ada.user),
                    ScopeKind::Key => Scope::Key(ada.key),
                    ScopeKind::Run => Scope::Run("nightly".parse().unwrap()),
                };
                let new = limit(&mut world, scope, window, unit, capacity);
                set(&world, ada, &new).await;
                let of_run = |call: &mut Admitted| call.attribution.session = "nightly".parse().ok();
                let intents: Vec<_> = (0..40).map(|_| with(intent(&world, ada), of_run)).collect();
                let answers = join_all(intents.iter().zip(proxies.iter().cycle()).map(|(call, proxy)| world.lease_by(proxy, call))).await;
                let admitted: Vec<_> =
                    intents.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()).map(|(intent, _)| intent).collect();
                assert_eq!(admitted.len(), 10, "{unit:?} {kind:?} {window:?}");
                let refused = exhausted(answers.into_iter().find(Result::is_err).unwrap());
                assert!(matches!(refused.pool, Refuser::Limit { unit: of, .. } if of == unit), "{refused:?}");

                // They end at half of what they held, and what they did not use is there again.
                let ended: Vec<_> = admitted.iter().map(|intent| world.settle(intent, ada, 250, 125)).collect();
                world.post(&ended).await.unwrap();
                let (used, leased, _) = figures(&world, ada).await;
                let expected = match unit {
                    Unit::Money => 10 * ended[0].amount.nanos(),
                    Unit::Tokens => 10 * 375,
                    Unit::Requests => 10,
                };
                assert_eq!((used, leased), (expected, 0), "{unit:?} {kind:?} {window:?}");
            }
        }
    }
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_belongs_to_the_window_in_which_it_began(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let new = limit(&mut world, Scope::Account, Window::Minute, Unit::Requests, 1);
    set(&world, ada, &new).await;
    let first = intent(&world, ada);
    world.lease(&first).await.unwrap();
    let second = intent(&world, ada);
    let refused = exhausted(world.lease(&second).await);
    assert_eq!((refused.needed.get(), refused.available.get()), (1, 0));
    assert_eq!(refused.resets_at, Some(world.now + TimeDelta::minutes(1)));

    world.now += TimeDelta::minutes(1);
    let next = intent(&world, ada);
    world.lease(&next).await.unwrap();
    let ended = [world.settle(&first, ada, 10, 10), world.settle(&next, ada, 10, 10)];
    world.post(&ended).await.unwrap();

    assert_eq!(figures(&world, ada).await, (1, 0, 0), "the first call is of the minute before");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_keys_limit_counts_its_calls_alone_and_the_accounts_counts_all(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let secret = world.secret();
    let new_key = world.new_key(ada, &secret, "other");
    let other = new_key.id;
    world.ledger.member(ada.user).await.unwrap().create_key(new_key).await.unwrap();
    let (of_key, of_all) = (
        limit(&mut world, Scope::Key(ada.key), Window::Month, Unit::Requests, 1),
        limit(&mut world, Scope::Account, Window::Month, Unit::Requests, 2),
    );
    set(&world, ada, &of_key).await;
    set(&world, ada, &of_all).await;
    let meter = world.ledger.meter();

    world.lease(&intent(&world, ada)).await.unwrap();
    let refused = exhausted(world.lease(&intent(&world, ada)).await);
    assert!(matches!(refused.pool, Refuser::Limit { id, .. } if id == of_key.id));
    world.lease(&with(intent(&world, ada), |call| call.key_id = other)).await.unwrap();
    let refused = exhausted(world.lease(&with(intent(&world, ada), |call| call.key_id = other)).await);
    assert!(matches!(refused.pool, Refuser::Limit { id, .. } if id == of_all.id));

    let names: Vec<_> = limits(&world, ada).await.into_iter().map(|state| state.whose).collect();
    assert_eq!(names, [None, Some("first".to_owned())]);
    let other = meter.key(&ledger::keys::digest(&secret)).await.unwrap().unwrap();
    let of_other = meter.limits(&other, world.now).await.unwrap();
    assert_eq!(of_other.iter().map(|state| state.limit.id).collect::<Vec<_>>(), [of_all.id]);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_limit_that_is_set_in_the_middle_of_a_window_knows_what_was_used_in_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let earlier: Vec<_> = [0, 2, 20].into_iter().map(|days| world.call(ada, 1_000, 100, TimeDelta::days(days))).collect();
    world.post(&earlier).await.unwrap();
    world.ledger.system().operator().credit_call(earlier[0].call_id, world.give_back(Some("0.0002"), "back")).await.unwrap();
    for (window, calls) in [(Window::Day, 1), (Window::Month, 2), (Window::Ever, 3), (Window::Minute, 0)] {
        let new = limit(&mut world, Scope::Key(ada.key), window, Unit::Requests, 100);
        set(&world, ada, &new).await;
        let states = limits(&world, ada).await;
        let used = states.iter().find(|state| state.limit.window == window).unwrap().limit.pool.used.get();
        assert_eq!(used, calls, "{window:?}");
    }
    let money = limit(&mut world, Scope::Account, Window::Month, Unit::Money, 1_000_000_000);
    set(&world, ada, &money).await;
    let (spent, back) = (earlier[0].amount.nanos() + earlier[1].amount.nanos(), amount("0.0002").nanos());
    let of_money = limits(&world, ada).await.into_iter().find(|state| state.limit.pool.unit == Unit::Money).unwrap();
    assert_eq!(of_money.limit.pool.used.get(), spent - back);
    let later = world.call(ada, 1_000, 100, TimeDelta::zero());
    world.post(&[later]).await.unwrap();
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_limit_is_set_anew_lowered_below_its_use_and_removed_while_calls_run(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let new = limit(&mut world, Scope::Account, Window::Day, Unit::Requests, 3);
    let id = set(&world, ada, &new).await;
    let running: Vec<_> = (0..2).map(|_| intent(&world, ada)).collect();
    for intent in &running {
        world.lease(intent).await.unwrap();
    }
    let lower = limit(&mut world, Scope::Account, Window::Day, Unit::Requests, 1);
    assert_eq!(set(&world, ada, &lower).await, id, "it is the same one");
    assert_eq!(figures(&world, ada).await, (0, 2, 0));
    let refused = exhausted(world.lease(&intent(&world, ada)).await);
    assert_eq!(refused.available.get(), 0);
    let ended = world.settle(&running[0], ada, 10, 10);
    world.post(&[ended]).await.unwrap();
    world.assert_proven().await;

    let member = world.ledger.owner(ada.user).await.unwrap();
    member.remove_limit(id).await.unwrap();
    member.remove_limit(id).await.unwrap();
    assert_eq!(limits(&world, ada).await, []);
    let beside = intent(&world, ada);
    world.lease(&beside).await.unwrap();
    let ended = world.settle(&running[1], ada, 10, 10);
    world.post(&[ended]).await.unwrap();
    let held: i64 = sqlx::query_scalar("select leased from limit_windows").fetch_one(&world.pool).await.unwrap();
    assert_eq!(held, 0, "what running calls held of it is free");
    world.assert_proven().await;

    // One of its kind may be set again, and knows what was used.
    let again = limit(&mut world, Scope::Account, Window::Day, Unit::Requests, 9);
    assert_ne!(set(&world, ada, &again).await, id);
    assert_eq!(figures(&world, ada).await, (2, 0, 7), "and not yet of what runs");
    let ended = world.settle(&beside, ada, 10, 10);
    world.post(&[ended]).await.unwrap();
    assert_eq!(figures(&world, ada).await, (3, 0, 6));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_soft_limit_counts_and_refuses_nobody(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let soft = NewLimit { hardness: Hardness::Soft, ..limit(&mut world, Scope::Account, Window::Day, Unit::Requests, 1) };
    set(&world, ada, &soft).await;
    let calls: Vec<_> = (0..3).map(|_| intent(&world, ada)).collect();
    for call in &calls {
        world.lease(call).await.unwrap();
    }
    assert_eq!(figures(&world, ada).await, (0, 0, 1), "nothing is leased of what refuses nobody");
    world.assert_proven().await;
    let ended: Vec<_> = calls.iter().map(|call| world.settle(call, ada, 10, 10)).collect();
    world.post(&ended).await.unwrap();
    assert_eq!(figures(&world, ada).await, (3, 0, 0));
    world.assert_proven().await;
}

/// It costs nothing, and is a request of so many tokens all the same. What an upstream reports beyond what was held for it uses up nobody's limit.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_free_call_counts_and_a_false_report_does_not(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let new = limit(&mut world, Scope::Account, Window::Day, Unit::Tokens, 1_500);
    set(&world, ada, &new).await;
    let free = with(intent(&world, ada), |call| call.held = Amount::ZERO);
    world.lease(&free).await.unwrap();
    let second = with(intent(&world, ada), |call| call.held = Amount::ZERO);
    assert_eq!(exhausted(world.lease(&second).await).available.get(), 500);
    let ended = world.settle(&free, ada, 900_000, 900_000);
    assert_eq!(ended.amount, Amount::ZERO);
    world.post(&[ended]).await.unwrap();
    assert_eq!(figures(&world, ada).await, (1_000, 0, 500));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_that_was_never_forwarded_uses_nothing_of_any_limit(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let new = limit(&mut world, Scope::Key(ada.key), Window::Day, Unit::Money, 1_000_000_000);
    set(&world, ada, &new).await;
    let held = intent(&world, ada);
    world.lease(&held).await.unwrap();
    assert_eq!(figures(&world, ada).await, (0, 500_000_000, 500_000_000));
    world.release(&held).await.unwrap();
    assert_eq!(figures(&world, ada).await, (0, 0, 1_000_000_000));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_limit_that_cannot_be_is_refused(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "1").await, world.customer("bob", "1").await);
    let member = world.ledger.owner(ada.user).await.unwrap();
    let below = limit(&mut world, Scope::Account, Window::Day, Unit::Money, -1);
    assert!(matches!(member.set_limit(&below).await, Err(Error::Invalid { field: "capacity", .. })));
    let of_bobs_key = limit(&mut world, Scope::Key(bob.key), Window::Day, Unit::Money, 1);
    assert!(matches!(member.set_limit(&of_bobs_key).await, Err(Error::NotFound)));
    let of_bob = limit(&mut world, Scope::Account, Window::Day, Unit::Money, 1);
    set(&world, bob, &of_bob).await;
    assert!(matches!(member.remove_limit(of_bob.id).await, Err(Error::NotFound)), "it is another's");
    assert_eq!(limits(&world, ada).await, []);
    world.assert_proven().await;
}

/// An operator's limit is not the account's to change, and one of all keys not that of whoever may only make keys.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_limit_is_changed_only_by_whoever_may(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let operator = world.ledger.system().operator();
    let by_operator = limit(&mut world, Scope::Account, Window::Month, Unit::Requests, 1);
    operator.set_limit(ada.account, &by_operator).await.unwrap();
    let (owner, member) = (world.ledger.owner(ada.user).await.unwrap(), world.ledger.member(ada.user).await.unwrap());
    assert!(matches!(owner.remove_limit(by_operator.id).await, Err(Error::Forbidden)));
    let own = limit(&mut world, Scope::Account, Window::Month, Unit::Requests, 1_000);
    assert!(matches!(member.set_limit(&own).await, Err(Error::Forbidden)));
    assert_eq!(owner.set_limit(&own).await.unwrap(), own.id, "beside the operator's");
    assert!(matches!(member.remove_limit(own.id).await, Err(Error::Forbidden)));
    let of_key = limit(&mut world, Scope::Key(ada.key), Window::Month, Unit::Requests, 5);
    member.set_limit(&of_key).await.unwrap();
    member.remove_limit(of_key.id).await.unwrap();

    world.lease(&intent(&world, ada)).await.unwrap();
    let refused = exhausted(world.lease(&intent(&world, ada)).await);
    assert!(matches!(refused.pool, Refuser::Limit { id, .. } if id == by_operator.id), "both bound");
    assert!(refused.may_pass(), "the call that runs may leave it");
    let whose: std::collections::BTreeMap<_, _> =
        limits(&world, ada).await.iter().map(|state| (state.limit.id, state.set_by.name())).collect();
    assert_eq!(whose, [(by_operator.id, "operator"), (own.id, "account")].into());
    operator.remove_limit(ada.account, own.id).await.unwrap();
    operator.remove_limit(ada.account, by_operator.id).await.unwrap();
    world.assert_proven().await;
}

/// Proxies hold calls in memory: what they come to is known when they end.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_new_limit_counts_what_runs_as_it_ends(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let running = intent(&world, ada);
    world.lease(&running).await.unwrap();
    for unit in Unit::ALL {
        let new = limit(&mut world, Scope::Key(ada.key), Window::Day, unit, 1_000_000_000);
        set(&world, ada, &new).await;
    }
    let held: Vec<_> = limits(&world, ada).await.iter().map(|state| (state.limit.pool.unit, state.limit.pool.leased.get())).collect();
    assert_eq!(held, [(Unit::Money, 0), (Unit::Tokens, 0), (Unit::Requests, 0)]);
    world.assert_proven().await;
    let ended = world.settle(&running, ada, 250, 125);
    world.post(&[ended]).await.unwrap();
    let used: Vec<_> = limits(&world, ada).await.iter().map(|state| (state.limit.pool.used.get(), state.limit.pool.leased.get())).collect();
    assert_eq!(used, [(500_000, 0), (375, 0), (1, 0)]);
    world.assert_proven().await;
}

/// What is corrected of a call is corrected in its window.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn late_usage_counts_and_what_is_given_back_does_not(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let new = limit(&mut world, Scope::Account, Window::Month, Unit::Money, 1_000_000_000);
    set(&world, ada, &new).await;
    let dead = world.intent(ada, "0.5");
    world.lease(&dead).await.unwrap();
    for settlement in [world.interrupt(&dead, ada), world.settle(&dead, ada, 100_000, 0)] {
        world.post(&[settlement]).await.unwrap();
    }
    assert_eq!(figures(&world, ada).await, (100_000_000, 0, 900_000_000));
    world.ledger.system().operator().credit_call(dead.call_id, world.give_back(Some("0.04"), "back")).await.unwrap();
    assert_eq!(figures(&world, ada).await, (60_000_000, 0, 940_000_000));
    world.assert_proven().await;
}
