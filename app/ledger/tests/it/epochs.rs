//! The lives of proxies: how they begin, go on and end, and how all goes back that they had.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    id::{AccountId, EpochId},
    lease::Change,
    money::Amount,
    proxies::{Report, Standing},
};
use ledger::{Error, MoneyIn, NewEpoch, SettledCall, Wait};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::task::yield_now;
use uuid::Uuid;

use crate::{
    leases::slices,
    world::{PROXY, Proxy, World, amount, ask, give_back_all, with},
};

/// What has not come to an end by then hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// Returns as soon as so many others wait for a lock in this database.
async fn others_wait(connection: &mut PgConnection, count: i64) {
    let begun = Instant::now();
    loop {
        let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let found: i64 = sqlx::query_scalar(waiting).fetch_one(&mut *connection).await.unwrap();
        if found >= count {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "{found} wait");
        yield_now().await;
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_epoch_begins_once_goes_on_and_ends_for_good(pool: PgPool) {
    let world = World::new(pool).await;
    let meter = world.ledger.meter();
    let new = NewEpoch {
        id: EpochId::new(world.now, [7; 10]),
        proxy: Uuid::from_u128(8),
        spool_since: world.now,
        lasts: TimeDelta::seconds(30),
        longest: TimeDelta::hours(1),
    };
    let clock = meter.begin_epoch(&new).await.unwrap();
    meter.begin_epoch(&NewEpoch { lasts: TimeDelta::hours(9), ..new }).await.unwrap();
    let [epoch] = meter.epochs(Some(new.proxy)).await.unwrap()[..] else { panic!("one epoch") };
    assert_eq!((epoch.id, epoch.proxy, epoch.spool_since, epoch.is_over), (new.id, new.proxy, new.spool_since, false));
    assert!((epoch.expires_at - clock - new.lasts).abs() < TimeDelta::seconds(20), "beginning it again changes nothing: {epoch:?}");
    assert_eq!(meter.epochs(Some(PROXY)).await.unwrap().iter().map(|epoch| epoch.id).collect::<Vec<_>>(), [world.proxy.epoch]);
    assert_eq!(meter.epochs(None).await.unwrap().len(), 2);

    let report = Report { running: 3, unposted: 2, unposted_since: Some(world.now) };
    let renewed = meter.renew_epoch(new.id, TimeDelta::hours(1), &report).await.unwrap();
    let expires = meter.epochs(Some(new.proxy)).await.unwrap()[0].expires_at;
    assert!((expires - renewed - TimeDelta::hours(1)).abs() < TimeDelta::seconds(20));

    let ending = meter.end_epoch(new.id).await.unwrap();
    assert!(meter.epochs(Some(new.proxy)).await.unwrap()[0].is_over);
    assert!(matches!(meter.begin_epoch(&new).await, Err(Error::EpochOver)));
    for round in 0..2 {
        assert!(matches!(meter.renew_epoch(new.id, new.lasts, &Report::default()).await, Err(Error::EpochOver)), "{round}");
        assert!(matches!(meter.announce(new.id, &[]).await, Err(Error::EpochOver)), "{round}");
        give_back_all(&ending).await;
        assert_eq!(meter.epochs(Some(new.proxy)).await.unwrap(), []);
    }
    // It is nobody's any more.
    give_back_all(&meter.end_epoch(new.id).await.unwrap()).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn ending_waits_for_a_change_that_is_being_applied_and_a_renewal_does_not(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let call = world.intent(ada, "0.1");
    let (meter, epoch) = (world.ledger.meter(), world.proxy.epoch);
    let mut watch = PgConnection::connect_with(&world.pool.connect_options()).await.unwrap();
    // As a change has it until it is committed.
    let mut change = world.pool.begin().await.unwrap();
    let lock = "select from epochs where epoch_id = $1 and over_at is null for key share";
    sqlx::query(lock).bind(epoch.uuid()).execute(&mut *change).await.unwrap();

    meter.renew_epoch(epoch, TimeDelta::seconds(30), &Report::default()).await.unwrap();
    world.lease(&call).await.unwrap();
    let ending = tokio::join!(meter.end_epoch(epoch), async {
        others_wait(&mut watch, 1).await;
        let over: bool = sqlx::query_scalar("select over_at is not null from epochs where epoch_id = $1")
            .bind(epoch.uuid())
            .fetch_one(&mut watch)
            .await
            .unwrap();
        assert!(!over);
        change.commit().await.unwrap();
    })
    .0
    .unwrap();

    assert!(matches!(world.release(&call).await, Err(Error::EpochOver)));
    give_back_all(&ending).await;
    world.assert_proven().await;
}

/// It has not looked at its epoch yet, because somebody has the account's books.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_change_that_waits_for_an_account_while_its_epoch_ends_changes_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let call = world.intent(ada, "0.1");
    let mut watch = PgConnection::connect_with(&world.pool.connect_options()).await.unwrap();
    let mut lock = world.pool.begin().await.unwrap();
    sqlx::query("select from heads where account_id = $1 for update").bind(ada.account.uuid()).execute(&mut *lock).await.unwrap();

    let (changed, ()) = tokio::join!(world.lease(&call), async {
        others_wait(&mut watch, 1).await;
        world.ledger.meter().end_epoch(world.proxy.epoch).await.unwrap();
        lock.rollback().await.unwrap();
    });

    assert!(matches!(changed, Err(Error::EpochOver)), "{changed:?}");
    assert_eq!((slices(&world).await, world.balance(ada).await.reserved), (0, Amount::ZERO));
    world.assert_proven().await;
}

/// So many accounts that have something; people are none of this, and a password's hash takes its time.
async fn accounts(world: &World, count: u32) -> Vec<AccountId> {
    let accounts: Vec<_> = (0..count).map(|_| AccountId::new(world.now, world.random())).collect();
    let ids: Vec<_> = accounts.iter().map(|account| account.uuid()).collect();
    for statement in [
        "insert into accounts (account_id, name, created_at) select id, id::text, $2 from unnest($1::uuid[]) id",
        "insert into projects (account_id, project_id, name, created_at) select id, id, 'Default', $2 from unnest($1::uuid[]) id",
        "insert into heads (account_id, posted_at) select id, $2 from unnest($1::uuid[]) id",
        "insert into grants (account_id, grant_id, kind, unit, starts_at) select id, id, 'wallet', 'money', $2 from unnest($1::uuid[]) id",
    ] {
        sqlx::query(statement).bind(&ids).bind(world.now).execute(&world.pool).await.unwrap();
    }
    for account in &accounts {
        let money = MoneyIn { amount: amount("1"), idempotency_key: "some", memo: "test", actor: "test", now: world.now };
        world.ledger.system().account(*account).top_up(money).await.unwrap();
    }
    accounts
}

/// Leases a tenth of what each of these has.
async fn lease_of_all(world: &World, proxy: &Proxy, accounts: &[AccountId], of: &ledger::Admitted) {
    let change = |account: &AccountId| {
        let call = with(of.clone(), |call| call.account_id = *account);
        (*account, Change { number: 1, heard: 0, returned: vec![], ask: Some(ask(&call)) })
    };
    let changes: Vec<_> = accounts.iter().map(change).collect();
    let changed = world.ledger.meter().change_leases(proxy.epoch, &changes, Wait::Yes).await.unwrap();
    assert_eq!(changed.accounts.len(), accounts.len());
}

/// How many accounts something is leased of.
async fn leased(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from grants where leased > 0").fetch_one(&world.pool).await.unwrap()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn all_that_an_epoch_had_of_many_accounts_goes_back_but_for_what_is_locked(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let accounts = accounts(&world, 120).await;
    let (proxy, other) = (world.proxy().await, world.proxy().await);
    let call = world.intent(ada, "0.1");
    lease_of_all(&world, &proxy, &accounts, &call).await;
    lease_of_all(&world, &other, &accounts[..1], &call).await;
    assert_eq!(leased(&world).await, 120);
    let meter = world.ledger.meter();
    let ending = meter.end_epoch(proxy.epoch).await.unwrap();

    // Of one its books, of another what is written with them.
    let mut lock = world.pool.begin().await.unwrap();
    sqlx::query("select from heads where account_id = $1 for update").bind(accounts[1].uuid()).execute(&mut *lock).await.unwrap();
    sqlx::query("select from grants where account_id = $1 for update").bind(accounts[110].uuid()).execute(&mut *lock).await.unwrap();
    assert!(!ending.give_back().await.unwrap());
    assert_eq!(leased(&world).await, 3, "those two, and what another epoch has");
    assert!(!ending.give_back().await.unwrap());
    world.assert_proven().await;
    assert!(meter.epochs(None).await.unwrap().iter().any(|epoch| epoch.id == proxy.epoch && epoch.is_over), "it is found again");
    lock.rollback().await.unwrap();
    drop(ending);

    // Whoever finds it so, after a crash say, goes on where it was left.
    give_back_all(&meter.end_epoch(proxy.epoch).await.unwrap()).await;
    assert_eq!(leased(&world).await, 1);
    assert!(meter.epochs(None).await.unwrap().iter().all(|epoch| epoch.id != proxy.epoch));
    give_back_all(&meter.end_epoch(other.epoch).await.unwrap()).await;
    assert_eq!((leased(&world).await, slices(&world).await), (0, 0));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn accounts_that_are_locked_keep_no_others_back_however_many_they_are(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let mut accounts = accounts(&world, 105).await;
    accounts.sort();
    let call = world.intent(ada, "0.1");
    lease_of_all(&world, &world.proxy, &accounts, &call).await;
    let ending = world.ledger.meter().end_epoch(world.proxy.epoch).await.unwrap();
    let ids: Vec<_> = accounts[..100].iter().map(|account| account.uuid()).collect();
    let mut lock = world.pool.begin().await.unwrap();
    sqlx::query("select from heads where account_id = any($1) for update").bind(&ids).execute(&mut *lock).await.unwrap();
    assert!(!ending.give_back().await.unwrap());
    assert_eq!(leased(&world).await, 100);
    lock.rollback().await.unwrap();
    give_back_all(&ending).await;
    assert_eq!(leased(&world).await, 0);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn announced_calls_are_found_by_the_end_of_their_epoch_until_they_are_posted(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    world.promo(ada, "0.05").await;
    let (meter, other) = (world.ledger.meter(), world.proxy().await);
    let mut tags = domain::attribution::Tags::default();
    tags.insert("team", "search").unwrap();
    let calls = [0, 1, 2].map(|number| {
        with(world.intent(ada, "0.1"), |call| {
            call.attribution.session = format!("run {number}").parse().ok();
            call.attribution.tags = tags.clone();
        })
    });
    for call in &calls {
        world.lease(call).await.unwrap();
    }
    let of_another = world.intent(ada, "0.1");
    world.lease_by(&other, &of_another).await.unwrap();
    let calls = calls.map(|call| world.holding(&call));
    assert_eq!(calls[0].split.payment.len(), 2, "a promo and the wallet");
    meter.announce(world.proxy.epoch, &calls).await.unwrap();
    meter.announce(world.proxy.epoch, &calls[..2]).await.unwrap();
    meter.announce(other.epoch, &[world.holding(&of_another)]).await.unwrap();

    let settled = world.settle(&calls[1], ada, 1_000, 0);
    assert_eq!(meter.post_calls(&[settled]).await.unwrap().posted, 1);
    // The announcement was on its way while the call ended.
    meter.announce(world.proxy.epoch, &calls[1..2]).await.unwrap();
    let bad = SettledCall { upstream_model: Some("nul\0".to_owned()), ..world.settle(&calls[2], ada, 1_000, 0) };
    assert_eq!(meter.post_calls(&[bad]).await.unwrap().quarantined, [calls[2].call_id]);

    let ending = meter.end_epoch(world.proxy.epoch).await.unwrap();
    let announced = ending.announced().await.unwrap();
    assert_eq!(announced, calls[..1], "whole, and nothing else");
    let assumed = world.interrupt(&announced[0], ada);
    assert_eq!(meter.post_calls(&[assumed]).await.unwrap().posted, 1);
    assert_eq!(ending.announced().await.unwrap(), []);
    give_back_all(&ending).await;
    let left: Vec<Uuid> = sqlx::query_scalar("select call_id from intents").fetch_all(&world.pool).await.unwrap();
    assert_eq!(left, [calls[2].call_id.uuid(), of_another.call_id.uuid()], "in quarantine, and another's");
    let faults = world.proof().await.faults;
    assert_eq!(faults.len(), 1, "what is in quarantine is named: {faults:?}");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_epoch_that_is_over_announces_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let call = world.intent(ada, "0.1");
    world.lease(&call).await.unwrap();
    let meter = world.ledger.meter();
    let ending = meter.end_epoch(world.proxy.epoch).await.unwrap();
    assert!(matches!(meter.announce(world.proxy.epoch, &[world.holding(&call)]).await, Err(Error::EpochOver)));
    let never = EpochId::new(world.now, [9; 10]);
    assert!(matches!(meter.announce(never, &[world.holding(&call)]).await, Err(Error::EpochOver)));
    assert_eq!(ending.announced().await.unwrap(), []);
}

/// An announcement that comes while the posting of its call is not committed.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_announced_of_a_posted_call_is_forgotten_with_its_epoch(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let call = world.intent(ada, "0.1");
    world.lease(&call).await.unwrap();
    let (meter, holding) = (world.ledger.meter(), world.holding(&call));
    meter.announce(world.proxy.epoch, std::slice::from_ref(&holding)).await.unwrap();
    let keep = "create table kept as select * from intents";
    sqlx::query(keep).execute(&world.pool).await.unwrap();
    world.post(&[world.settle(&call, ada, 1_000, 0)]).await.unwrap();
    sqlx::query("insert into intents select * from kept").execute(&world.pool).await.unwrap();
    let ending = meter.end_epoch(world.proxy.epoch).await.unwrap();
    assert_eq!(ending.announced().await.unwrap(), [], "nobody needs to settle it");
    give_back_all(&ending).await;
    let left: i64 = sqlx::query_scalar("select count(*) from intents").fetch_one(&world.pool).await.unwrap();
    assert_eq!((left, world.balance(ada).await.balance), (0, amount("0.999")));
    world.assert_proven().await;
}

/// When a proxy looks, and when its spool was made, is told as it was said.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_proxys_epochs_are_told_in_the_order_in_which_they_began(pool: PgPool) {
    let world = World::new(pool).await;
    let meter = world.ledger.meter();
    let made: DateTime<Utc> = "2026-06-15T12:30:00.123456Z".parse().unwrap();
    for number in [3, 1, 2] {
        let new = NewEpoch {
            id: EpochId::new(world.now, [number; 10]),
            proxy: Uuid::from_u128(8),
            spool_since: made,
            lasts: TimeDelta::seconds(30),
            longest: TimeDelta::hours(1),
        };
        meter.begin_epoch(&new).await.unwrap();
    }
    let epochs = meter.epochs(Some(Uuid::from_u128(8))).await.unwrap();
    assert_eq!(epochs.iter().map(|epoch| epoch.id).collect::<Vec<_>>(), [3, 1, 2].map(|number| EpochId::new(world.now, [number; 10])));
    assert!(epochs.iter().all(|epoch| epoch.spool_since == made));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn operators_see_each_proxy_with_what_it_has_leased_and_what_it_said_last(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "1").await, world.customer("bob", "1").await);
    for customer in [ada, bob] {
        let call = world.intent(customer, "0.25");
        world.lease(&call).await.unwrap();
    }
    let epoch = world.proxy.epoch;
    let report = Report { running: 3, unposted: 2, unposted_since: Some(world.now) };
    world.ledger.meter().renew_epoch(epoch, TimeDelta::seconds(30), &report).await.unwrap();
    let operator = world.ledger.system().operator();
    let of = async || operator.proxies().await.unwrap().into_iter().find(|state| state.epoch == epoch).unwrap();
    let state = of().await;
    assert_eq!((state.proxy, state.standing, state.report), (PROXY, Standing::Serves, report));
    assert_eq!((state.accounts, state.money, state.tokens.get()), (2, amount("0.5"), 0));
    assert!(state.heard_at >= state.begun_at);
    world.ledger.meter().renew_epoch(epoch, TimeDelta::seconds(-1), &Report::default()).await.unwrap();
    assert_eq!((of().await.standing, of().await.report), (Standing::Silent, Report::default()));
    world.ledger.meter().end_epoch(epoch).await.unwrap();
    assert_eq!(of().await.standing, Standing::Ends);
}
