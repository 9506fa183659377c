//! API keys: made and revoked by the account, found by the proxy.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    account::{AccountState, Key},
    audit::Operation,
    credit::CreditLine,
    id::{AccountId, KeyId, ProjectId, UserId},
    key::ApiKey,
    money::Amount,
    period::Period,
    pricing::Discount,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{Execute, Executor, PgConnection, Postgres};
use uuid::Uuid;

use crate::{
    AccountMember, AccountReader, Error, Meter, Result, System,
    audit::Line,
    catalog::{expect_known, named},
    credit_lines,
    database::Database,
    notices,
};

/// SHA-256 of a key. 160 random bits need no slow hash: there is nothing to guess.
#[must_use]
pub fn digest(key: &ApiKey) -> [u8; 32] {
    Sha256::digest(key.expose().as_bytes()).into()
}

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey<'a> {
    /// Its id. The same id again makes no second key.
    pub id: KeyId,
    /// The key itself; only its digest and last four characters are stored.
    pub secret: &'a ApiKey,
    /// What its owner calls it.
    pub name: &'a str,
    /// The project of the calls that are made with it.
    pub project: ProjectId,
    /// The member whose key it is; `None` if it is nobody's own.
    pub member: Option<UserId>,
    /// The models that it may call; `None` for every one, also those that there will be.
    pub models: Option<&'a [String]>,
    /// When it stops working by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When.
    pub now: DateTime<Utc>,
}

/// What the proxy needs to know of a key.
#[derive(Debug, Clone)]
pub struct KeyEntry {
    /// Who pays.
    pub account_id: AccountId,
    /// The key.
    pub key_id: KeyId,
    /// The project that it is in.
    pub project_id: ProjectId,
    /// That project's name.
    pub project_name: String,
    /// The member whose key it is.
    pub member: Option<UserId>,
    /// Its name.
    pub name: String,
    /// Its last four characters.
    pub last_four: String,
    /// The models that it may call; `None` for every one.
    pub models: Option<Vec<String>>,
    /// Whether the answers to its calls tell what they cost, without being asked.
    pub tells_cost: bool,
    /// When it stops working by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether the account admits calls.
    pub account_state: AccountState,
    /// The account's discount.
    pub discount: Discount,
    /// What is lent to it, and on which terms.
    pub line: CreditLine,
}

impl KeyEntry {
    /// Whether the key opens the proxy at this instant.
    #[must_use]
    pub fn works_at(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expiry| now < expiry)
    }

    /// Whether it may call this model.
    #[must_use]
    pub fn may_call(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|known| known == model))
    }
}

