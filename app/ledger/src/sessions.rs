//! Sessions of the console: opaque data under an opaque id, for as long as they last.

use chrono::{DateTime, Utc};
use domain::id::UserId;

use crate::{Ledger, Result, System};

impl Ledger {
    /// Stores a new session. `false` when the id is taken.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn create_session(&self, id: &str, user: Option<UserId>, data: &[u8], expires_at: DateTime<Utc>) -> Result<bool> {
        let insert = sqlx::query!(
            "insert into sessions (session_id, user_id, data, expires_at) values ($1, $2, $3, $4) on conflict do nothing",
            id,
            user.map(UserId::uuid),
            data,
            expires_at
        );
        Ok(self.database.execute(insert).await? == 1)
    }

    /// Stores a session under the id that it has.
    ///
    /// An update only: a session that was ended meanwhile (a sign-out, a new password) stays ended.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn save_session(&self, id: &str, user: Option<UserId>, data: &[u8], expires_at: DateTime<Utc>) -> Result<()> {
        let update = sqlx::query!(
            "update sessions set user_id = $2, data = $3, expires_at = $4 where session_id = $1",
            id,
            user.map(UserId::uuid),
            data,
            expires_at
        );
        self.database.execute(update).await.map(drop)
    }

    /// A session's data, unless it has expired.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn load_session(&self, id: &str, now: DateTime<Utc>) -> Result<Option<(Vec<u8>, DateTime<Utc>)>> {
        let row = sqlx::query!("select data, expires_at from sessions where session_id = $1 and expires_at > $2", id, now)
            .fetch_optional(&mut *self.database.read().await?)
            .await?;
        Ok(row.map(|row| (row.data, row.expires_at)))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn delete_session(&self, id: &str) -> Result<()> {
        self.database.execute(sqlx::query!("delete from sessions where session_id = $1", id)).await.map(drop)
    }
}

impl System {
    /// Forgets the sessions that have expired; says how many.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn delete_expired_sessions(&self, now: DateTime<Utc>) -> Result<u64> {
        self.database.execute(sqlx::query!("delete from sessions where expires_at <= $1", now)).await
    }
}
