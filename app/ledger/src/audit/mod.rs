//! The audit log: a line beside each change of money, prices or rights.
//!
//! What changes any of them does it in a [`Change`], and nothing else commits one than the line that says what was done: a change without its line cannot be
//! written. Which functions may write without one is listed, with why, in the tests.

mod read;

use std::{
    net::IpAddr,
    ops::{Deref, DerefMut},
};

use domain::{
    audit::Operation,
    id::{AccountId, UserId},
};
use serde_json::{Map, Value};
use sqlx::{PgConnection, PgTransaction, types::Json};

use crate::{Result, database::Database};

/// Who acts, as far as the ledger has proved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    /// An e-mail address, or the command line.
    pub(crate) who: String,
    /// `None` of the command line.
    pub(crate) user: Option<UserId>,
    /// Where the console was reached from.
    pub(crate) address: Option<IpAddr>,
}

impl Actor {
    /// Whoever can start the binary with the database's address.
    pub(crate) fn command_line() -> Self {
        Self { who: "command line".to_owned(), user: None, address: None }
    }
}

/// A transaction that changes money, prices or rights. Dropped without a line, it changes nothing.
pub(crate) struct Change {
    tx: PgTransaction<'static>,
    database: Database,
}

impl Database {
    /// A transaction that changes money, prices or rights.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) async fn change(&self) -> Result<Change> {
        Ok(Change { tx: self.write().await?, database: self.clone() })
    }
}

impl Deref for Change {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl Change {
    /// Lets go of everything at once, where it was only to be found out whether it could be done.
    pub(crate) async fn undo(self) -> Result<()> {
        Ok(self.tx.rollback().await?)
    }

    /// Commits it together with its line in the log; without a line where nothing has changed.
    pub(crate) async fn commit(self, line: Line) -> Result<()> {
        self.commit_all([line]).await
    }

    /// The same of a change of several things.
    pub(crate) async fn commit_all(mut self, lines: impl IntoIterator<Item = Line>) -> Result<()> {
        for line in lines {
            self.write(line).await?;
        }
        self.tx.commit().await?;
        Ok(())
    }

    async fn write(&mut self, line: Line) -> Result<()> {
        let Line { operation, account, object_id, object, before, after } = line;
        let (before, after) = different(before, after);
        if before.is_none() && after.is_none() {
            return Ok(());
        }
        let Actor { who, user, address } = &*self.database.by;
        sqlx::query!(
            r#"
                insert into audit (at, operation, who, user_id, address, account_id, object_id, object, before, after)
                values (least($1, clock_timestamp()), $2, $3, $4, $5::text::inet, $6, $7, $8, $9, $10)
                "#,
            self.database.dated,
            operation.name(),
            who,
            user.map(UserId::uuid),
            address.map(|address| address.to_string()),
            account.map(AccountId::uuid),
            object_id,
            object,
            before.map(Json) as _,
            after.map(Json) as _
        )
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}

/// What a change has done, to what.
#[derive(Debug)]
pub(crate) struct Line {
    operation: Operation,
    account: Option<AccountId>,
    object_id: String,
    object: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl Line {
    /// Of a thing with an id and a name. How it was is `None` of what was not there, how it is of what is gone; both are objects, never with a secret.
    pub(crate) fn new(
        operation: Operation,
        id: impl ToString,
        name: impl Into<String>,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Self {
        Self { operation, account: None, object_id: id.to_string(), object: name.into(), before, after }
    }

    /// The same of an account's.
    pub(crate) fn of(self, account: AccountId) -> Self {
        Self { account: Some(account), ..self }
    }
}

/// Of what was and is there, what differs: neither, where all is as it was.
fn different(before: Option<Value>, after: Option<Value>) -> (Option<Value>, Option<Value>) {
    let (Some(Value::Object(before)), Some(Value::Object(after))) = (&before, &after) else { return (before, after) };
    let without = |one: &Map<String, Value>, other: &Map<String, Value>| {
        Map::from_iter(
            one.iter().filter(|(name, value)| other.get(*name) != Some(value)).map(|(name, value)| (name.clone(), value.clone())),
        )
    };
    let (was, is) = (without(before, after), without(after, before));
    if was.is_empty() && is.is_empty() { (None, None) } else { (Some(was.into()), Some(is.into())) }
}

/// The account's name, for a line about the account as a whole.
pub(crate) async fn account_name(connection: &mut PgConnection, account: AccountId) -> Result<String> {
    let name = sqlx::query_scalar!("select name from accounts where account_id = $1", account.uuid());
    Ok(name.fetch_optional(connection).await?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_what_was_and_is_there_only_what_differs_is_kept() {
        let (before, after) = different(Some(json!({"a": 1, "b": null, "c": 3})), Some(json!({"a": 2, "b": null, "d": 4})));
        assert_eq!((before, after), (Some(json!({"a": 1, "c": 3})), Some(json!({"a": 2, "d": 4}))));
        assert_eq!(different(Some(json!({"a": 1})), Some(json!({"a": 1}))), (None, None));
        assert_eq!(different(None, Some(json!({"a": 1}))), (None, Some(json!({"a": 1}))), "all of what is new");
    }
}
