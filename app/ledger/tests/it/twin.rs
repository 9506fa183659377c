//! The twin of the schema: every table that is spread over machines lies in 16 partitions by the account, as Citus would have it lie in 16 shards. What
//! works there needs nothing that a spread database lacks, and what one statement touches is in its plan.

use std::env;

use sqlx::PgPool;

use crate::distribution::DISTRIBUTED;

/// Whether every test is to run on the twin.
pub(crate) fn is_wanted() -> bool {
    env::var_os("FAREBOX_TEST_TWIN").is_some()
}

/// Spreads the tables of a database that was migrated and holds nothing yet.
pub(crate) async fn spread(pool: &PgPool) {
    sqlx::raw_sql(include_str!("twin.sql")).execute(pool).await.unwrap();
    sqlx::query("select spread($1)").bind(DISTRIBUTED.map(str::to_owned).to_vec()).execute(pool).await.unwrap();
}
