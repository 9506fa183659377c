use chrono::TimeDelta;
use sqlx::{AssertSqlSafe, PgPool};

use crate::world::World;

/// Every column that holds a figure, and a value it does not have.
const FIGURES: [(&str, &[&str]); 5] = [
    (
        "calls",
        &[
            "prompt_tokens",
            "completion_tokens",
            "total_tokens",
            "input_tokens",
            "cache_read_tokens",
            "output_tokens",
            "reasoning_tokens",
            "discount_bps",
            "amount",
            "held",
            "latency_ms",
            "first_byte_ms",
            "http_status",
        ],
    ),
    ("entries", &["amount"]),
    ("grants", &["posted", "leased"]),
    ("usage_hourly", &["requests", "prompt_tokens", "completion_tokens", "total_tokens", "amount"]),
    ("usage_daily", &["requests", "prompt_tokens", "completion_tokens", "total_tokens", "amount"]),
];

async fn busy_world(pool: PgPool) -> World {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let calls: Vec<_> = (0..5).map(|hour| world.call(ada, 1_000, 100, TimeDelta::hours(hour))).collect();
    world.ledger.meter().post_calls(&calls).await.unwrap();
    let running = world.intent(ada, "0.5");
    world.ledger.meter().lease(&running, world.now).await.unwrap();
    world
}

async fn run(world: &World, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&world.pool).await.unwrap();
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn one_changed_figure_is_found_and_named_and_putting_it_back_makes_it_hold(pool: PgPool) {
    let world = busy_world(pool).await;
    world.assert_proven().await;
    for (table, columns) in FIGURES {
        for column in columns {
            run(&world, format!("create table kept as select ctid as place, {column} as value from {table} limit 1")).await;
            run(&world, format!("update {table} set {column} = coalesce({column}, 0) + 1 where ctid = (select place from kept)")).await;
            let proof = world.ledger.verify().await.unwrap();
            assert!(!proof.holds(), "{table}.{column} was changed and nothing noticed");
            assert!(proof.faults.iter().all(|fault| !fault.row.is_empty() && fault.expected != fault.found), "{table}.{column}");
            run(
                &world,
                format!(
                    "update {table} set {column} = (select value from kept) where {column} is distinct from (select value from kept) \
                and {column} = coalesce((select value from kept), 0) + 1; drop table kept"
                ),
            )
            .await;
            world.assert_proven().await;
        }
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_row_that_is_gone_is_missed(pool: PgPool) {
    let world = busy_world(pool).await;
    for table in ["calls", "entries", "leases", "usage_hourly", "usage_daily"] {
        run(&world, format!("create table kept as select * from {table}")).await;
        run(&world, format!("delete from {table} where ctid = (select min(ctid) from {table})")).await;
        assert!(!world.ledger.verify().await.unwrap().holds(), "{table}");
        run(&world, format!("delete from {table}; insert into {table} select * from kept; drop table kept")).await;
        world.assert_proven().await;
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_rewritten_price_is_noticed_by_the_calls_it_priced(pool: PgPool) {
    let world = busy_world(pool).await;
    run(&world, r#"update price_versions set rates = jsonb_set(rates, '{base,input}', '"0.0011"')"#.to_owned()).await;
    let proof = world.ledger.verify().await.unwrap();
    assert_eq!(proof.faults.len(), 5);
    assert!(proof.faults.iter().all(|fault| fault.row.starts_with("call ")));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_proof_is_exact_while_calls_are_posted(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let calls: Vec<_> = (0..200).map(|minute| world.call(ada, 100, 10, TimeDelta::minutes(minute))).collect();
    let meter = world.ledger.meter();
    let posting = async {
        for call in calls {
            meter.post_calls(&[call]).await.unwrap();
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
