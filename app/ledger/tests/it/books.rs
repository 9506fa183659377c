//! What the books say of hours and days, whatever the clock does.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    billing::{GrantKind, JournalKind, JournalRow, StatementLine},
    credit::{Quantity, Unit},
    money::Amount,
};
use futures_util::future::join_all;
use ledger::{Error, NewGrant};
use sqlx::PgPool;

use crate::world::{Customer, World, amount, with};

/// Every posting of an account, oldest first.
async fn journal(world: &World, customer: Customer) -> Vec<JournalRow> {
    let statement = world.ledger.reader(customer.user).await.unwrap().statement(None, 1_000, world.now).await.unwrap();
    let mut rows: Vec<_> = statement.journal.lines.iter().flat_map(StatementLine::rows).cloned().collect();
    rows.reverse();
    rows
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_hour_of_any_number_of_batches_has_one_posting_when_it_has_ended(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    for minute in 0..20 {
        let then = world.ledger.dated(world.now + TimeDelta::minutes(minute));
        let batch: Vec<_> = (0..3).map(|_| world.call(ada, 1_000, 0, TimeDelta::zero())).collect();
        then.meter().post_calls(&batch).await.unwrap();
    }
    assert_eq!(journal(&world, ada).await.len(), 1, "the hour is open: the top-up alone");
    assert_eq!(world.balance(ada).await.balance, amount("9.94"), "what it charged counts at once");
    world.assert_proven().await;

    assert_eq!(world.ledger.system().close_hours().await.unwrap(), 1);
    assert_eq!(world.ledger.system().close_hours().await.unwrap(), 0, "once");

    let rows = journal(&world, ada).await;
    let usage = &rows[1];
    assert_eq!((rows.len(), usage.kind, usage.calls, usage.amount), (2, JournalKind::Usage, Some(60), amount("-0.06")));
    assert_eq!((usage.event_at, usage.posted_at), (at("2026-06-15T12:00:00Z"), at("2026-06-15T12:59:59.999999Z")));
    assert_eq!(usage.balance_after, amount("9.94"));
    world.assert_proven().await;
}

/// Whoever comes first in the next hour closes the one before, so that nothing is posted ahead of it: also a top-up, and a call alone.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_comes_in_the_next_hour_is_posted_after_the_hour_before(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let first = world.call(ada, 1_000, 0, TimeDelta::zero());
    world.post(&[first]).await.unwrap();
    let next = world.ledger.dated(world.now + TimeDelta::hours(1));
    next.owner(ada.user).await.unwrap().top_up(world.money("1", "next")).await.unwrap();
    let second = world.call(ada, 1_000, 0, -TimeDelta::hours(1));
    next.meter().post_calls(&[second]).await.unwrap();
    let third = world.call(ada, 1_000, 0, -TimeDelta::hours(2));
    world.ledger.dated(world.now + TimeDelta::hours(2)).meter().post_calls(&[third]).await.unwrap();

    let rows = journal(&world, ada).await;
    let kinds: Vec<_> = rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [JournalKind::TopUp, JournalKind::Usage, JournalKind::TopUp, JournalKind::Usage]);
    assert!(rows.windows(2).all(|pair| pair[0].posted_at < pair[1].posted_at));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn books_never_run_backwards_when_the_clock_does(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    for hours in [0, 5, -1, 5, 4, 6] {
        let then = world.ledger.dated(world.now + TimeDelta::hours(hours));
        let call = world.call(ada, 1_000, 0, -TimeDelta::hours(hours));
        then.meter().post_calls(&[call]).await.unwrap();
        then.owner(ada.user).await.unwrap().top_up(world.money("1", &format!("at {hours}"))).await.unwrap();
        world.assert_proven().await;
    }
    world.ledger.system().close_hours().await.unwrap();
    let rows = journal(&world, ada).await;
    assert!(rows.windows(2).all(|pair| pair[0].posted_at < pair[1].posted_at), "{rows:#?}");
    assert_eq!(rows.iter().filter_map(|row| row.calls).sum::<i64>(), 6);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_hour_of_free_calls_is_in_the_books_too(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let free = world.call(ada, 0, 0, TimeDelta::zero());
    world.post(&[free]).await.unwrap();
    world.ledger.system().close_hours().await.unwrap();
    let rows = journal(&world, ada).await;
    assert_eq!((rows.len(), rows[1].calls, rows[1].amount, rows[1].balance_after), (2, Some(1), Amount::ZERO, amount("10")));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn many_that_close_hours_at_once_close_each_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let mut customers = Vec::new();
    for n in 0..30 {
        let customer = world.customer(&format!("c{n}"), "1").await;
        let call = world.call(customer, 1_000, 0, TimeDelta::zero());
        world.post(&[call]).await.unwrap();
        customers.push(customer);
    }
    let system = world.ledger.system();
    let late: Vec<_> = customers.iter().map(|customer| world.call(*customer, 1_000, 0, TimeDelta::zero())).collect();
    let (_, posted) = tokio::join!(
        join_all((0..4).map(|_| async { system.close_hours().await.unwrap() })),
        join_all(late.chunks(5).map(|batch| async { world.post(batch).await.unwrap().posted }))
    );
    assert_eq!(posted.iter().sum::<usize>(), 30);
    system.close_hours().await.unwrap();
    for customer in customers {
        let rows = journal(&world, customer).await;
        let statement = world.ledger.reader(customer.user).await.unwrap().statement(None, 1, world.now).await.unwrap();
        let open = statement.open_hour.map_or(0, |open| open.calls);
        assert_eq!(rows.iter().filter_map(|row| row.calls).sum::<i64>() + open, 2);
        assert!(rows.len() <= 3);
    }
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_day_is_sealed_once_its_hours_are_closed_and_nothing_is_dated_before_its_end_any_more(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "10").await, world.customer("bob", "1").await);
    let call = world.call(ada, 1_000, 0, TimeDelta::zero());
    world.post(&[call]).await.unwrap();
    let system = world.ledger.system();
    let mut lock = world.pool.begin().await.unwrap();
    sqlx::query("select from heads where account_id = $1 for update").bind(ada.account.uuid()).execute(&mut *lock).await.unwrap();
    // Who seals while an hour cannot be closed seals nothing; the next round does.
    let (early, ()) = tokio::join!(system.seal_days(), async { lock.rollback().await.unwrap() });
    let sealed = [early.unwrap(), system.seal_days().await.unwrap()].concat();
    assert_eq!(sealed.len(), 1);

    // The clock is set back to June; what is posted is not.
    world.ledger.owner(bob.user).await.unwrap().top_up(world.money("1", "late")).await.unwrap();
    let end = sealed[0].day.succ_opt().unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc();
    assert!(journal(&world, bob).await.last().unwrap().posted_at >= end);
    world.assert_proven().await;
    let days = system.operator().sealed_days(10).await.unwrap();
    assert_eq!((days.len(), days[0].accounts, days[0].root.clone()), (1, 2, sealed[0].to_string()));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn credit_lapses_when_it_ends_and_what_running_calls_give_back_lapses_after_them(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let operator = world.ledger.system().operator();
    let promo = world.grant("5", "promo");
    let id = promo.id;
    assert!(!operator.add_grant(ada.account, promo.clone()).await.unwrap().replayed);
    assert!(operator.add_grant(ada.account, NewGrant { id: world.grant("5", "promo").id, ..promo.clone() }).await.unwrap().replayed);
    let other = NewGrant { quantity: amount("6").into(), ..promo };
    assert!(matches!(operator.add_grant(ada.account, other).await, Err(Error::IdempotencyConflict)));
    assert_eq!(world.balance(ada).await.balance, amount("6"));
    let intent = world.intent(ada, "0.5");
    world.lease(&intent).await.unwrap();
    assert_eq!(world.ledger.dated(world.now).system().lapse_grants().await.unwrap(), 0, "not yet");

    world.now += TimeDelta::days(15);
    let later = world.ledger.dated(world.now);
    assert_eq!(later.system().lapse_grants().await.unwrap(), 1);
    assert_eq!(later.system().lapse_grants().await.unwrap(), 0, "once");
    assert_eq!(world.balance(ada).await.balance, amount("1.5"), "what the running call holds is not lost yet");
    assert_eq!(world.balance(ada).await.available, amount("1"));
    world.assert_proven().await;
    let call = world.settle(&intent, ada, 200_000, 0);
    world.post_in(&later, &[call]).await.unwrap();
    assert_eq!(later.system().lapse_grants().await.unwrap(), 1);

    assert_eq!(world.balance(ada).await.balance, amount("1"));
    let rows = journal(&world, ada).await;
    let lapsed: Vec<_> = rows.iter().filter(|row| row.kind == JournalKind::Expiry).map(|row| (row.amount, row.event_at)).collect();
    let ended = at("2026-06-29T12:30:00Z");
    assert_eq!(lapsed, [(amount("-4.5"), ended), (amount("-0.3"), ended)]);
    assert!(matches!(operator.end_grant(ada.account, id, "test").await, Ok(())), "it has ended");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn credit_for_some_models_pays_for_those_alone(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let operator = world.ledger.system().operator();
    let unknown = NewGrant { models: Some(vec!["smal".to_owned()]), ..world.grant("5", "a") };
    let refused = operator.add_grant(ada.account, unknown).await.unwrap_err();
    assert!(refused.to_string().contains("there is no model smal"), "{refused}");
    let scoped = NewGrant { models: Some(vec!["small".to_owned(), "small".to_owned()]), ..world.grant("5", "b") };
    operator.add_grant(ada.account, scoped).await.unwrap();
    let intent = world.intent(ada, "0.5");
    world.lease(&intent).await.unwrap();
    let other = with(world.intent(ada, "0.5"), |call| "large".clone_into(&mut call.model));
    assert!(matches!(world.lease(&other).await, Err(Error::Exhausted(exhausted)) if exhausted.available.is_zero()));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn credit_that_cannot_be_is_refused_and_leaves_nothing(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let operator = world.ledger.system().operator();
    let good = world.grant("5", "it");
    for (field, wrong) in [
        ("unit", NewGrant { unit: Unit::Requests, ..good.clone() }),
        ("amount", NewGrant { quantity: Quantity::ZERO, ..good.clone() }),
        ("amount", NewGrant { quantity: amount("-1").into(), ..good.clone() }),
        ("kind", NewGrant { kind: GrantKind::Wallet, ..good.clone() }),
        ("expires", NewGrant { starts_at: Some(world.now + TimeDelta::days(20)), ..good.clone() }),
        ("expires", NewGrant { expires_at: Some(world.now - TimeDelta::days(1)), ..good.clone() }),
        ("models", NewGrant { models: Some(Vec::new()), ..good.clone() }),
        ("reason", NewGrant { memo: " ", ..good.clone() }),
        ("idempotency key", NewGrant { idempotency_key: "", ..good.clone() }),
    ] {
        let refused = operator.add_grant(ada.account, wrong).await.unwrap_err();
        assert!(matches!(&refused, Error::Invalid { field: named, .. } if *named == field), "{field}: {refused}");
    }
    let too_much = NewGrant { quantity: Quantity::MAX, ..good.clone() };
    let refused = operator.add_grant(ada.account, too_much).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid { field: "amount", .. }), "with the balance it is more than books can hold: {refused}");
    assert_eq!(journal(&world, ada).await.len(), 1);
    world.assert_proven().await;
    let wallet = world.balance(ada).await.grants.iter().find(|grant| grant.kind == GrantKind::Wallet).unwrap().id;
    assert!(matches!(operator.end_grant(ada.account, wallet, "test").await, Err(Error::Invalid { field: "grant", .. })));
    let bob = world.customer("bob", "1").await;
    assert!(matches!(operator.end_grant(bob.account, wallet, "test").await, Err(Error::NotFound)), "it is another's");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_last_proof_is_kept_and_one_runs_at_a_time(pool: PgPool) {
    use domain::proof::ProofEnd;

    let mut world = World::new(pool).await;
    world.customer("ada", "1").await;
    let operator = world.ledger.system().operator();
    assert_eq!(operator.last_proof(false).await.unwrap(), None);
    let begun = join_all((0..5).map(|_| async { operator.begin_proof("ada").await.unwrap() })).await;
    assert!(begun.contains(&true));
    let ended = async {
        loop {
            match operator.last_proof(false).await.unwrap().unwrap().end {
                ProofEnd::Running => tokio::task::yield_now().await,
                end => return end,
            }
        }
    };
    let end = tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.unwrap();
    assert!(matches!(end, ProofEnd::Ended { proof, .. } if proof.holds() && proof.accounts == 1));

    // One whose process is gone says so, and keeps no other from running.
    sqlx::query("update proofs set ended_at = null, proof = null, seen_at = now() - interval '1 minute'")
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(operator.last_proof(false).await.unwrap().unwrap().end, ProofEnd::Lost);
    assert!(operator.begin_proof("bob").await.unwrap());
    assert_eq!(operator.last_proof(false).await.unwrap().unwrap().asked_by, "bob");
}
