//! What PostgreSQL did: the plans that it executed, which auto_explain tells whoever's statements they are of, and sqlx the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgPool};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};

/// Under which sqlx logs what the server says beside its answers.
const NOTICES: &str = "sqlx::postgres::notice";

/// Of every statement, those within functions and those of foreign keys too: what of its plan was executed, and how often.
const EXPLAIN: [&str; 7] = [
    "session_preload_libraries = 'auto_explain'",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_analyze = on",
    "auto_explain.log_timing = off",
    "auto_explain.log_nested_statements = on",
    "auto_explain.log_format = json",
    "auto_explain.log_level = notice",
];

/// Settings of a database, for the connections that are made from now on.
pub(crate) async fn set(pool: &PgPool, settings: &[&str]) {
    let name = pool.connect_options().get_database().unwrap().to_owned();
    for setting in settings {
        pool.execute(AssertSqlSafe(format!("alter database \"{name}\" set {setting}"))).await.unwrap();
    }
}

/// A statement that was executed.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) statement: String,
    /// The tables and indexes that it read, and those that it wrote to by their own name: a row that is inserted finds its partition by itself.
    pub(crate) touched: BTreeSet<String>,
}

/// The plans of this thread's statements, for as long as this lives.
pub(crate) struct Plans {
    told: Arc<Mutex<Vec<String>>>,
    _listening: DefaultGuard,
}

impl Plans {
    /// Of the connections to this database that are made from now on.
    pub(crate) async fn listen(pool: &PgPool) -> Self {
        set(pool, &EXPLAIN).await;
        let told = Arc::default();
        let listener = Listener { told: Arc::clone(&told) };
        Self { told, _listening: tracing::subscriber::set_default(listener) }
    }

    /// What was executed since it was last asked.
    pub(crate) fn take(&self) -> Vec<Executed> {
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        told.iter().filter_map(|notice| notice.split_once("plan:\n")).map(|(_, plan)| Executed::of(plan)).collect()
    }
}

impl Executed {
    fn of(plan: &str) -> Self {
        let plan: Value = serde_json::from_str(plan).unwrap();
        let mut touched = BTreeSet::new();
        touch(&plan["Plan"], &mut touched);
        Self { statement: plan["Query Text"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" "), touched }
    }
}

/// Parts that a plan has and that were never executed touch nothing.
fn touch(node: &Value, touched: &mut BTreeSet<String>) {
    if node["Actual Loops"].as_f64().unwrap() > 0.0 {
        touched.extend(["Relation Name", "Index Name"].iter().filter_map(|name| node[name].as_str()).map(str::to_owned));
    }
    node["Plans"].as_array().into_iter().flatten().for_each(|part| touch(part, touched));
}

/// Which shard each partition of a twin is of, and each index of one.
pub(crate) async fn shards(pool: &PgPool) -> BTreeMap<String, String> {
    let names = "with shards as ( \
                     select p.oid, p.relname, right(p.relname, 2) as shard \
                     from pg_class p join pg_inherits h on h.inhrelid = p.oid join pg_partitioned_table t on t.partrelid = h.inhparent \
                     where t.partstrat = 'h' \
                 ) \
                 select relname::text, shard from shards \
                 union all select c.relname::text, s.shard from shards s join pg_index i on i.indrelid = s.oid join pg_class c on c.oid = i.indexrelid";
    sqlx::query_as(names).fetch_all(pool).await.unwrap().into_iter().collect()
}

struct Listener {
    told: Arc<Mutex<Vec<String>>>,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == NOTICES
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message(&mut self.told.lock().unwrap()));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Message<'a>(&'a mut Vec<String>);

impl Visit for Message<'_> {
    fn record_str(&mut self, _: &Field, text: &str) {
        self.0.push(text.to_owned());
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
