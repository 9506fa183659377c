//! The daily root: one digest over the heads of all accounts' books as they were when a day had ended.
//!
//! An account's newest digest seals all that was posted before it. Whoever owns the database could write an account's history anew and every digest
//! with it; they cannot make it fit a root that was kept somewhere else.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::id::AccountId;
use futures_util::TryStreamExt;
use sqlx::PgConnection;

use super::{Books, Lock};
use crate::{Error, Result, System, encoding::Encoding};

/// How long after its end a day is sealed: by then what was begun in it is posted, and its last hour closed.
const AFTER: TimeDelta = TimeDelta::minutes(10);
/// Heads whose dates are moved past the day's end in one transaction.
const TOGETHER_MAX: i64 = 500;

/// What all books said at the end of a day. Written as `2026-11-25:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// The day, in UTC.
    pub day: NaiveDate,
    /// SHA-256 over the day and each account's id, newest number and digest, in the order of the ids.
    pub digest: [u8; 32],
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.day)?;
        self.digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Root {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || Error::invalid("root", "write it as it was logged: a day, a colon and 64 hexadecimal digits");
        let (day, hex) = text.trim().split_once(':').ok_or_else(malformed)?;
        let mut digest = [0; 32];
        if hex.len() != 2 * digest.len() || !hex.is_ascii() {
            return Err(malformed());
        }
        for (place, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).map_err(|_| malformed())?;
        }
        Ok(Self { day: day.parse().map_err(|_| malformed())?, digest })
    }
}

impl System {
    /// Seals the days that have ended and are not sealed yet: from the one after the last root on, else yesterday. A day waits while an account of it
    /// is locked, or has an hour that is not closed.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away.
    pub async fn seal_days(&self) -> Result<Vec<Root>> {
        let now = crate::clock(&mut *self.database.read().await?).await?;
        let Some(yesterday) = (now - AFTER).date_naive().pred_opt() else { return Ok(Vec::new()) };
        let last = sqlx::query_scalar!("select max(day) from roots").fetch_one(&mut *self.database.read().await?).await?;
        let first = last.and_then(|day| day.succ_opt()).unwrap_or(yesterday);
        let mut sealed = Vec::new();
        for day in first.iter_days().take_while(|day| *day <= yesterday) {
            self.close_hours().await?;
            if !self.move_heads_past(end_of(day)).await? {
                break; // some account is locked: the next round goes on from here
            }
            match self.seal_day(day).await? {
                Sealed::Now(root) => {
                    // Out of reach of whoever owns the database.
                    tracing::info!(%root, "a day is sealed: keep its root elsewhere, and prove the books with farebox verify --against");
                    sealed.push(root);
                }
                Sealed::Before => {}
                Sealed::NotYet => break,
            }
        }
        Ok(sealed)
    }

    /// Whatever is posted from now on is dated after the day, whichever way Postgres' clock is set; and what was begun before has ended, since its
    /// books were locked. Returns whether that is so of every account: one that is locked right now keeps nobody waiting.
    async fn move_heads_past(&self, end: DateTime<Utc>) -> Result<bool> {
        let (mut after, mut all) = (None, true);
        loop {
            let mut tx = self.database.write().await?;
            let behind = sqlx::query_scalar!(
                r#"
                select account_id as "account_id: AccountId" from heads
                where posted_at < $1 and ($2::uuid is null or account_id > $2) order by account_id limit $3
                "#,
                end,
                after.map(AccountId::uuid),
                TOGETHER_MAX
            );
            let accounts = behind.fetch_all(&mut *tx).await?;
            after = accounts.last().copied();
            let mut books = Books::lock(&mut tx, &accounts, Lock::Defer, None).await?;
            all &= books.len() == accounts.len();
            books.touch(end);
            books.write(&mut tx).await?;
            tx.commit().await?;
            if (accounts.len() as i64) < TOGETHER_MAX {
                return Ok(all);
            }
        }
    }

    async fn seal_day(&self, day: NaiveDate) -> Result<Sealed> {
        let mut tx = self.database.write().await?;
        let open = sqlx::query_scalar!(r#"select exists (select from heads where hour < $1) as "open!""#, end_of(day));
        if open.fetch_one(&mut *tx).await? {
            return Ok(Sealed::NotYet);
        }
        let (root, accounts) = of_day(&mut tx, day).await?;
        let insert = sqlx::query!(
            "insert into roots (day, accounts, digest, made_at) values ($1, $2, $3, clock_timestamp()) on conflict do nothing",
            day,
            accounts,
            &root.digest[..]
        );
        let inserted = insert.execute(&mut *tx).await?.rows_affected() == 1;
        tx.commit().await?;
        Ok(if inserted { Sealed::Now(root) } else { Sealed::Before })
    }
}

/// What became of a day that was to be sealed.
enum Sealed {
    /// It is.
    Now(Root),
    /// Another process was first.
    Before,
    /// It has an hour that is open.
    NotYet,
}

/// What the books say of a day by now, and of how many accounts.
pub(crate) async fn of_day(connection: &mut PgConnection, day: NaiveDate) -> Result<(Root, i64)> {
    let mut root = Encoding::new(b"farebox root 1");
    root.text(&day.to_string());
    let mut accounts = 0;
    let mut heads = sqlx::query!(
        r#"
        select h.account_id, j.seq, j.digest
        from heads h
        cross join lateral (
            select seq, digest from journal where account_id = h.account_id and posted_at < $1 order by seq desc limit 1
        ) j
        order by h.account_id
        "#,
        end_of(day)
    )
    .fetch(connection);
    while let Some(head) = heads.try_next().await? {
        root.id(head.account_id);
        root.number(head.seq);
        root.bytes(&head.digest);
        accounts += 1;
    }
    Ok((Root { day, digest: root.digest() }, accounts))
}

pub(crate) fn stored(day: NaiveDate, digest: &[u8]) -> Result<Root> {
    let digest = digest.try_into().map_err(|_| Error::Corrupt(format!("the root of {day} has another length")))?;
    Ok(Root { day, digest })
}

/// The first instant after a day.
fn end_of(day: NaiveDate) -> DateTime<Utc> {
    day.checked_add_days(Days::new(1)).unwrap_or(day).and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_root_is_read_as_it_is_written() {
        let root = Root { day: "2026-11-25".parse().unwrap(), digest: std::array::from_fn(|place| place as u8) };
        assert_eq!(root.to_string().parse::<Root>().unwrap(), root);
        assert!(root.to_string().starts_with("2026-11-25:000102"));
        let text = root.to_string();
        for wrong in [
            "",
            "2026-11-25",
            &text[11..],
            &text[..text.len() - 1],
            &text.replace("00", "0x"),
            &text.replace("00", "é"),
            &text.replace("11-25", "13-25"),
        ] {
            assert!(wrong.parse::<Root>().is_err(), "{wrong}");
        }
    }
}
