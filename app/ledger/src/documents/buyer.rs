//! Who buys, as an account's documents name them.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use domain::{audit::Operation, document::Buyer, id::AccountId};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::{
    AccountOwner, AccountReader, Error, Result,
    audit::{self, Line},
    users::parse_email,
};

/// Who buys from now on.
#[derive(Debug, Clone, Copy)]
pub struct NewBuyer<'a> {
    /// Their name: at most 200 letters; empty for the account's.
    pub name: &'a str,
    /// Their e-mail address: at most 254 letters; empty for an owner's.
    pub email: &'a str,
    /// Where they are, on one line of at most 400 letters; may be empty.
    pub address: &'a str,
    /// By which their tax office knows them: at most 60 letters; may be empty.
    pub tax_id: &'a str,
    /// When.
    pub now: DateTime<Utc>,
}

impl AccountOwner {
    /// Says how the account is named on every document that is issued from now on; those that were issued stay as they are. The same again changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text that is too long or not on one line, or an e-mail address that is none.
    pub async fn set_buyer(&self, new: NewBuyer<'_>) -> Result<()> {
        let (name, email) = (line_of("name", new.name, 0..=200)?, line_of("email", new.email, 0..=254)?);
        let (address, tax_id) = (line_of("address", new.address, 0..=400)?, line_of("tax id", new.tax_id, 0..=60)?);
        if !email.is_empty() {
            parse_email(&email)?;
        }
        let mut tx = self.database.change().await?;
        let before = details(&mut tx, self.account).await?;
        let after = Buyer { name, email, address, tax_id };
        sqlx::query!(
            r#"
            insert into billing_details (account_id, name, email, address, tax_id, set_at) values ($1, $2, $3, $4, $5, $6)
            on conflict (account_id) do update set (name, email, address, tax_id, set_at) = ($2, $3, $4, $5, $6)
            "#,
            self.account.uuid(),
            after.name,
            after.email,
            after.address,
            after.tax_id,
            new.now
        )
        .execute(&mut *tx)
        .await?;
        let name = audit::account_name(&mut tx, self.account).await?;
        tx.commit(
            Line::new(Operation::BuyerSet, self.account, name, before.as_ref().map(in_words), Some(in_words(&after))).of(self.account),
        )
        .await
    }
}

impl AccountReader {
    /// What was said of who buys: empty where nothing was.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn billing_details(&self) -> Result<Buyer> {
        Ok(details(&mut *self.database.read().await?, self.account).await?.unwrap_or_default())
    }

    /// How the account is named on a document that is issued now.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn buyer(&self) -> Result<Buyer> {
        buyer(&mut *self.database.read().await?, self.account).await
    }
}

/// A text of somebody's choice: one line of so many letters.
pub(super) fn line_of(field: &'static str, text: &str, letters: RangeInclusive<usize>) -> Result<String> {
    let text = Error::one_line(field, text)?;
    if letters.contains(&text.chars().count()) {
        return Ok(text.to_owned());
    }
    Err(Error::invalid(field, format!("write {} to {} letters", letters.start(), letters.end())))
}

fn in_words(buyer: &Buyer) -> Value {
    let Buyer { name, email, address, tax_id } = buyer;
    json!({"name": name, "email": email, "address": address, "tax_id": tax_id})
}

async fn details(connection: &mut PgConnection, account: AccountId) -> Result<Option<Buyer>> {
    let row = sqlx::query_as!(Buyer, "select name, email, address, tax_id from billing_details where account_id = $1", account.uuid());
    Ok(row.fetch_optional(connection).await?)
}

/// What was said, and of what was not, what the account says.
pub(super) async fn buyer(connection: &mut PgConnection, account: AccountId) -> Result<Buyer> {
    let said = details(&mut *connection, account).await?.unwrap_or_default();
    let known = sqlx::query!(
        r#"
        select
            a.name,
            (
                select u.email from memberships m join users u using (user_id)
                where m.account_id = a.account_id and m.role = 'owner' order by m.created_at, m.user_id limit 1
            ) as email
        from accounts a where a.account_id = $1
        "#,
        account.uuid()
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Error::NotFound)?;
    let or = |said: String, known: String| if said.is_empty() { known } else { said };
    Ok(Buyer { name: or(said.name, known.name), email: or(said.email, known.email.unwrap_or_default()), ..said })
}
