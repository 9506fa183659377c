//! Every column of the tables of money.

use chrono::TimeDelta;
use domain::rates::Rates;
use ledger::SettledCall;
use sqlx::{AssertSqlSafe, PgPool, Row};

use super::{busy_world, named, run};
use crate::{reprice, world::amount};

/// The tables of money. What a figure, a date or a name on a page rests on is in them.
const TABLES: [&str; 30] = [
    "calls",
    "corrections",
    "heads",
    "grants",
    "credit_lines",
    "books",
    "limits",
    "limit_windows",
    "journal",
    "entries",
    "intents",
    "leases",
    "slices",
    "usage_hourly",
    "usage_daily",
    "price_versions",
    "plan_versions",
    "plan_periods",
    "subscriptions",
    "payments",
    "payment_movements",
    "code_batches",
    "codes",
    "redemptions",
    "sellers",
    "documents",
    "documented",
    "document_years",
    "quarantine",
    "roots",
];

/// Columns that nothing rests on, each with why.
const FREE: [(&str, &str, &str); 51] = [
    (
        "heads",
        "posted_at",
        "the least date of what is posted next, which bears its own; that it is no earlier than what is posted is proved",
    ),
    ("intents", "key_id", "of a running call: it is shown nowhere, and what it comes to is a call's row"),
    ("intents", "project_id", "likewise"),
    ("intents", "end_user", "likewise"),
    ("intents", "session", "likewise"),
    ("intents", "client", "likewise"),
    ("intents", "tags", "likewise"),
    ("intents", "model", "likewise"),
    ("intents", "provider", "likewise"),
    ("intents", "price_id", "likewise"),
    ("intents", "discount_bps", "likewise"),
    ("intents", "service_tier", "likewise"),
    ("intents", "stream", "likewise"),
    ("intents", "input_estimate", "likewise"),
    ("intents", "is_lenient", "likewise"),
    ("intents", "call_id", "likewise: one that nobody announced is settled as interrupted, and paid from no slice"),
    ("intents", "held", "the most that its settlement may cost, which is paid from slices"),
    ("intents", "tokens_held", "likewise"),
    ("intents", "epoch_id", "whose end settles it"),
    ("intents", "split", "from which slices it is paid: a call's row says what they paid"),
    ("limits", "capacity", "what somebody set, and may set anew: no call's figure follows from it"),
    ("limits", "hardness", "likewise"),
    ("limits", "set_by", "who may change it"),
    ("limits", "removed_at", "what somebody removed, which they may"),
    ("leases", "number", "which change was applied last: it decides what is answered, and no sum"),
    ("leases", "epoch_id", "whose slices they are, which is no figure"),
    ("slices", "epoch_id", "likewise"),
    ("slices", "given", "what is answered to a change that is said again"),
    ("slices", "number", "likewise"),
    ("price_versions", "created_by", "who wrote it; no figure"),
    ("subscriptions", "anchor", "which day of the month the next period begins on; what is paid for is a period's row"),
    ("subscriptions", "next_plan_id", "what its owner wants when the period ends"),
    ("subscriptions", "next_version", "likewise"),
    ("subscriptions", "ends", "likewise"),
    ("subscriptions", "unpaid_since", "since when a period waits to be paid for, of which there is no row"),
    ("subscriptions", "is_quota", "who has put the account on quota, which is a credit line's row"),
    ("subscriptions", "ended_at", "when it was over; every period that was paid for has its end"),
    ("price_versions", "withdrawn_by", "who withdrew it; no figure"),
    ("payments", "session", "what the provider calls it: whatever that paid is a movement, which names it"),
    ("payments", "problem", "what an operator is to look at, and says when they have"),
    ("payments", "changed_at", "when that was; a movement has its own date"),
    ("payments", "customer", "of whom it is asked that nobody is there for: whatever that paid is a movement"),
    ("payments", "method", "likewise"),
    ("payments", "looked_at", "when the provider was last asked"),
    ("code_batches", "revoked_at", "from when on nothing is redeemed: what was stays"),
    ("code_batches", "revoked_by", "who revoked it; no figure"),
    ("quarantine", "reason", "what PostgreSQL said; the row itself is named"),
    ("quarantine", "at", "when it said so"),
    ("quarantine", "is_own", "which of a call's two settlements it is; the settlement says so itself"),
    ("quarantine", "call", "the settlement, which is proved once it is posted"),
    ("roots", "made_at", "when it was worked out, which may be any time after its day"),
];

