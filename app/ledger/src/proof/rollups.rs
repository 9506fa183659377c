//! What must hold of the sums by hour and by day, both ways: a row without calls is as wrong as calls without a row. Postgres sums, so that the memory
//! that this takes does not grow with an account's history.

use chrono::{DateTime, NaiveDate, Utc};
use domain::id::AccountId;
use sqlx::{PgConnection, Row};

use super::claim::{Claim, Findings};
use crate::Result;

/// Compares the sums of calls that began since then.
pub(super) async fn check(
    connection: &mut PgConnection,
    account: AccountId,
    since: Option<NaiveDate>,
    findings: &mut Findings,
) -> Result<()> {
    let since = since.and_then(|day| day.and_hms_opt(0, 0, 0)).map_or(DateTime::<Utc>::MIN_UTC, |at| at.and_utc());
    // Before the first instant that Postgres has there is nothing.
    let since = since.max(DateTime::UNIX_EPOCH);
    for (claim, sql) in [(Claim::HoursAreTheirCalls, HOURS), (Claim::DaysAreTheirCalls, DAYS)] {
        for row in sqlx::query(sql).bind(account.uuid()).bind(since).fetch_all(&mut *connection).await? {
            let text =
                |place: usize| Ok::<_, sqlx::Error>(row.try_get::<Option<String>, _>(place)?.unwrap_or_else(|| "nothing".to_owned()));
            findings.note(claim, text(0)?, text(1)?, text(2)?);
        }
    }
    Ok(())
}

const HOURS: &str = include_str!("hours.sql");
const DAYS: &str = include_str!("days.sql");