impl AccountMember {
    /// The id of the key that a form makes, however often the form is sent. Whoever sends it can repeat it, but cannot choose which id that is.
    #[must_use]
    pub fn key_of_form(&self, form: Uuid) -> KeyId {
        let digest = Sha256::new_with_prefix(b"farebox key").chain_update(self.account.uuid()).chain_update(form).finalize();
        let bits = std::array::from_fn(|place| digest[place]);
        KeyId::from_uuid(uuid::Builder::from_custom_bytes(bits).into_uuid())
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`Error::Taken`] when this id was used, so that a repeated request is not a second key; [`Error::Invalid`] for a name, models or an expiry
    /// that cannot be; [`Error::NotFound`] for a project that is not the account's.
    pub async fn create_key(&self, new: NewKey<'_>) -> Result<()> {
        if new.expires_at.is_some_and(|expiry| expiry <= new.now) {
            return Err(Error::invalid("expires", "choose a day that is still to come"));
        }
        let name = Error::one_line("name", new.name)?;
        let models = named(new.models)?;
        let mut tx = self.database.change().await?;
        expect_known(&mut tx, models.as_deref()).await?;
        let inserted = sqlx::query!(
            r#"
            insert into api_keys (account_id, key_id, project_id, user_id, name, last_four, created_at, expires_at, models)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing
            "#,
            self.account.uuid(),
            new.id.uuid(),
            new.project.uuid(),
            new.member.map(UserId::uuid),
            name,
            new.secret.last_four(),
            new.now,
            new.expires_at,
            models.as_deref()
        )
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(Error::Taken("this key"));
        }
        sqlx::query!(
            "insert into key_digests (digest, account_id, key_id) values ($1, $2, $3)",
            &digest(new.secret)[..],
            self.account.uuid(),
            new.id.uuid()
        )
        .execute(&mut *tx)
        .await?;
        let created = json!({
            "last_four": new.secret.last_four(), "project": new.project, "member": new.member, "expires_at": new.expires_at, "models": models
        });
        tx.commit(Line::new(Operation::KeyCreate, new.id, name, None, Some(created)).of(self.account)).await
    }

    /// Sets which models a key may call, `None` for every one; every proxy knows within a second.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a key that is not the account's; [`Error::Invalid`] for models that there are not.
    pub async fn set_key_models(&self, key: KeyId, models: Option<&[String]>) -> Result<()> {
        let models = named(models)?;
        expect_known(&mut *self.database.read().await?, models.as_deref()).await?;
        let update = sqlx::query!(
            "update api_keys set models = $3 where account_id = $1 and key_id = $2",
            self.account.uuid(),
            key.uuid(),
            models.as_deref()
        );
        change(&self.database, self.account, (Operation::KeyModels, key), update).await
    }

    /// Sets whether the answers to a key's calls tell what they cost; every proxy knows within a second.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a key that is not the account's.
    pub async fn set_key_cost(&self, key: KeyId, tells_cost: bool) -> Result<()> {
        let update = sqlx::query!(
            "update api_keys set tells_cost = $3 where account_id = $1 and key_id = $2",
            self.account.uuid(),
            key.uuid(),
            tells_cost
        );
        change(&self.database, self.account, (Operation::KeyCost, key), update).await
    }

    /// Revokes a key for good, which every proxy knows within a second. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn revoke_key(&self, key: KeyId, now: DateTime<Utc>) -> Result<()> {
        let revoke = sqlx::query!(
            "update api_keys set revoked_at = coalesce(revoked_at, $3) where account_id = $1 and key_id = $2",
            self.account.uuid(),
            key.uuid(),
            now
        );
        change(&self.database, self.account, (Operation::KeyRevoke, key), revoke).await
    }
}

/// Changes a key, which every proxy looks at anew.
///
/// # Errors
/// [`Error::NotFound`] if there is none, or the statement is about none.
pub(crate) async fn change<'q>(
    database: &Database,
    account: AccountId,
    (operation, key): (Operation, KeyId),
    statement: impl Execute<'q, Postgres> + 'q,
) -> Result<()> {
    let mut tx = database.change().await?;
    let (name, before) = state(&mut tx, account, key).await?;
    if tx.execute(statement).await?.rows_affected() == 0 {
        return Err(Error::NotFound);
    }
    let (_, after) = state(&mut tx, account, key).await?;
    notices::tell(&mut tx, account).await?;
    tx.commit(Line::new(operation, key, name, Some(before), Some(after)).of(account)).await
}

/// A key's name, and what can change of it.
async fn state(connection: &mut PgConnection, account: AccountId, key: KeyId) -> Result<(String, Value)> {
    let state = sqlx::query!(
        "select name, project_id, revoked_at, models, tells_cost from api_keys where account_id = $1 and key_id = $2 for no key update",
        account.uuid(),
        key.uuid()
    );
    let state = state.fetch_optional(connection).await?.ok_or(Error::NotFound)?;
    Ok((
        state.name,
        json!({"project": state.project_id, "revoked_at": state.revoked_at, "models": state.models, "tells_cost": state.tells_cost}),
    ))
}

impl AccountReader {
    /// Every key of the account: those that were not revoked first, newest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn keys(&self, now: DateTime<Utc>) -> Result<Vec<Key>> {
        let month = Period::ThisMonth.range(now);
        let keys = sqlx::query_as!(
            Key,
            r#"
            select
                k.key_id as "id: KeyId", k.name, k.project_id as "project: ProjectId", k.user_id as "member: UserId",
                (select u.email from users u where u.user_id = k.user_id) as member_email, k.last_four, k.models, k.tells_cost, k.created_at, k.expires_at,
                k.revoked_at,
                (select max(hour) from usage_hourly h where h.account_id = k.account_id and h.key_id = k.key_id) as last_used,
                (
                    select coalesce(sum(d.amount), 0)::bigint from usage_daily d
                    where d.account_id = k.account_id and d.key_id = k.key_id and d.day >= $2 and d.day < $3
                ) as "spent_this_month!: Amount"
            from api_keys k
            where k.account_id = $1
            order by k.revoked_at is not null, k.created_at desc, k.key_id
            "#,
            self.account.uuid(),
            month.from,
            month.to
        )
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        Ok(keys)
    }
}

