//! `farebox verify` finds any one figure that was changed by hand.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};

use crate::{
    commands::{add_customer, add_model},
    farebox::Place,
    http::ask,
    upstream,
};

/// A figure, and how its row is found and named.
struct Figure {
    table: &'static str,
    column: &'static str,
    /// The column whose value the fault must name.
    named_by: &'static str,
}

const fn figure(table: &'static str, column: &'static str, named_by: &'static str) -> Figure {
    Figure { table, column, named_by }
}

const FIGURES: [Figure; 9] = [
    figure("calls", "amount", "call_id"),
    figure("calls", "prompt_tokens", "call_id"),
    figure("calls", "latency_ms", "call_id"),
    figure("entries", "amount", "account_id"),
    figure("grants", "granted", "grant_id"),
    figure("grants", "used", "grant_id"),
    figure("grants", "leased", "grant_id"),
    figure("usage_hourly", "requests", "key_id"),
    figure("usage_daily", "amount", "key_id"),
];

#[test]
fn one_figure_changed_by_hand_is_found_and_named_and_put_back_it_holds() {
    let place = Place::new();
    add_model(&place, &upstream::start());
    let key = add_customer(&place);
    let server = place.serve(&[]);
    let chat = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello" }] });
    for _ in 0..3 {
        let key = key["key"].as_str().expect("a key");
        let answer = ask(server.said("/proxy_url"), "/v1/chat/completions", key, Some(&chat)).expect("the proxy answers");
        assert_eq!((answer.status, &answer.json()["object"]), (200, &json!("chat.completion")));
    }
    assert_eq!(place.verify(), Vec::<Value>::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut connection = runtime.block_on(PgConnection::connect(server.said("/database_url"))).expect("the database answers");
    for Figure { table, column, named_by } in FIGURES {
        // One row, wherever it is; a place in a table is unique together with the partition.
        let first = format!("select tableoid, ctid, {named_by}::text from {table} where {column} is not null order by 3 limit 1");
        let row = runtime.block_on(sqlx::query(sqlx::AssertSqlSafe(first)).fetch_one(&mut connection)).expect("a row");
        let name: String = row.get(2);
        let mut add = |by: i64| {
            let change = format!(
                "with chosen as (select tableoid, ctid from {table} where {named_by}::text = '{name}' and {column} is not null \
                 order by tableoid, {column} desc limit 1) \
                 update {table} t set {column} = t.{column} + {by} from chosen where t.tableoid = chosen.tableoid and t.ctid = chosen.ctid"
            );
            let changed =
                runtime.block_on(sqlx::query(sqlx::AssertSqlSafe(change)).execute(&mut connection)).expect("the owner may change it");
            assert_eq!(changed.rows_affected(), 1);
        };
        add(1);
        let faults = place.verify();
        add(-1);
        assert!(
            faults.iter().any(|fault| fault["row"].as_str().is_some_and(|row| row.contains(&name))),
            "{table}.{column} of {name}: {faults:?}"
        );
        assert_eq!(place.verify(), Vec::<Value>::new(), "{table}.{column} put back");
    }
    let lost = "delete from usage_hourly; update usage_daily set amount = amount + 1";
    runtime.block_on(sqlx::raw_sql(lost).execute(&mut connection)).expect("the owner may change them");
    assert_ne!(place.verify(), Vec::<Value>::new());
    assert_eq!(place.json(&["sums", "rebuild"], ""), json!({ "accounts": 1 }));
    assert_eq!(place.verify(), Vec::<Value>::new(), "what the calls say they say again");
}
