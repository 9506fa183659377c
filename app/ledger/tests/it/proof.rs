use chrono::TimeDelta;
use sqlx::{AssertSqlSafe, PgPool};

use crate::world::World;

/// The tables that hold figures.
const TABLES: [&str; 6] = ["calls", "corrections", "entries", "grants", "usage_hourly", "usage_daily"];

async fn busy_world(pool: PgPool) -> World {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let calls: Vec<_> = (0..5).map(|hour| world.call(ada, 1_000, 100, TimeDelta::hours(hour))).collect();
    world.ledger.meter().post_calls(&calls).await.unwrap();
    let (running, dead) = (world.intent(ada, "0.5"), world.intent(ada, "0.5"));
    world.ledger.meter().lease(&running, world.now).await.unwrap();
    world.ledger.meter().lease(&dead, world.now).await.unwrap();
    for settlement in [world.interrupt(&dead, ada), world.settle(&dead, ada, 700, 70)] {
        world.ledger.meter().post_calls(&[settlement]).await.unwrap();
    }
    world.ledger.system().operator().credit_call(calls[0].call_id, world.give_back(Some("0.0002"), "back")).await.unwrap();
    world
}

async fn run(world: &World, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&world.pool).await.unwrap();
}

/// Every column of a table that holds a whole number.
async fn figures(world: &World, table: &str) -> Vec<String> {
    sqlx::query_scalar(
        "select column_name::text from information_schema.columns \
         where table_name = $1 and data_type in ('smallint', 'integer', 'bigint') order by ordinal_position",
    )
    .bind(table)
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

/// The database itself may refuse a change; what it lets through must be found.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn one_changed_figure_is_found_and_named_and_putting_it_back_makes_it_hold(pool: PgPool) {
    let world = busy_world(pool).await;
    world.assert_proven().await;
    let mut changed = 0;
    for table in TABLES {
        for column in figures(&world, table).await {
            run(
                &world,
                format!(
                    "create table kept as select ctid as place, {column} as value from {table} order by {column} desc nulls last limit 1"
                ),
            )
            .await;
            let change = format!("update {table} set {column} = coalesce({column}, 0) + 7 where ctid = (select place from kept)");
            if sqlx::raw_sql(AssertSqlSafe(change)).execute(&world.pool).await.is_ok() {
                changed += 1;
                let proof = world.ledger.verify().await.unwrap();
                assert!(!proof.holds(), "{table}.{column} was changed and nothing noticed");
                assert!(proof.faults.iter().all(|fault| !fault.row.is_empty() && fault.expected != fault.found), "{table}.{column}");
                // The row that had the most has seven more now.
                let back = format!(
                    "update {table} set {column} = (select value from kept) where {column} = (select coalesce(value, 0) + 7 from kept)"
                );
                run(&world, back).await;
            }
            run(&world, "drop table kept".to_owned()).await;
            world.assert_proven().await;
        }
    }
    assert!(changed >= 30, "only {changed} figures could be changed");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_entry_in_another_book_is_found(pool: PgPool) {
    let world = busy_world(pool).await;
    run(&world, "update entries set book = 'cash' where book = 'revenue'".to_owned()).await;
    let faults = world.ledger.verify().await.unwrap().faults;
    assert!(!faults.is_empty() && faults.iter().all(|fault| (fault.expected.as_str(), fault.found.as_str()) == ("revenue", "cash")));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_posting_that_was_dated_or_worded_anew_is_found(pool: PgPool) {
    let world = busy_world(pool).await;
    for (kind, change) in [
        ("usage", "posted_at = posted_at - interval '1 day'"),
        ("usage", "event_at = event_at + interval '1 hour'"),
        ("usage", "memo = 'a gift'"),
        ("usage", "actor = 'somebody'"),
        ("usage", "kind = 'call_credit', event_at = '2020-01-01', posted_at = '2020-01-01'"),
        ("top_up", "memo = 'a gift', idempotency_key = null, request_digest = null"),
        ("top_up", "memo = 'a gift'"),
        ("top_up", "actor = 'somebody else'"),
        ("top_up", "kind = 'adjustment'"),
        ("late_usage", "posted_at = posted_at - interval '1 day'"),
        ("late_usage", "event_at = event_at + interval '1 hour'"),
        ("late_usage", "memo = 'a present'"),
        ("late_usage", "actor = 'somebody'"),
        ("late_usage", "kind = 'call_credit'"),
        ("call_credit", "kind = 'late_usage'"),
        ("call_credit", "posted_at = posted_at - interval '1 day'"),
        ("call_credit", "event_at = event_at + interval '1 hour'"),
        ("call_credit", "memo = 'another reason'"),
        ("call_credit", "actor = 'somebody else'"),
    ] {
        run(
            &world,
            format!("create table kept as select * from journal where kind = '{kind}'; update journal set {change} where kind = '{kind}'"),
        )
        .await;
        let faults = world.ledger.verify().await.unwrap().faults;
        assert!(!faults.is_empty() && faults.iter().all(|fault| fault.row.starts_with("journal ")), "{change}: {faults:?}");
        let back = "update journal j set (posted_at, event_at, memo, actor, kind, idempotency_key, request_digest) = \
                    (k.posted_at, k.event_at, k.memo, k.actor, k.kind, k.idempotency_key, k.request_digest) \
                    from kept k where k.journal_id = j.journal_id; drop table kept";
        run(&world, back.to_owned()).await;
        world.assert_proven().await;
    }
}

/// Texts and times as well as figures, and what makes a row unreadable hides no other.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_correction_that_was_changed_in_any_way_is_found(pool: PgPool) {
    let world = busy_world(pool).await;
    for change in [
        "settlement = replace(settlement, '700', '800')",
        "settlement = 'x'",
        "paid_by = '{}'",
        "kind = 'late_usage', settlement = '{}'",
        "posted_at = posted_at - interval '1 day'",
        "call_id = gen_random_uuid()",
        "correction_id = gen_random_uuid()",
        "seal = '\\x02'",
        "written_off = 7",
    ] {
        run(&world, "create table kept as select * from corrections".to_owned()).await;
        let change = format!("update corrections set {change} where kind = 'late_usage'");
        sqlx::raw_sql(AssertSqlSafe(change.clone())).execute(&world.pool).await.unwrap();
        let proof = world.ledger.verify().await.unwrap();
        assert!(proof.faults.iter().any(|fault| fault.row.starts_with("correction ")), "{change}: {:?}", proof.faults);
        run(&world, "delete from corrections; insert into corrections select * from kept; drop table kept".to_owned()).await;
        world.assert_proven().await;
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_wallet_that_was_made_to_expire_is_found(pool: PgPool) {
    let world = busy_world(pool).await;
    for change in ["expires_at = starts_at + interval '1 day'", "starts_at = starts_at + interval '1 year'"] {
        run(&world, format!("create table kept as select * from grants; update grants set {change}")).await;
        let faults = world.ledger.verify().await.unwrap().faults;
        assert!(!faults.is_empty() && faults.iter().all(|fault| fault.row.starts_with("grant ")), "{change}: {faults:?}");
        let back = "update grants g set starts_at = k.starts_at, expires_at = k.expires_at from kept k where k.grant_id = g.grant_id; drop table kept";
        run(&world, back.to_owned()).await;
        world.assert_proven().await;
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_price_that_was_not_in_force_is_noticed_by_the_calls_it_priced(pool: PgPool) {
    let world = busy_world(pool).await;
    run(&world, "update price_versions set effective_from = effective_from + interval '10 years'".to_owned()).await;
    assert_eq!(world.ledger.verify().await.unwrap().faults.len(), 6, "it had not begun");
    run(&world, "update price_versions set effective_from = effective_from - interval '10 years'".to_owned()).await;
    world.assert_proven().await;
    let another = "insert into price_versions select gen_random_uuid(), model_id, kind, effective_from + interval '1 day', rates, effective_from, '' \
                   from price_versions where kind = 'sale'";
    run(&world, another.to_owned()).await;
    assert_eq!(world.ledger.verify().await.unwrap().faults.len(), 6, "another one had followed it");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_row_that_is_gone_is_missed(pool: PgPool) {
    let world = busy_world(pool).await;
    for table in ["calls", "corrections", "entries", "leases", "usage_hourly", "usage_daily"] {
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
    assert_eq!(proof.faults.len(), 7, "six calls, and the settlement of one that came late");
    assert!(proof.faults.iter().all(|fault| fault.row.contains("call ")));
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
