//! That the ledger can be spread over machines by the account, as Citus does it: what it refuses is in no table, and in no statement that a call, a
//! posting, a sign-in or a page needs.

use std::{fs, path::Path};

use sqlx::{AssertSqlSafe, PgPool, Row};

/// Spread by account_id.
pub(crate) const DISTRIBUTED: [&str; 30] = [
    "accounts",
    "api_keys",
    "auto_top_ups",
    "billing_details",
    "books",
    "calls",
    "corrections",
    "credit_lines",
    "documented",
    "documents",
    "entries",
    "grants",
    "heads",
    "intents",
    "journal",
    "leases",
    "limit_windows",
    "limits",
    "payment_movements",
    "payment_refunds",
    "payments",
    "plan_periods",
    "projects",
    "quarantine",
    "report_keys",
    "redemptions",
    "slices",
    "subscriptions",
    "usage_daily",
    "usage_hourly",
];
/// The same on every machine.
const REFERENCE: [&str; 12] = [
    "code_batches",
    "fallbacks",
    "identity",
    "memberships",
    "models",
    "plan_versions",
    "plans",
    "price_versions",
    "providers",
    "roots",
    "schema_contract",
    "users",
];
/// On one machine.
const LOCAL: [&str; 15] = [
    "_sqlx_migrations",
    "audit",
    "codes",
    "document_years",
    "epochs",
    "key_digests",
    "notices",
    "payment_events",
    "payment_references",
    "proofs",
    "report_key_digests",
    "sellers",
    "sessions",
    "stray_payments",
    "wanted_models",
];

async fn names(pool: &PgPool, sql: &str) -> Vec<String> {
    sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(pool).await.unwrap().iter().map(|row| row.get(0)).collect()
}

fn list(tables: &[&str]) -> String {
    tables.iter().map(|table| format!("'{table}'")).collect::<Vec<_>>().join(", ")
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn every_table_is_spread_everywhere_or_on_one_machine(pool: PgPool) {
    let tables = "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition \
                  order by 1";
    let mut declared: Vec<_> = [&DISTRIBUTED[..], &REFERENCE, &LOCAL].concat().into_iter().map(str::to_owned).collect();
    declared.sort();
    assert_eq!(names(&pool, tables).await, declared);
}

/// The keys of what is spread begin with what it is spread by.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn keys_begin_with_the_account(pool: PgPool) {
    let others = format!(
        "select i.indexrelid::regclass::text from pg_index i join pg_class c on c.oid = i.indrelid \
         join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0] \
         where i.indisunique and c.relname in ({}) and a.attname <> 'account_id'",
        list(&DISTRIBUTED)
    );
    assert_eq!(names(&pool, &others).await, [] as [&str; 0]);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_not_spread_refers_to_nothing_that_is_and_the_spread_only_within_an_account(pool: PgPool) {
    let spread = list(&DISTRIBUTED);
    let crossing = format!(
        "select f.conname::text from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_class d on d.oid = f.confrelid \
         join pg_attribute a on a.attrelid = f.conrelid and a.attnum = f.conkey[1] \
         join pg_attribute b on b.attrelid = f.confrelid and b.attnum = f.confkey[1] \
         where f.contype = 'f' and not c.relispartition and (\
            (c.relname not in ({spread}) and d.relname in ({spread})) or d.relname in ({}) \
            or (c.relname in ({spread}) and d.relname in ({spread}) and (a.attname <> 'account_id' or b.attname <> 'account_id')))",
        list(&LOCAL)
    );
    assert_eq!(names(&pool, &crossing).await, [] as [&str; 0]);
    let automatic = "select tgname::text from pg_trigger where not tgisinternal \
                     union all select relname::text from pg_class where relkind = 'S' and relnamespace = 'public'::regnamespace";
    assert_eq!(names(&pool, automatic).await, [] as [&str; 0], "no trigger and no sequence");
}

/// Every statement in the sources of the ledger.
fn statements() -> Vec<(String, String)> {
    let mut statements = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            match path.extension().and_then(|extension| extension.to_str()) {
                None => folders.push(path),
                Some("sql") => statements.push((name, fs::read_to_string(&path).unwrap())),
                Some("rs") => {
                    let source = fs::read_to_string(&path).unwrap();
                    let raw = source.split("r#\"").skip(1).filter_map(|rest| rest.split("\"#").next());
                    let plain = source
                        .split('"')
                        .skip(1)
                        .filter(|text| ["select ", "insert ", "update ", "delete "].iter().any(|verb| text.starts_with(verb)));
                    statements.extend(raw.chain(plain).map(|text| (name.clone(), text.to_owned())));
                }
                Some(_) => {}
            }
        }
    }
    statements
}

/// The tables of some that a statement reads or writes.
fn of<'a>(statement: &str, tables: &[&'a str]) -> Vec<&'a str> {
    let words: Vec<_> =
        statement.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').filter(|word| !word.is_empty()).collect();
    let is_named =
        |table: &&&str| words.windows(2).any(|pair| ["from", "join", "into", "update", "using"].contains(&pair[0]) && pair[1] == **table);
    tables.iter().filter(is_named).copied().collect()
}

#[test]
fn no_statement_is_of_a_shape_that_cannot_be_spread() {
    let statements = statements();
    assert!(statements.len() > 100, "{}", statements.len());
    for (file, statement) in &statements {
        let (spread, local) = (of(statement, &DISTRIBUTED), of(statement, &LOCAL));
        assert!(spread.is_empty() || local.is_empty(), "{file} joins {local:?} with {spread:?}: {statement}");
        let locks = ["for update", "for no key update", "for share"].iter().any(|lock| statement.contains(lock));
        assert!(!(locks && !spread.is_empty() && statement.contains("any(")), "{file} locks several accounts at once: {statement}");
        assert!(!statement.contains("set role"), "{file}: {statement}");
        let modifies = ["insert into", "update ", "delete from"].iter().map(|verb| statement.matches(verb).count()).sum::<usize>();
        let is_nested = statement.trim_start().starts_with("with") && modifies > 1;
        assert!(!(is_nested && spread.len() > 1), "{file} writes several tables at once: {statement}");
    }
}
