//! How much is proved: while calls are posted, of some days, of one account, against a root that was kept.

use chrono::{NaiveDate, TimeDelta};
use domain::proof::Proof;
use ledger::{Root, Verification};
use sqlx::PgPool;

use super::{named, run};
use crate::world::{Customer, World, amount};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_proof_is_exact_while_calls_are_posted(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let calls: Vec<_> = (0..200).map(|minute| world.call(ada, 100, 10, TimeDelta::minutes(minute))).collect();
    let posting = async {
        for (call, minute) in calls.into_iter().zip(0..) {
            // Every so often an hour has passed.
            let then = world.ledger.dated(world.now + TimeDelta::minutes(minute));
            then.meter().post_calls(&[call]).await.unwrap();
        }
    };
    let proving = async {
        loop {
            world.assert_proven().await;
        }
    };
    tokio::select! {
        () = posting => {}
        never = proving => never,
    }
    world.assert_proven().await;
}

/// Ada has calls of three days, one of which was posted four days after it began.
async fn three_days(pool: PgPool) -> (World, Customer) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    world.customer("bob", "1").await;
    for day in 0..3 {
        let then = world.ledger.dated(world.now + TimeDelta::days(day));
        let call = world.call(ada, 1_000, 10, -TimeDelta::days(day));
        then.meter().post_calls(&[call]).await.unwrap();
    }
    let late = world.call(ada, 1_000, 10, TimeDelta::days(2));
    world.ledger.dated(world.now + TimeDelta::days(2)).meter().post_calls(&[late]).await.unwrap();
    world.ledger.system().close_hours().await.unwrap();
    (world, ada)
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

async fn since(world: &World, text: &str) -> Proof {
    let what = Verification { since: Some(day(text)), ..Verification::default() };
    world.ledger.verify(&what, |_| {}).await.unwrap()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_proof_of_the_last_days_looks_at_what_was_posted_since_and_finds_the_same_there(pool: PgPool) {
    let (world, _) = three_days(pool).await;
    for (from, calls) in [("2026-06-15", 4), ("2026-06-16", 3), ("2026-06-17", 2), ("2026-06-18", 0)] {
        let proof = since(&world, from).await;
        assert!(proof.holds(), "{from}: {:#?}", proof.faults);
        assert_eq!(proof.calls, calls, "{from}");
    }
    for (posted, change) in [
        (
            "2026-06-17",
            "update calls set amount = amount - 1, held = held - 1 where posted_at > '2026-06-17' and started_at < '2026-06-14'",
        ),
        ("2026-06-17", "update calls set latency_ms = 1 where posted_at > '2026-06-17' and started_at > '2026-06-17'"),
        ("2026-06-17", "update entries set balance_after = balance_after + 1 where seq = (select max(seq) from entries)"),
        ("2026-06-17", "delete from calls where posted_at > '2026-06-17' and started_at > '2026-06-17'"),
    ] {
        run(&world, "create table kept as select * from calls; create table kept_entries as select * from entries".to_owned()).await;
        run(&world, change.to_owned()).await;
        assert!(!since(&world, posted).await.holds(), "{change}");
        assert!(since(&world, "2026-06-18").await.faults.len() <= 2, "{change}: of what was before, only sums are asked for");
        let back = "delete from calls; insert into calls select * from kept; delete from entries; insert into entries select * from kept_entries; \
                    drop table kept; drop table kept_entries";
        run(&world, back.to_owned()).await;
        world.assert_proven().await;
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_proof_of_one_account_is_of_that_alone(pool: PgPool) {
    let (world, ada) = three_days(pool).await;
    run(&world, format!("update heads set seq = seq + 1 where account_id <> '{}'", ada.account)).await;
    let of = |account| Verification { account: Some(account), ..Verification::default() };
    let proof = world.ledger.verify(&of(ada.account), |_| {}).await.unwrap();
    assert!(proof.holds() && (proof.accounts, proof.calls) == (1, 4), "{proof:?}");
    assert!(!world.proof().await.holds());
    let nobody = domain::id::AccountId::new(world.now, [9; 10]);
    assert!(matches!(world.ledger.verify(&of(nobody), |_| {}).await, Err(ledger::Error::NotFound)));
}

/// Whoever owns the database can write an account's history anew, with seals and chain and all. They cannot make it fit what was kept elsewhere.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn history_that_was_written_anew_consistently_is_found_by_a_root_that_was_kept(pool: PgPool) {
    let (mut world, ada) = three_days(pool).await;
    let sealed: Vec<Root> = world.ledger.system().seal_days().await.unwrap();
    assert_eq!(sealed.len(), 1, "yesterday, which all that was posted in June is before");
    assert_eq!(world.ledger.system().seal_days().await.unwrap(), [], "once");
    let kept: Root = sealed[0].to_string().parse().unwrap();
    let against = Verification { against: Some(kept), ..Verification::default() };
    assert!(world.ledger.verify(&against, |_| {}).await.unwrap().holds());

    // Ada never paid ten, and her calls were others.
    let id = ada.account;
    let tables = ["calls", "entries", "journal", "books", "usage_hourly", "usage_daily"];
    let forget = tables.map(|table| format!("delete from {table} where account_id = '{id}';")).concat();
    run(&world, forget).await;
    run(&world, format!("update grants set granted = 0, used = 0, unbooked = 0 where account_id = '{id}'")).await;
    run(&world, format!("update heads set seq = 0, digest = null, posted_at = '2026-06-15' where account_id = '{id}'; delete from roots"))
        .await;
    world.ledger.owner(ada.user).await.unwrap().top_up(world.money("1", "another")).await.unwrap();
    let call = world.call(ada, 7, 7, TimeDelta::zero());
    world.post(&[call]).await.unwrap();
    world.ledger.system().close_hours().await.unwrap();

    world.assert_proven().await;
    let faults = named(&world.ledger.verify(&against, |_| {}).await.unwrap());
    assert_eq!(faults, [("the books of a sealed day say what they said then".to_owned(), format!("root of {}", kept.day))]);
    assert_eq!(world.balance(ada).await.balance, amount("0.999979"));
}
