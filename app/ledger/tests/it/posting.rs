use chrono::TimeDelta;
use domain::{
    call::{Attempt, Failure, Outcome},
    money::Amount,
    pricing::Discount,
    rates::Rates,
    service_tier::ServiceTier,
    tokens::CallUsage,
};
use futures_util::future::join_all;
use ledger::{PostedCalls, SettledCall};
use sqlx::PgPool;

use crate::world::{World, amount, give_back_all};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_replayed_batch_changes_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let batch: Vec<_> = (0..20).map(|minute| world.call(ada, 1_000, 500, TimeDelta::minutes(minute))).collect();

    let first = world.post(&batch).await.unwrap();
    let after = world.balance(ada).await;
    let again = world.post(&batch).await.unwrap();

    assert_eq!((first.posted, first.replayed), (20, 0));
    assert_eq!((again.posted, again.replayed), (0, 20));
    assert_eq!(after.balance, amount("9.96"), "20 calls of $0.001 × 1 + $0.002 × 0.5");
    assert_eq!(world.balance(ada).await, after);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_batch_that_is_partly_known_posts_the_rest_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let batch: Vec<_> = (0..4).map(|minute| world.call(ada, 1_000, 0, TimeDelta::minutes(minute))).collect();

    world.post(&batch[..2]).await.unwrap();
    let twice: Vec<_> = batch.iter().chain(&batch).cloned().collect();
    let posting = world.post(&twice).await.unwrap();

    assert_eq!((posting.posted, posting.replayed), (2, 6));
    assert_eq!(world.balance(ada).await.balance, amount("9.996"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_that_is_twice_in_a_batch_is_charged_and_released_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let (first, second) = (world.intent(ada, "1"), world.intent(ada, "1"));
    world.lease(&first).await.unwrap();
    world.lease(&second).await.unwrap();
    let call = world.settle(&first, ada, 1_000, 0);

    let posting = world.post(&[call.clone(), call]).await.unwrap();

    assert_eq!((posting.posted, posting.replayed), (1, 1));
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved), (amount("9.999"), amount("1")));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn posters_at_once_neither_deadlock_nor_post_twice(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "10").await, world.customer("bob", "10").await);
    let calls: Vec<_> = (0..40).map(|n| world.call(if n % 2 == 0 { ada } else { bob }, 1_000, 0, TimeDelta::minutes(n))).collect();
    let mut reversed = calls.clone();
    reversed.reverse();

    let batches = [calls, reversed];
    let posters = batches.iter().cycle().take(8).map(|batch| {
        let meter = world.ledger.meter();
        async move { meter.post_calls(batch).await.unwrap().posted }
    });
    let posted: usize = join_all(posters).await.into_iter().sum();

    assert_eq!(posted, 40);
    assert_eq!(world.balance(ada).await.balance, amount("9.98"));
    assert_eq!(world.balance(bob).await.balance, amount("9.98"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_settlement_releases_its_hold_and_takes_only_its_cost(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let intent = world.intent(ada, "0.4");
    world.lease(&intent).await.unwrap();
    let running = world.balance(ada).await;
    assert_eq!((running.balance, running.reserved, running.available), (amount("1"), amount("0.4"), amount("0.6")));

    let posting = world.post(&[world.settle(&intent, ada, 1_000, 0)]).await.unwrap();

    assert_eq!(posting, PostedCalls { posted: 1, ..PostedCalls::default() });
    let settled = world.balance(ada).await;
    assert_eq!((settled.balance, settled.reserved, settled.available), (amount("0.999"), Amount::ZERO, amount("0.999")));
    let detail = world.ledger.reader(ada.user).await.unwrap().call(intent.call_id).await.unwrap();
    assert_eq!((detail.held, detail.receipt.amount, detail.paid_by.len()), (amount("0.4"), amount("0.001"), 1));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_never_costs_more_than_its_hold_and_what_it_came_to_besides_is_the_operators_loss(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let (first, second) = (world.intent(ada, "0.4"), world.intent(ada, "0.5"));
    world.lease(&first).await.unwrap();
    world.lease(&second).await.unwrap();

    world.post(&[world.settle(&first, ada, 1_000_000_000, 0)]).await.unwrap();

    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved, balance.available), (amount("0.6"), amount("0.5"), amount("0.1")));
    let detail = world.ledger.reader(ada.user).await.unwrap().call(first.call_id).await.unwrap();
    assert_eq!((detail.row.amount, detail.written_off, detail.receipt.amount), (amount("0.4"), amount("999.6"), amount("1000")));
    let customer = world.ledger.system().operator().customer(ada.account, world.now).await.unwrap();
    assert_eq!((customer.spent_30_days, customer.written_off_30_days), (amount("0.4"), amount("999.6")));
    world.assert_proven().await;

    // The books themselves refuse a charge above its hold, and a write-off of what was held.
    let above = SettledCall { amount: amount("0.6"), written_off: Amount::ZERO, ..world.settle(&second, ada, 600_000, 0) };
    let below = SettledCall { amount: amount("0.1"), written_off: amount("0.1"), ..world.settle(&second, ada, 200_000, 0) };
    for wrong in [above, below] {
        assert_eq!(world.post(&[wrong]).await.unwrap().quarantined, [second.call_id]);
        assert_eq!(world.balance(ada).await, balance);
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_hold_may_span_grants_and_the_one_that_expires_first_pays_first(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    world.promo(ada, "0.003").await;
    let intent = world.intent(ada, "0.01");
    world.lease(&intent).await.unwrap();

    world.post(&[world.settle(&intent, ada, 5_000, 0)]).await.unwrap();

    let paid_by = world.ledger.reader(ada.user).await.unwrap().call(intent.call_id).await.unwrap().paid_by;
    let shares: Vec<_> = paid_by.iter().map(|share| (share.kind, share.quantity)).collect();
    assert_eq!(
        shares,
        [(domain::billing::GrantKind::Promo, amount("0.003").into()), (domain::billing::GrantKind::Wallet, amount("0.002").into())]
    );
    assert_eq!(world.balance(ada).await.reserved, Amount::ZERO);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_admitted_call_always_posts_even_without_a_hold_and_below_zero(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0.001").await;
    let call = world.call(ada, 3_000, 0, TimeDelta::zero());

    let posting = world.post(std::slice::from_ref(&call)).await.unwrap();

    assert_eq!((posting.posted, posting.unleased), (1, vec![call.call_id]));
    assert_eq!(world.balance(ada).await.balance, amount("-0.002"));
    world.assert_proven_but_for_debts(1).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_that_costs_nothing_is_logged_and_charged_to_nobody(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let failed = world.call(ada, 0, 0, TimeDelta::zero());
    let failed = SettledCall {
        outcome: Outcome::UpstreamError,
        source: domain::call::UsageSource::None,
        usage: CallUsage::default(),
        http_status: Some(500),
        raw_usage: None,
        attempts: Vec::new(),
        ..failed
    };

    world.post(std::slice::from_ref(&failed)).await.unwrap();

    let detail = world.ledger.reader(ada.user).await.unwrap().call(failed.call_id).await.unwrap();
    assert_eq!((detail.paid_by.len(), detail.receipt.amount), (0, Amount::ZERO));
    assert_eq!(world.balance(ada).await.balance, amount("1"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_row_at_fault_is_quarantined_keeps_nobody_back_and_is_posted_once_it_can_be(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let mut batch: Vec<_> = (0..9).map(|minute| world.call(ada, 1_000, 0, TimeDelta::minutes(minute))).collect();
    // No partition was made for the month before the last.
    let stray = world.call(ada, 1_000, 0, TimeDelta::days(50));
    batch.insert(4, stray.clone());

    let posting = world.post(&batch).await.unwrap();

    assert_eq!((posting.posted, posting.quarantined), (9, vec![stray.call_id]));
    let kept: String = sqlx::query_scalar("select call from quarantine").fetch_one(&world.pool).await.unwrap();
    assert_eq!(serde_json::from_str::<SettledCall>(&kept).unwrap(), stray);
    assert_eq!(world.balance(ada).await.balance, amount("9.991"));
    let faults = world.proof().await.faults;
    assert_eq!(faults.iter().map(|fault| fault.row.clone()).collect::<Vec<_>>(), [format!("call {}", stray.call_id)]);

    let again = world.ledger.meter().post_quarantined().await.unwrap();
    assert_eq!((again.posted, again.quarantined), (0, vec![stray.call_id]));
    world.ledger.system().make_partitions_from(stray.call_id.started_at().unwrap().date_naive(), 1).await.unwrap();
    for posted in [1, 0] {
        assert_eq!(world.ledger.meter().post_quarantined().await.unwrap().posted, posted);
        assert_eq!(world.balance(ada).await.balance, amount("9.99"));
        world.assert_proven().await;
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_in_quarantine_keeps_its_slice_until_it_is_posted_and_is_not_settled_as_interrupted(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let intent = world.intent(ada, "1");
    world.lease(&intent).await.unwrap();
    let meter = world.ledger.meter();
    meter.announce(world.proxy.epoch, &[world.holding(&intent)]).await.unwrap();
    let refuse = "alter table calls add constraint no_more check (latency_ms <> 840)";
    sqlx::query(refuse).execute(&world.pool).await.unwrap();
    let call = world.settle(&intent, ada, 1_000, 0);

    assert_eq!(world.post(std::slice::from_ref(&call)).await.unwrap().quarantined, [intent.call_id]);

    assert_eq!(world.balance(ada).await.reserved, amount("1"));
    sqlx::query("alter table calls drop constraint no_more").execute(&world.pool).await.unwrap();
    let done = meter.post_quarantined().await.unwrap();
    assert_eq!((done.posted, done.corrected), (1, 0));
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved), (amount("9.999"), amount("0.999")), "from its slice, which has the rest");
    world.return_rests(&world.ledger, &[call], &done).await.unwrap();
    assert_eq!(world.balance(ada).await.reserved, Amount::ZERO);
    world.assert_proven().await;
}

/// Its epoch ends meanwhile: then it is paid from what there is when it is posted.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_in_quarantine_when_its_epoch_ends_is_not_announced_and_is_posted_without_a_slice(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let intent = world.intent(ada, "1");
    world.lease(&intent).await.unwrap();
    let meter = world.ledger.meter();
    meter.announce(world.proxy.epoch, &[world.holding(&intent)]).await.unwrap();
    sqlx::query("alter table calls add constraint no_more check (latency_ms <> 840)").execute(&world.pool).await.unwrap();
    let call = world.settle(&intent, ada, 1_000, 0);
    assert_eq!(world.post(&[call]).await.unwrap().quarantined, [intent.call_id]);
    let ending = meter.end_epoch(world.proxy.epoch).await.unwrap();
    assert_eq!(ending.announced().await.unwrap(), []);
    give_back_all(&ending).await;
    assert_eq!(world.balance(ada).await.reserved, Amount::ZERO);
    sqlx::query("alter table calls drop constraint no_more").execute(&world.pool).await.unwrap();

    let done = meter.post_quarantined().await.unwrap();

    assert_eq!((done.posted, done.corrected), (1, 1));
    assert_eq!(world.balance(ada).await.balance, amount("9.999"));
    let announced: i64 = sqlx::query_scalar("select count(*) from intents").fetch_one(&world.pool).await.unwrap();
    assert_eq!(announced, 0, "it is forgotten with its posting");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_receipt_shows_the_price_of_its_own_time(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let call = world.call(ada, 1_000, 1_000, TimeDelta::zero());
    world.post(std::slice::from_ref(&call)).await.unwrap();
    let dearer = ledger::NewPrice {
        id: domain::id::PriceId::from_uuid(uuid::Uuid::from_u128(2)),
        model: crate::world::MODEL,
        kind: domain::catalog::PriceKind::Sale,
        rates: Rates::plain(amount("5"), amount("5")),
        effective_from: world.now + TimeDelta::minutes(1),
        actor: "test",
        now: world.now,
        service_tier: ServiceTier::Default,
    };
    world.ledger.system().operator().publish_price(dearer, ledger::Review { revision: 1, named: Some(crate::world::MODEL) }).await.unwrap();

    let detail = world.ledger.reader(ada.user).await.unwrap().call(call.call_id).await.unwrap();

    assert_eq!((detail.price_id, detail.receipt.amount, detail.receipt.discount), (world.price, amount("0.003"), Discount::NONE));
}

/// Somebody at a terminal, say.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_account_that_is_locked_keeps_its_own_calls_waiting_and_nobody_elses(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "10").await, world.customer("bob", "10").await);
    let calls: Vec<_> = (0..6).map(|n| world.call(if n % 2 == 0 { ada } else { bob }, 1_000, 0, TimeDelta::minutes(n))).collect();
    let mut adas: Vec<_> = calls.iter().filter(|call| call.account_id == ada.account).map(|call| call.call_id).collect();
    // Not its head, but what is written with it.
    let mut lock = world.pool.begin().await.unwrap();
    sqlx::query("select from grants where account_id = $1 for update").bind(ada.account.uuid()).execute(&mut *lock).await.unwrap();
    let meter = world.ledger.meter();
    let done = meter.post_free_calls(&calls[..2]).await.unwrap();
    assert_eq!((done.posted, done.deferred), (1, vec![calls[0].call_id]));
    lock.rollback().await.unwrap();
    let mut lock = world.pool.begin().await.unwrap();
    sqlx::query("select from heads where account_id = $1 for update").bind(ada.account.uuid()).execute(&mut *lock).await.unwrap();

    let mut done = meter.post_free_calls(&calls).await.unwrap();

    done.deferred.sort();
    adas.sort();
    assert_eq!((done.posted, done.replayed, &done.deferred), (2, 1, &adas));
    assert_eq!(world.balance(bob).await.balance, amount("9.997"));
    let waited = world.post(&calls).await.unwrap_err();
    assert!(waited.did_nothing(), "{waited}");
    lock.rollback().await.unwrap();
    let done = meter.post_free_calls(&calls).await.unwrap();
    assert_eq!((done.posted, done.replayed, done.deferred), (3, 3, vec![]));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_batch_of_bad_rows_ends_the_round_before_it_keeps_good_ones_waiting(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let bad: Vec<_> = (0..100)
        .map(|minute| SettledCall { upstream_model: Some("nul\0".to_owned()), ..world.call(ada, 1_000, 0, TimeDelta::minutes(minute)) })
        .collect();
    let good = world.call(ada, 1_000, 0, TimeDelta::zero());
    let (mut left, mut rounds) = (bad.clone(), 0);
    while !left.is_empty() {
        let done = world.post(&left).await.unwrap();
        assert!(done.quarantined.len() + done.deferred.len() == left.len() && !done.quarantined.is_empty());
        assert!(done.quarantined.len() <= 32, "a round is bounded");
        left.retain(|call| done.deferred.contains(&call.call_id));
        rounds += 1;
        if rounds == 1 {
            assert_eq!(world.post(std::slice::from_ref(&good)).await.unwrap().posted, 1);
        }
    }
    let kept: i64 = sqlx::query_scalar("select count(*) from quarantine").fetch_one(&world.pool).await.unwrap();
    assert_eq!(kept, 100);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_was_tried_first_is_on_the_receipt_and_sealed_with_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let attempt = |failure, http_status| Attempt { provider: "other".to_owned(), failure, http_status, took_ms: 120 };
    let attempts = vec![attempt(Failure::Overloaded, Some(503)), attempt(Failure::Unreachable, None)];
    let tried = SettledCall { attempts: attempts.clone(), ..world.call(ada, 1_000, 0, TimeDelta::zero()) };
    let plain = world.call(ada, 1_000, 0, TimeDelta::zero());
    world.post(&[tried.clone(), plain.clone()]).await.unwrap();
    let receipt = async |call: &SettledCall| world.ledger.meter().generation(ada.account, call.call_id).await.unwrap();
    let (with, without) = (receipt(&tried).await, receipt(&plain).await);
    assert_eq!((with.attempts, without.attempts), (attempts, vec![]));
    assert_eq!(with.row.amount, without.row.amount, "they cost nothing");
    world.assert_proven().await;
    for forged in ["null", "attempts - 0", "jsonb_set(attempts, '{0,http_status}', '429')"] {
        sqlx::query("create table kept as select * from calls").execute(&world.pool).await.unwrap();
        let change = format!("update calls set attempts = {forged} where attempts is not null");
        sqlx::query(sqlx::AssertSqlSafe(change)).execute(&world.pool).await.unwrap();
        assert!(!world.proof().await.holds(), "{forged}");
        sqlx::raw_sql("delete from calls; insert into calls select * from kept; drop table kept").execute(&world.pool).await.unwrap();
        world.assert_proven().await;
    }
}
