//! The months of the call log.

use chrono::{DateTime, Months, NaiveDate, Utc};

use sqlx::PgConnection;

use crate::{Result, System};

/// Months made before and after the running one. A job that is down for a month must not stop a call from being posted.
const MONTHS_BEHIND: u32 = 1;
const MONTHS_AHEAD: u32 = 2;

impl System {
    /// Makes the partitions around `now`; what exists is left alone.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn make_partitions(&self, now: DateTime<Utc>) -> Result<()> {
        let mut tx = self.database.write().await?;
        make_around(&mut tx, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Makes so many months from this day's on.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn make_partitions_from(&self, first: NaiveDate, months: u32) -> Result<()> {
        let mut tx = self.database.write().await?;
        make_from(&mut tx, first, months).await?;
        tx.commit().await?;
        Ok(())
    }
}

pub(crate) async fn make_around(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    let today = now.date_naive();
    let first = today.checked_sub_months(Months::new(MONTHS_BEHIND)).unwrap_or(today);
    make_from(connection, first, MONTHS_BEHIND + MONTHS_AHEAD + 1).await
}

async fn make_from(connection: &mut PgConnection, first: NaiveDate, months: u32) -> Result<()> {
    for month in (0..months).filter_map(|later| first.checked_add_months(Months::new(later))) {
        sqlx::query!("select make_calls_partition($1)", month).execute(&mut *connection).await?;
    }
    Ok(())
}
