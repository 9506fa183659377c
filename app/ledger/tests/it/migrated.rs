//! A database of the version that held in it for each call, with calls that run while it is migrated.

use domain::{
    credit::{Hardness, Quantity, Scope, Unit, Window},
    id::{CallId, EpochId, LimitId},
    money::Amount,
    tokens::Tokens,
};
use ledger::Admitted;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::world::{Customer, World, amount, give_back_all, with};

const EARLIER: i64 = 6;
const ONE_PROXY: Uuid = Uuid::from_u128(71);
const ANOTHER: Uuid = Uuid::from_u128(72);

/// What a call held, as it was stored then: of grants and of windows of limits, in their order.
async fn hold(world: &World, proxy: Uuid, call: &Admitted, grants: &[(Uuid, i64)], limits: &[(LimitId, i64)]) {
    let intent = "insert into intents (
            account_id, call_id, key_id, project_id, session, model, provider, price_id, discount_bps, stream, is_lenient, input_estimate, held,
            tokens_held, proxy, expires_at
        ) values ($1, $2, $3, $4, 'nightly', $5, 'upstream', $6, 0, true, false, 12, $7, $8, $9, $10)";
    sqlx::query(intent)
        .bind(call.account_id.uuid())
        .bind(call.call_id.uuid())
        .bind(call.key_id.uuid())
        .bind(call.project_id.uuid())
        .bind(&call.model)
        .bind(call.price_id.uuid())
        .bind(call.held.nanos())
        .bind(call.tokens_held.get())
        .bind(proxy)
        .bind(world.now)
        .execute(&world.pool)
        .await
        .unwrap();
    let day = Window::Day.range(world.now).from;
    for (place, (grant, quantity)) in (0_i16..).zip(grants) {
        let lease = "insert into leases (account_id, lease_id, place, grant_id, amount) values ($1, $2, $3, $4, $5)";
        let lease = sqlx::query(lease).bind(call.account_id.uuid()).bind(call.call_id.uuid()).bind(place).bind(grant).bind(quantity);
        lease.execute(&world.pool).await.unwrap();
        let held = "update grants set leased = leased + $2 where grant_id = $1";
        sqlx::query(held).bind(grant).bind(quantity).execute(&world.pool).await.unwrap();
    }
    for (place, (limit, quantity)) in (10_i16..).zip(limits) {
        let window = "insert into limit_windows as w (account_id, limit_id, starts_at, leased) values ($1, $2, $3, $4)
                      on conflict (account_id, limit_id, starts_at) do update set leased = w.leased + excluded.leased";
        let window = sqlx::query(window).bind(call.account_id.uuid()).bind(limit.uuid()).bind(day).bind(quantity);
        window.execute(&world.pool).await.unwrap();
        let lease = "insert into leases (account_id, lease_id, place, limit_id, starts_at, amount) values ($1, $2, $3, $4, $5, $6)";
        let lease = sqlx::query(lease).bind(call.account_id.uuid()).bind(call.call_id.uuid()).bind(place).bind(limit.uuid());
        lease.bind(day).bind(quantity).execute(&world.pool).await.unwrap();
    }
}

/// Two limits of a day, as they were set then.
async fn limits(world: &World, customer: Customer) -> [LimitId; 2] {
    let mut ids = Vec::new();
    for unit in [Unit::Money, Unit::Requests] {
        let id = LimitId::new(world.now, world.random());
        let insert = "insert into limits (account_id, limit_id, scope, per, unit, hardness, capacity, created_at, set_by)
                      values ($1, $2, $3, $4, $5, $6, 1000000000000, $7, 'account')";
        let (scope, window, hardness) = (Scope::Account.kind().name(), Window::Day.name(), Hardness::Hard.name());
        let insert =
            sqlx::query(insert).bind(customer.account.uuid()).bind(id.uuid()).bind(scope).bind(window).bind(unit.name()).bind(hardness);
        insert.bind(world.now).execute(&world.pool).await.unwrap();
        ids.push(id);
    }
    let mark = "update heads set is_limited = true where account_id = $1";
    sqlx::query(mark).bind(customer.account.uuid()).execute(&world.pool).await.unwrap();
    [ids[0], ids[1]]
}

/// Grants and windows: what is leased of each, and the sum of its slices.
async fn leased(world: &World) -> Vec<(i64, i64)> {
    let sums = "select g.leased, (select coalesce(sum(s.amount), 0)::bigint from slices s where s.grant_id = g.grant_id) from grants g
                union all
                select w.leased, (select coalesce(sum(s.amount), 0)::bigint from slices s where s.limit_id = w.limit_id) from limit_windows w
                order by 1, 2";
    sqlx::query_as(AssertSqlSafe(sums.to_owned())).fetch_all(&world.pool).await.unwrap()
}

