//! Accounts: who pays.

use chrono::{DateTime, Utc};
use domain::{
    account::{AccountState, Role},
    audit::Operation,
    id::{AccountId, GrantId, ProjectId, UserId},
};
use serde_json::json;
use sqlx::PgConnection;

use crate::{Error, Ledger, Result, System, audit::Line, database::Database, password, users};

/// The name of the project that an account has from the beginning.
const FIRST_PROJECT: &str = "Default";

/// The longest name of a new account, in characters. The schema takes longer ones, which older accounts may have.
const NAME_MAX_CHARS: usize = 80;

/// A new account with its wallet and its owner.
#[derive(Debug, Clone)]
pub struct NewCustomer {
    /// The account's id.
    pub account_id: AccountId,
    /// Its name.
    pub account_name: String,
    /// Its wallet's id.
    pub grant_id: GrantId,
    /// The owner's id.
    pub user_id: UserId,
    /// The owner's address.
    pub email: String,
    /// The owner's password.
    pub password: String,
    /// Whether it belongs to demo mode.
    pub is_demo: bool,
    /// When.
    pub now: DateTime<Utc>,
}

/// An account, as the command line names it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct AccountSummary {
    /// The account.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// The address of an owner.
    pub owner_email: Option<String>,
    /// Whether its calls are admitted.
    pub state: AccountState,
}

impl Ledger {
    /// Makes an account, its wallet and its owner, or nothing at all.
    ///
    /// # Errors
    /// [`Error::EmailTaken`]; [`Error::Invalid`] for an address, a name or a password that cannot be.
    pub async fn sign_up(&self, new: NewCustomer) -> Result<()> {
        create(&self.database, new).await
    }
}

/// How many there are of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inhabitants {
    /// People who can sign in, operators included.
    pub users: i64,
    /// Accounts of real customers.
    pub accounts: i64,
    /// Accounts of demo mode.
    pub demo_accounts: i64,
}

impl System {
    /// The same as [`Ledger::sign_up`], for the command line and the demo.
    ///
    /// # Errors
    /// As [`Ledger::sign_up`].
    pub async fn create_account(&self, new: NewCustomer) -> Result<()> {
        create(&self.database, new).await
    }

    /// The account of this id, else of this owner's address, else of this name. Names are chosen freely: one that looks like another account's id or
    /// address must not stand for it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] when several bear the name, or belong to the address.
    pub async fn find_account(&self, text: &str) -> Result<AccountSummary> {
        let rows = sqlx::query_as!(
            AccountSummary,
            r#"
            select
                a.account_id as "id: AccountId",
                a.name,
                a.status as "state: AccountState",
                (
                    select u.email from memberships m join users u using (user_id)
                    where m.account_id = a.account_id and m.role = 'owner'
                    order by m.created_at limit 1
                ) as owner_email
            from accounts a
            where case
                when $2::uuid is not null then a.account_id = $2
                when $1 like '%@%' then exists (
                    select from memberships m join users u using (user_id)
                    where m.account_id = a.account_id and m.role = 'owner' and lower(u.email) = lower($1)
                )
                else a.name = $1
            end
            limit 2
            "#,
            text,
            text.parse::<AccountId>().ok().map(AccountId::uuid)
        )
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        match <[AccountSummary; 1]>::try_from(rows) {
            Ok([account]) => Ok(account),
            Err(rows) if rows.is_empty() => Err(Error::NotFound),
            Err(_) => Err(Error::invalid(
                "account",
                "several accounts bear this name or belong to this address: use the id, which is in the address of the customer's page",
            )),
        }
    }

    /// Who is there.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn inhabitants(&self) -> Result<Inhabitants> {
        let counts = sqlx::query_as!(
            Inhabitants,
            r#"
            select
                (select count(*) from users) as "users!",
                (select count(*) from accounts where not is_demo) as "accounts!",
                (select count(*) from accounts where is_demo) as "demo_accounts!"
            "#
        );
        Ok(counts.fetch_one(&mut *self.database.read().await?).await?)
    }
}

pub(crate) async fn create(database: &Database, new: NewCustomer) -> Result<()> {
    let email = users::parse_email(&new.email)?;
    let name = parse_name(&new.account_name)?;
    let password_hash = password::hash(new.password).await?;
    // Nobody has proved yet who opens it: whoever signs up is the first to say so.
    let database = if database.by.address.is_some() && database.by.user.is_none() {
        database.clone().by(new.user_id, email.to_owned())
    } else {
        database.clone()
    };
    let mut tx = database.change().await?;
    sqlx::query!(
        "insert into accounts (account_id, name, is_demo, created_at) values ($1, $2, $3, $4)",
        new.account_id.uuid(),
        name,
        new.is_demo,
        new.now
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "insert into projects (account_id, project_id, name, created_at) values ($1, $2, $3, $4)",
        new.account_id.uuid(),
        ProjectId::first_of(new.account_id).uuid(),
        FIRST_PROJECT,
        new.now
    )
    .execute(&mut *tx)
    .await?;
    // Nothing is dated into a day that is sealed.
    sqlx::query!(
        r#"
        insert into heads (account_id, posted_at)
        select $1, greatest($2, (select max(day) + 1 from roots)::timestamp at time zone 'UTC')
        "#,
        new.account_id.uuid(),
        new.now
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "insert into grants (account_id, grant_id, kind, unit, starts_at) values ($1, $2, 'wallet', 'money', $3)",
        new.account_id.uuid(),
        new.grant_id.uuid(),
        new.now
    )
    .execute(&mut *tx)
    .await?;
    users::insert(&mut tx, new.user_id, email, &password_hash, false, new.now).await?;
    add_member(&mut tx, new.account_id, new.user_id, Role::Owner, new.now).await?;
    let opened = json!({"name": name, "owner": email, "demo": new.is_demo});
    tx.commit(Line::new(Operation::AccountOpen, new.account_id, name, None, Some(opened)).of(new.account_id)).await
}

fn parse_name(name: &str) -> Result<&str> {
    let name = Error::one_line("name", name)?;
    if (1..=NAME_MAX_CHARS).contains(&name.chars().count()) { Ok(name) } else { Err(Error::invalid("name", "write 1 to 80 characters")) }
}

async fn add_member(connection: &mut PgConnection, account: AccountId, user: UserId, role: Role, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "insert into memberships (account_id, user_id, role, created_at) values ($1, $2, $3, $4)",
        account.uuid(),
        user.uuid(),
        role as Role,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}