/// Another value of the same type.
fn another(column: &str, kind: &str) -> String {
    match kind {
        "smallint" | "integer" | "bigint" => format!("coalesce({column}, 0) + 7"),
        "boolean" => format!("not {column}"),
        "uuid" => "gen_random_uuid()".to_owned(),
        "timestamp with time zone" => format!("coalesce({column}, now()) + interval '1 day'"),
        "date" => format!("{column} - 1"),
        "bytea" => format!(r"coalesce({column}, '\x01') || '\x07'"),
        "jsonb" if column == "tags" => format!(r#"coalesce({column}, '{{}}') || '{{"another": "tag"}}'"#),
        "jsonb" => format!(r#"coalesce({column}, '[]') || '[{{"grant_id": "00000000-0000-0000-0000-000000000001", "amount": 0}}]'"#),
        "ARRAY" => "array['another']".to_owned(),
        "text" => format!("coalesce({column}, '') || 'x'"),
        other => panic!("no other value of {other}"),
    }
}

/// The database itself may refuse a change, by its key, a constraint or a reference; what it lets through must be found, or be listed with why not.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn no_column_of_the_tables_of_money_can_be_changed_unnoticed(pool: PgPool) {
    let (world, ada) = busy_world(pool).await;
    let price = reprice::version(&world, Rates::plain(amount("0.0005"), amount("0.001"))).await;
    world.ledger.system().operator().reprice(reprice::by(&world, price)).await.unwrap();
    let call = world.call_of(ada, 10, 10, TimeDelta::minutes(7), [77; 10]);
    let bad = SettledCall { upstream_model: Some("nul\0".to_owned()), ..call };
    world.assert_proven().await;
    world.post(&[bad]).await.unwrap();
    let before = named(&world.proof().await);
    assert_eq!(before.len(), 1, "what is in quarantine is named: {before:?}");
    let columns = sqlx::query(
        "select table_name::text, column_name::text, data_type::text from information_schema.columns \
         where table_name = any($1) order by table_name, ordinal_position",
    )
    .bind(TABLES)
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let mut found = 0;
    for column in columns {
        let (table, column, kind): (String, String, String) = (column.get(0), column.get(1), column.get(2));
        // The whole table is put back, in one transaction with what was done to it.
        let change = format!(
            "update {table} set {column} = {} where ctid = (select ctid from {table} order by {column} is null, {column}::text desc limit 1) \
             and tableoid = (select tableoid from {table} order by {column} is null, {column}::text desc limit 1)",
            another(&column, &kind)
        );
        run(&world, format!("drop table if exists kept; create table kept as select * from {table}")).await;
        let done = sqlx::raw_sql(AssertSqlSafe(change)).execute(&world.pool).await;
        if done.is_ok_and(|done| done.rows_affected() == 1) {
            let is_free = FREE.iter().any(|(of, name, _)| (*of, *name) == (&table, &column));
            let is_found = named(&world.proof().await) != before;
            assert!(is_found || is_free, "{table}.{column} was changed and nothing noticed");
            found += usize::from(is_found);
            let back = format!(
                "set session_replication_role = replica; delete from {table}; insert into {table} select * from kept; set session_replication_role = origin"
            );
            run(&world, back).await;
        }
        assert_eq!(named(&world.proof().await), before, "{table}.{column} put back");
    }
    assert!(found >= 90, "only {found} columns could be changed");
}
