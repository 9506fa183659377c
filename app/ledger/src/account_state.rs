//! Accounts that are suspended, resumed, closed and opened again.

use domain::{account::AccountState, audit::Operation, id::AccountId};
use serde_json::json;
use sqlx::PgConnection;

use crate::{
    Error, Operator, Result,
    audit::Line,
    books::{Books, Lock},
    notices, plans,
};

impl Operator {
    /// Says whether an account's calls are admitted. Every proxy knows within two seconds, and refuses or takes the calls that begin then; those that run
    /// end as they would, and are posted. A plan of an account that is closed ends with the month that is paid for, so that no more is due. What is so
    /// already changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] where somebody else has changed it since it was `from`.
    pub async fn set_account_state(&self, account: AccountId, from: AccountState, to: AccountState) -> Result<()> {
        let mut tx = self.database.change().await?;
        // Whoever changes an account waits for who came first.
        Books::lock(&mut tx, &[account], Lock::Wait, self.database.dated).await?.of(account)?;
        let found = sqlx::query!(r#"select name, status as "state: AccountState" from accounts where account_id = $1"#, account.uuid());
        let found = found.fetch_optional(&mut *tx).await?.ok_or(Error::NotFound)?;
        if found.state == to {
            return Ok(());
        }
        if found.state != from {
            return Err(Error::invalid("state", format!("somebody has changed it meanwhile: the account is {} now", found.state.name())));
        }
        sqlx::query!("update accounts set status = $2 where account_id = $1", account.uuid(), to as AccountState).execute(&mut *tx).await?;
        let plan = if to == AccountState::Closed { plans::set_end(&mut tx, account, true).await? } else { None };
        notices::tell(&mut tx, account).await?;
        let said = |state: AccountState| Some(json!({"state": state.name()}));
        let line = Line::new(Operation::AccountState, account, found.name, said(from), said(to)).of(account);
        tx.commit_all(std::iter::once(line).chain(plan)).await
    }
}

/// Refuses what would be paid for by an account that is closed. Under the lock of its books, so that nobody closes it meanwhile.
pub(crate) async fn expect_open(connection: &mut PgConnection, account: AccountId) -> Result<()> {
    if is_closed(connection, account).await? {
        return Err(Error::invalid("account", "is closed: an operator has to open it again first"));
    }
    Ok(())
}

/// Whether an account is closed.
pub(crate) async fn is_closed(connection: &mut PgConnection, account: AccountId) -> Result<bool> {
    let closed = sqlx::query_scalar!(r#"select status = 'closed' as "closed!" from accounts where account_id = $1"#, account.uuid());
    closed.fetch_optional(connection).await?.ok_or(Error::NotFound)
}