impl System {
    /// The account that a key belongs to.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] when several accounts have a key of this id, which is unique in its account alone.
    pub async fn account_of_key(&self, key: KeyId) -> Result<AccountId> {
        let accounts =
            sqlx::query_scalar!(r#"select account_id as "account_id: AccountId" from api_keys where key_id = $1 limit 2"#, key.uuid())
                .fetch_all(&mut *self.database.read().await?)
                .await?;
        match accounts[..] {
            [account] => Ok(account),
            [] => Err(Error::NotFound),
            _ => Err(Error::invalid("key", "several accounts have a key of this id; its owner can see to it in the console")),
        }
    }
}

impl Meter {
    /// Finds the key of this digest.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn key(&self, digest: &[u8; 32]) -> Result<Option<KeyEntry>> {
        // In a statement of its own: whose key it is is known everywhere, what is known of the account perhaps on one machine alone.
        match self.owners_of_keys(&[*digest]).await?.get(digest) {
            Some((account, key)) => self.key_of(*account, *key).await,
            None => Ok(None),
        }
    }

    /// Whose keys these are, by their digests: those that there are.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn owners_of_keys(&self, digests: &[[u8; 32]]) -> Result<HashMap<[u8; 32], (AccountId, KeyId)>> {
        let digests: Vec<_> = digests.iter().map(|digest| digest.to_vec()).collect();
        let found = sqlx::query!(
            r#"select digest, account_id as "account: AccountId", key_id as "key: KeyId" from key_digests where digest = any($1)"#,
            &digests
        );
        let found = found.fetch_all(&mut *self.database.read().await?).await?;
        Ok(found.into_iter().filter_map(|row| Some((row.digest.try_into().ok()?, (row.account, row.key)))).collect())
    }

    /// A key of an account.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn key_of(&self, account: AccountId, key: KeyId) -> Result<Option<KeyEntry>> {
        let row = sqlx::query!(
            r#"
            select
                k.account_id as "account_id: AccountId", k.key_id as "key_id: KeyId", k.project_id as "project_id: ProjectId",
                p.name as project_name, k.user_id as "member: UserId", k.name, k.last_four, k.models, k.tells_cost, k.expires_at, k.revoked_at,
                a.status as "state: AccountState",
                -- The better one of the account's own and its plan's, which is the plan's for as long as it lasts.
                greatest(a.discount_bps, (
                    select v.discount_bps from subscriptions s join plan_versions v using (plan_id, version)
                    where s.account_id = $1 and s.ended_at is null and s.unpaid_since is null
                )) as "discount_bps!",
                l.amount as "lent?: Amount", l.grace as "grace?: Amount", l.grace_until as "grace_until?", l.is_lenient as "is_lenient?",
                l.is_quota as "is_quota?"
            from api_keys k
            join projects p using (account_id, project_id)
            join accounts a using (account_id)
            left join lateral (
                select c.amount, c.grace, c.grace_until, c.is_lenient, c.is_quota from credit_lines c where c.account_id = $1 order by c.set_at desc limit 1
            ) l on true
            where k.account_id = $1 and k.key_id = $2
            "#,
            account.uuid(),
            key.uuid()
        )
        .fetch_optional(&mut *self.database.read().await?)
        .await?;
        row.map(|row| {
            Ok(KeyEntry {
                account_id: row.account_id,
                key_id: row.key_id,
                project_id: row.project_id,
                project_name: row.project_name,
                member: row.member,
                name: row.name,
                last_four: row.last_four,
                models: row.models,
                tells_cost: row.tells_cost,
                expires_at: row.expires_at,
                revoked_at: row.revoked_at,
                account_state: row.state,
                discount: Discount::from_bps(row.discount_bps).map_err(|error| Error::Corrupt(error.to_string()))?,
                line: credit_lines::from_columns(row.lent, row.grace, row.grace_until, (row.is_lenient, row.is_quota)),
            })
        })
        .transpose()
    }
}
