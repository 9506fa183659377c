//! Authority as a value: whoever holds one of these has proved the right to it.
//!
//! Outside this crate none can be made but by asking the ledger: for a person it checks their role; [`System`] and [`Meter`] are for the process itself,
//! which proves who calls by other means. A customer's query that takes a bare account id from a request cannot be written by accident.

use std::ops::Deref;

use domain::{
    account::Role,
    id::{AccountId, UserId},
};

use crate::{Error, Ledger, Result, database::Database};

/// May see everything of one account.
#[derive(Debug, Clone)]
pub struct AccountReader {
    pub(crate) database: Database,
    pub(crate) account: AccountId,
}

/// May also make and revoke keys.
#[derive(Debug, Clone)]
pub struct AccountMember(AccountReader);

/// May also move money.
#[derive(Debug, Clone)]
pub struct AccountOwner(AccountMember);

/// Runs the gateway: sees every account, edits prices and credit.
#[derive(Debug, Clone)]
pub struct Operator {
    pub(crate) database: Database,
}

/// The proxy: finds keys, holds and posts.
#[derive(Debug, Clone)]
pub struct Meter {
    pub(crate) database: Database,
}

/// The machine's own administrator: jobs and the command line.
#[derive(Debug, Clone)]
pub struct System {
    pub(crate) database: Database,
}

impl Deref for AccountMember {
    type Target = AccountReader;

    fn deref(&self) -> &AccountReader {
        &self.0
    }
}

impl Deref for AccountOwner {
    type Target = AccountMember;

    fn deref(&self) -> &AccountMember {
        &self.0
    }
}

impl AccountReader {
    /// Which account it is of.
    #[must_use]
    pub const fn id(&self) -> AccountId {
        self.account
    }
}

impl System {
    /// Acts for an account, as its owner could.
    #[must_use]
    pub fn account(&self, account: AccountId) -> AccountOwner {
        AccountOwner(AccountMember(AccountReader { database: self.database.clone(), account }))
    }

    /// Acts as an operator could.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator { database: self.database.clone() }
    }
}

impl Ledger {
    /// The account that this person belongs to.
    ///
    /// # Errors
    /// [`Error::NotFound`] when they belong to none.
    pub async fn reader(&self, user: UserId) -> Result<AccountReader> {
        Ok(self.member_of(user).await?.0)
    }

    /// The same, for someone who may manage keys.
    ///
    /// # Errors
    /// [`Error::NotFound`] without an account, [`Error::Forbidden`] for viewers.
    pub async fn member(&self, user: UserId) -> Result<AccountMember> {
        match self.member_of(user).await? {
            (reader, Role::Member | Role::Owner) => Ok(AccountMember(reader)),
            (_, Role::Viewer) => Err(Error::Forbidden),
        }
    }

    /// The same, for someone who may move money.
    ///
    /// # Errors
    /// [`Error::NotFound`] without an account, [`Error::Forbidden`] for all but owners.
    pub async fn owner(&self, user: UserId) -> Result<AccountOwner> {
        match self.member_of(user).await? {
            (reader, Role::Owner) => Ok(AccountOwner(AccountMember(reader))),
            (_, Role::Viewer | Role::Member) => Err(Error::Forbidden),
        }
    }

    /// The right to run the gateway.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for anyone who is no operator.
    pub async fn operator(&self, user: UserId) -> Result<Operator> {
        let email = sqlx::query_scalar!("select email from users where user_id = $1 and is_operator", user.uuid())
            .fetch_optional(&mut *self.database.read().await?)
            .await?;
        Ok(Operator { database: self.database.clone().by(user, email.ok_or(Error::Forbidden)?) })
    }

    /// The proxy's right. Only the process that is the proxy asks for it.
    #[must_use]
    pub fn meter(&self) -> Meter {
        Meter { database: self.database.clone() }
    }

    /// The right of whoever can start the binary with the database's address.
    #[must_use]
    pub fn system(&self) -> System {
        System { database: self.database.clone() }
    }

    async fn member_of(&self, user: UserId) -> Result<(AccountReader, Role)> {
        let row = sqlx::query!(
            r#"
            select m.account_id as "account_id: AccountId", m.role as "role: Role", u.email
            from memberships m join users u using (user_id)
            where m.user_id = $1
            order by m.created_at, m.account_id
            limit 1
            "#,
            user.uuid()
        )
        .fetch_optional(&mut *self.database.read().await?)
        .await?
        .ok_or(Error::NotFound)?;
        Ok((AccountReader { database: self.database.clone().by(user, row.email), account: row.account_id }, row.role))
    }
}
