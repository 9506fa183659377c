//! Report keys: made and revoked by an account's owner, for programs that read its usage and costs.

use chrono::{DateTime, Utc};
use domain::{
    account::ReportKeyLine,
    audit::Operation,
    id::{AccountId, ReportKeyId},
    key::ReportKey,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{AccountOwner, AccountReader, Error, Meter, Result, audit::Line};

/// SHA-256 of a key, which needs no slow hash, as those of API keys do not.
fn digest(key: &ReportKey) -> [u8; 32] {
    Sha256::digest(key.expose().as_bytes()).into()
}

/// A report key to be made.
#[derive(Debug, Clone)]
pub struct NewReportKey<'a> {
    /// Its id. The same id again makes no second key.
    pub id: ReportKeyId,
    /// The key itself; only its digest and last four characters are stored.
    pub secret: &'a ReportKey,
    /// What its owner calls it.
    pub name: &'a str,
    /// When.
    pub now: DateTime<Utc>,
}

impl AccountOwner {
    /// The id of the key that a form makes, as [`crate::AccountMember::key_of_form`].
    #[must_use]
    pub fn report_key_of_form(&self, form: Uuid) -> ReportKeyId {
        let digest = Sha256::new_with_prefix(b"farebox report key").chain_update(self.account.uuid()).chain_update(form).finalize();
        let bits = std::array::from_fn(|place| digest[place]);
        ReportKeyId::from_uuid(uuid::Builder::from_custom_bytes(bits).into_uuid())
    }

    /// Makes a report key.
    ///
    /// # Errors
    /// [`Error::Taken`] when this id was used, so that a repeated request is not a second key; [`Error::Invalid`] for a name that cannot be.
    pub async fn create_report_key(&self, new: NewReportKey<'_>) -> Result<()> {
        let name = Error::one_line("name", new.name)?;
        let mut tx = self.database.change().await?;
        let inserted = sqlx::query!(
            "insert into report_keys (account_id, key_id, name, last_four, created_at) values ($1, $2, $3, $4, $5) on conflict do nothing",
            self.account.uuid(),
            new.id.uuid(),
            name,
            new.secret.last_four(),
            new.now
        );
        if inserted.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(Error::Taken("this report key"));
        }
        sqlx::query!(
            "insert into report_key_digests (digest, account_id, key_id) values ($1, $2, $3)",
            &digest(new.secret)[..],
            self.account.uuid(),
            new.id.uuid()
        )
        .execute(&mut *tx)
        .await?;
        let created = json!({ "last_four": new.secret.last_four() });
        tx.commit(Line::new(Operation::ReportKeyCreate, new.id, name, None, Some(created)).of(self.account)).await
    }

    /// Revokes a report key for good, from the next request on. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn revoke_report_key(&self, key: ReportKeyId, now: DateTime<Utc>) -> Result<()> {
        let mut tx = self.database.change().await?;
        let before = sqlx::query!(
            "select name, revoked_at from report_keys where account_id = $1 and key_id = $2 for no key update",
            self.account.uuid(),
            key.uuid()
        );
        let before = before.fetch_optional(&mut *tx).await?.ok_or(Error::NotFound)?;
        let after = before.revoked_at.unwrap_or(now);
        sqlx::query!(
            "update report_keys set revoked_at = $3 where account_id = $1 and key_id = $2",
            self.account.uuid(),
            key.uuid(),
            after
        )
        .execute(&mut *tx)
        .await?;
        let state = |revoked_at: Option<DateTime<Utc>>| Some(json!({ "revoked_at": revoked_at }));
        let line = Line::new(Operation::ReportKeyRevoke, key, before.name, state(before.revoked_at), state(Some(after)));
        tx.commit(line.of(self.account)).await
    }
}

impl AccountReader {
    /// Every report key of the account: those that work first, newest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn report_keys(&self) -> Result<Vec<ReportKeyLine>> {
        let keys = sqlx::query_as!(
            ReportKeyLine,
            r#"
            select key_id as "id: ReportKeyId", name, last_four, created_at, revoked_at from report_keys
            where account_id = $1
            order by revoked_at is not null, created_at desc, key_id
            "#,
            self.account.uuid()
        );
        Ok(keys.fetch_all(&mut *self.database.read().await?).await?)
    }
}

impl Meter {
    /// Whose usage a report key reads; `None` of one that is unknown or revoked. It is asked for anew each time, so that a revoked one reads nothing more.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn account_of_report_key(&self, key: &ReportKey) -> Result<Option<AccountId>> {
        let mut connection = self.database.read().await?;
        // In a statement of its own, as whose an API key is.
        let found = sqlx::query!(
            r#"select account_id as "account: AccountId", key_id from report_key_digests where digest = $1"#,
            &digest(key)[..]
        );
        let Some(found) = found.fetch_optional(&mut *connection).await? else { return Ok(None) };
        let works = sqlx::query!(
            "select from report_keys where account_id = $1 and key_id = $2 and revoked_at is null",
            found.account.uuid(),
            found.key_id
        );
        Ok(works.fetch_optional(&mut *connection).await?.map(|_| found.account))
    }
}
