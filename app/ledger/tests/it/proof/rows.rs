//! Rows that were changed, or are gone, or nobody's.

use sqlx::{AssertSqlSafe, PgPool};

use super::{busy_world, named, run};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_entry_in_another_book_is_found(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    run(&world, "update entries set book = 'cash' where book = 'revenue'".to_owned()).await;
    let faults = world.proof().await.faults;
    assert!(faults.iter().any(|fault| (fault.expected.as_str(), fault.found.as_str()) == ("revenue", "cash")), "{faults:?}");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_posting_that_was_dated_or_worded_anew_is_found(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    for (kind, change) in [
        ("usage", "posted_at = posted_at - interval '1 day'"),
        ("usage", "event_at = event_at + interval '1 hour'"),
        ("usage", "memo = 'a gift'"),
        ("usage", "actor = 'somebody'"),
        ("usage", "calls = calls + 1"),
        ("usage", "kind = 'call_credit', calls = null"),
        ("top_up", "memo = 'a gift', idempotency_key = null, request_digest = null"),
        ("top_up", "memo = 'a gift'"),
        ("top_up", "actor = 'somebody else'"),
        ("top_up", "kind = 'adjustment'"),
        ("promo", "memo = 'a gift'"),
        ("promo", "kind = 'package'"),
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
        let faults = world.proof().await.faults;
        assert!(faults.iter().any(|fault| fault.row.starts_with("posting ")), "{kind}: {change}: {faults:?}");
        let back = "update journal j set (posted_at, event_at, memo, actor, kind, calls, idempotency_key, request_digest) = \
                    (k.posted_at, k.event_at, k.memo, k.actor, k.kind, k.calls, k.idempotency_key, k.request_digest) \
                    from kept k where k.account_id = j.account_id and k.seq = j.seq; drop table kept";
        run(&world, back.to_owned()).await;
        world.assert_proven().await;
    }
}

/// Texts and times as well as figures, and what makes a row unreadable hides no other.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_correction_that_was_changed_in_any_way_is_found(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    for change in [
        "settlement = replace(settlement, '700', '800')",
        "settlement = 'x'",
        "paid_by = '{}'",
        "kind = 'late_usage', settlement = '{}'",
        "posted_at = posted_at - interval '1 day'",
        "call_id = gen_random_uuid()",
        "seq = 1",
        "seal = '\\x02'",
        "written_off = 7",
    ] {
        run(&world, "create table kept as select * from corrections".to_owned()).await;
        let change = format!("update corrections set {change} where kind = 'late_usage' and tokens_paid is null");
        sqlx::raw_sql(AssertSqlSafe(change.clone())).execute(&world.pool).await.unwrap();
        let proof = world.proof().await;
        assert!(proof.faults.iter().any(|fault| fault.row.starts_with("correction ")), "{change}: {:?}", proof.faults);
        run(&world, "delete from corrections; insert into corrections select * from kept; drop table kept".to_owned()).await;
        world.assert_proven().await;
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_row_that_is_gone_is_missed(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    for table in ["calls", "corrections", "entries", "books", "slices", "usage_hourly", "usage_daily"] {
        run(&world, format!("create table kept as select * from {table}")).await;
        run(&world, format!("delete from {table} where ctid = (select min(ctid) from {table})")).await;
        assert!(!world.proof().await.holds(), "{table}");
        run(&world, format!("delete from {table}; insert into {table} select * from kept; drop table kept")).await;
        world.assert_proven().await;
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_row_of_an_account_that_does_not_exist_is_found(pool: PgPool) {
    let (world, _) = busy_world(pool).await;
    for table in ["usage_hourly", "usage_daily"] {
        run(&world, format!("update {table} set account_id = gen_random_uuid() where ctid = (select min(ctid) from {table})")).await;
    }
    let faults = named(&world.proof().await);
    let of_nobody = faults.iter().filter(|(claim, _)| claim == "nothing belongs to an account that does not exist").count();
    assert_eq!(of_nobody, 2, "{faults:?}");
}