#[sqlx::test(migrations = false)]
async fn calls_that_run_while_a_database_is_migrated_keep_what_they_hold_and_settle_on_it(pool: PgPool) {
    let mut world = World::earlier(pool, EARLIER).await;
    let ada = world.customer("ada", "1").await;
    let promo = world.promo(ada, "0.2").await.uuid();
    let package = world.package(ada, 1_000, "package").await.uuid();
    let wallet: Uuid = sqlx::query_scalar("select grant_id from grants where kind = 'wallet'").fetch_one(&world.pool).await.unwrap();
    let [money, requests] = limits(&world, ada).await;
    let run = |call: &mut Admitted| call.attribution.session = "nightly".parse().ok();
    let [first, second, dead] = [0, 1, 2].map(|_| with(world.intent(ada, "0.3"), run));
    let in_tokens = with(with(world.intent(ada, "0.3"), run), |call| call.tokens_held = Tokens::from_sum(600));
    let both = [(money, 300_000_000), (requests, 1)];
    hold(&world, ONE_PROXY, &first, &[(promo, 200_000_000), (wallet, 100_000_000)], &both).await;
    hold(&world, ONE_PROXY, &in_tokens, &[(package, 600)], &both[1..]).await;
    hold(&world, ANOTHER, &second, &[(wallet, 300_000_000)], &both).await;
    hold(&world, ONE_PROXY, &dead, &[(wallet, 300_000_000)], &both).await;

    world.migrate().await;

    let expected = [4, 600, 200_000_000, 700_000_000, 900_000_000];
    assert_eq!(leased(&world).await, expected.map(|sum| (sum, sum)));
    world.assert_proven().await;
    let meter = world.ledger.meter();
    let epochs = meter.epochs(None).await.unwrap();
    assert_eq!(epochs.len(), 2);
    for epoch in &epochs {
        assert_eq!((epoch.id.uuid(), epoch.expires_at, epoch.is_over), (epoch.proxy, world.now, false));
    }

    // Their settlements are of that version, and say nothing of slices.
    let batch = [world.settle(&first, ada, 250_000, 0), world.settle(&in_tokens, ada, 300, 100), world.settle(&second, ada, 1_000, 0)];
    assert!(batch.iter().all(|call| call.epoch.is_none() && call.split.payment.is_empty()));
    let done = meter.post_calls(&batch).await.unwrap();
    assert_eq!((done.posted, done.corrected, &done.unleased[..]), (3, 0, &[][..]));
    world.assert_proven().await;
    let used = [1, 200, 50_000_000 + 299_000_000 + 300_000_000];
    let sums = leased(&world).await;
    assert!(sums.iter().all(|(leased, slices)| leased == slices), "{sums:?}");
    assert!(used.iter().all(|left| sums.contains(&(*left, *left))), "what they did not use is left in their slices: {sums:?}");
    assert_eq!(meter.post_calls(&batch).await.unwrap().replayed, 3);

    // What is not settled is found with all that is known of it.
    let ending = meter.end_epoch(EpochId::from_uuid(ONE_PROXY)).await.unwrap();
    let [found] = &ending.announced().await.unwrap()[..] else { panic!("one call was not settled") };
    let split = &found.split;
    let quantities = |holds: &[domain::credit::Hold]| holds.iter().map(|hold| hold.quantity.get()).collect::<Vec<_>>();
    assert_eq!((quantities(&split.payment), quantities(&split.limits)), (vec![300_000_000], vec![300_000_000, 1]));
    assert_eq!(*found, Admitted { epoch: Some(EpochId::from_uuid(ONE_PROXY)), split: split.clone(), ..dead.clone() });
    let assumed = world.interrupt(found, ada);
    assert_eq!(meter.post_calls(&[assumed]).await.unwrap().posted, 1);
    world.assert_proven().await;
    give_back_all(&ending).await;
    give_back_all(&meter.end_epoch(EpochId::from_uuid(ANOTHER)).await.unwrap()).await;
    assert!(leased(&world).await.iter().all(|sums| *sums == (0, 0)));

    // Its proxy was not dead, and is of that version.
    let late = world.settle(&dead, ada, 1_000, 0);
    assert_eq!(meter.post_calls(&[late]).await.unwrap().corrected, 1);
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved), (amount("0.948"), Amount::ZERO));
    let count: i64 = sqlx::query_scalar("select count(*) from intents").fetch_one(&world.pool).await.unwrap();
    let of_requests = world.ledger.reader(ada.user).await.unwrap().limits(world.now).await.unwrap();
    let requests = of_requests.iter().find(|state| state.limit.id == requests).unwrap().limit.pool;
    assert_eq!((count, requests.used, requests.leased), (0, Quantity::from_count(4), Quantity::ZERO));
    world.assert_proven().await;
}

/// Its epoch is ended before its settlement comes, which says nothing of slices and of which nothing is known.
#[sqlx::test(migrations = false)]
async fn a_settlement_of_the_earlier_version_that_was_taken_for_dead_is_corrected(pool: PgPool) {
    let mut world = World::earlier(pool, EARLIER).await;
    let ada = world.customer("ada", "1").await;
    let wallet: Uuid = sqlx::query_scalar("select grant_id from grants where kind = 'wallet'").fetch_one(&world.pool).await.unwrap();
    let call = world.intent(ada, "0.3");
    hold(&world, ONE_PROXY, &call, &[(wallet, 300_000_000)], &[]).await;
    world.migrate().await;
    let ending = world.ledger.meter().end_epoch(EpochId::from_uuid(ONE_PROXY)).await.unwrap();
    assert_eq!(ending.announced().await.unwrap().iter().map(|call| call.call_id).collect::<Vec<CallId>>(), [call.call_id]);
    give_back_all(&ending).await;
    // Nobody settled it; the announcement is still there, and so are its splits.
    let own = world.settle(&call, ada, 1_000, 0);
    let done = world.ledger.meter().post_calls(&[own]).await.unwrap();
    assert_eq!((done.posted, done.corrected), (1, 1));
    assert_eq!(world.balance(ada).await.balance, amount("0.999"));
    world.assert_proven().await;
}
