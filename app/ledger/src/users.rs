//! People who sign in.

use chrono::{DateTime, Utc};
use domain::{
    account::{Membership, Person, Role},
    audit::Operation,
    id::{AccountId, UserId},
    text::is_disruptive,
};
use serde_json::json;
use sqlx::PgConnection;

use crate::{AccountReader, Error, Ledger, Result, System, audit::Line, password};

/// Someone who runs the gateway.
#[derive(Debug, Clone)]
pub struct NewOperator {
    /// Their id.
    pub user_id: UserId,
    /// Their address.
    pub email: String,
    /// Their password.
    pub password: String,
    /// When.
    pub now: DateTime<Utc>,
}

impl Ledger {
    /// Who signs in with this address and password. An unknown address takes as long as a wrong password.
    ///
    /// # Errors
    /// [`Error::BadCredentials`].
    pub async fn authenticate(&self, email: &str, password: &str) -> Result<UserId> {
        let row =
            sqlx::query!(r#"select user_id as "user_id: UserId", password_hash from users where lower(email) = lower($1)"#, email.trim())
                .fetch_optional(&mut *self.database.read().await?)
                .await?;
        let (user, stored) = row.map_or((None, None), |row| (Some(row.user_id), Some(row.password_hash)));
        let fits = password::verify(password.to_owned(), stored).await?;
        user.filter(|_| fits).ok_or(Error::BadCredentials)
    }

    /// The person behind a session.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user any more.
    pub async fn person(&self, user: UserId) -> Result<Person> {
        let row = sqlx::query!(
            r#"
            select
                u.email, u.is_operator,
                m.account_id as "account_id?: AccountId", a.name as "account_name?", m.role as "role?: Role"
            from users u
            left join memberships m using (user_id)
            left join accounts a using (account_id)
            where u.user_id = $1
            order by m.created_at, m.account_id
            limit 1
            "#,
            user.uuid()
        )
        .fetch_optional(&mut *self.database.read().await?)
        .await?
        .ok_or(Error::NotFound)?;
        let account = match (row.account_id, row.account_name, row.role) {
            (Some(account_id), Some(account_name), Some(role)) => Some(Membership { account_id, account_name, role }),
            _ => None,
        };
        Ok(Person { id: user, email: row.email, is_operator: row.is_operator, account })
    }
}

impl AccountReader {
    /// The member of this address, in whatever case.
    ///
    /// # Errors
    /// [`Error::NotFound`] when nobody of the account has it.
    pub async fn find_member(&self, email: &str) -> Result<UserId> {
        let member = sqlx::query_scalar!(
            r#"
            select u.user_id as "user_id: UserId" from memberships m join users u using (user_id)
            where m.account_id = $1 and lower(u.email) = lower($2)
            "#,
            self.account.uuid(),
            email.trim()
        );
        member.fetch_optional(&mut *self.database.read().await?).await?.ok_or(Error::NotFound)
    }
}

impl System {
    /// Makes an operator.
    ///
    /// # Errors
    /// [`Error::EmailTaken`]; [`Error::Invalid`] for an address or a password that cannot be.
    pub async fn create_operator(&self, new: NewOperator) -> Result<()> {
        let email = parse_email(&new.email)?;
        let password_hash = password::hash(new.password).await?;
        let mut tx = self.database.change().await?;
        insert(&mut tx, new.user_id, email, &password_hash, true, new.now).await?;
        tx.commit(Line::new(Operation::OperatorAdd, new.user_id, email, None, Some(json!({"email": email})))).await
    }

    /// Gives a person a new password and ends their sessions.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown address; [`Error::Invalid`] for a password that cannot be.
    pub async fn set_password(&self, email: &str, password: String) -> Result<()> {
        let password_hash = password::hash(password).await?;
        let mut tx = self.database.change().await?;
        let person = sqlx::query!(
            "update users set password_hash = $2 where lower(email) = lower($1) returning user_id, email",
            email.trim(),
            password_hash
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(Error::NotFound)?;
        sqlx::query!("delete from sessions where user_id = $1", person.user_id).execute(&mut *tx).await?;
        tx.commit(Line::new(Operation::PasswordSet, person.user_id, person.email, None, Some(json!({"sessions": "ended"})))).await
    }
}

pub(crate) async fn insert(
    connection: &mut PgConnection,
    user: UserId,
    email: &str,
    password_hash: &str,
    is_operator: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    // A violated constraint would write the address into PostgreSQL's log.
    let inserted = sqlx::query!(
        "insert into users (user_id, email, password_hash, is_operator, created_at) values ($1, $2, $3, $4, $5) on conflict do nothing",
        user.uuid(),
        email,
        password_hash,
        is_operator,
        now
    )
    .execute(connection)
    .await?;
    if inserted.rows_affected() == 1 { Ok(()) } else { Err(Error::EmailTaken) }
}

/// An address has a name, an `@` and a domain; whether mail arrives there, only mail can tell.
pub(crate) fn parse_email(email: &str) -> Result<&str> {
    let email = email.trim();
    let looks_right = email.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if looks_right && !email.chars().any(|letter| letter.is_whitespace() || is_disruptive(letter)) {
        Ok(email)
    } else {
        Err(Error::invalid("email", "write an address like name@example.com"))
    }
}
