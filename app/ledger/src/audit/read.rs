//! The log, as operators read it; and the line that says whose data they looked at.

use domain::{
    audit::{AuditFilter, AuditLine, AuditPage, AuditPlace, Operation},
    id::{AccountId, UserId},
};
use serde_json::{Value, json};
use sqlx::types::Json;

use super::{Line, account_name};
use crate::{AccountReader, Error, Operator, Result, customers::like, page::cut};

impl Operator {
    /// A page of the log, newest first. Pages by key, so that the thousandth costs what the first does.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn audit(&self, filter: &AuditFilter, before: Option<AuditPlace>, limit: i64) -> Result<AuditPage> {
        let part = |text: &str| (!text.is_empty()).then(|| like(text));
        let rows = sqlx::query!(
            r#"
            select
                at, audit_id, operation, who, host(address) as address, account_id as "account: AccountId", object_id, object,
                before as "before: Json<Value>", after as "after: Json<Value>"
            from audit
            where ($1::timestamptz is null or (at, audit_id) < ($1, $2::uuid))
                and ($3::text is null or who ilike $3)
                and ($4::text is null or operation = $4)
                and ($5::text is null or object ilike $5 or object_id = $6 or account_id::text = $6)
                and ($7::date is null or at >= $7::timestamp at time zone 'UTC')
                and ($8::date is null or at < ($8 + 1)::timestamp at time zone 'UTC')
            order by at desc, audit_id desc
            limit $9
            "#,
            before.map(|place| place.at),
            before.map(|place| place.id),
            part(&filter.who),
            filter.operation.map(Operation::name),
            part(&filter.object),
            filter.object,
            filter.from,
            filter.to,
            limit.saturating_add(1)
        );
        let rows = rows.fetch_all(&mut *self.database.read().await?).await?;
        let in_words = |value: Option<Json<Value>>| value.map(|Json(value)| value.to_string());
        let mut lines: Vec<_> = rows
            .into_iter()
            .map(|row| AuditLine {
                place: AuditPlace { at: row.at, id: row.audit_id },
                operation: row.operation,
                who: row.who,
                address: row.address,
                account: row.account,
                object_id: row.object_id,
                object: row.object,
                before: in_words(row.before),
                after: in_words(row.after),
            })
            .collect();
        let more = cut(&mut lines, limit);
        let next = lines.last().filter(|_| more).map(|line| line.place);
        Ok(AuditPage { lines, next })
    }

    /// The right to see one account's pages as its customer does, and to change nothing. The log says so, once an hour for each operator and account.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown account.
    pub async fn view(&self, account: AccountId) -> Result<AccountReader> {
        let reader = AccountReader { database: self.database.clone(), account };
        let user = self.database.by.user.map(UserId::uuid);
        let seen = sqlx::query_scalar!(
            r#"
            select exists (
                select from audit
                where account_id = $1 and operation = $2 and user_id is not distinct from $3 
                    and at > least($4, clock_timestamp()) - interval '1 hour'
            ) as "seen!"
            "#,
            account.uuid(),
            Operation::AccountView.name(),
            user,
            self.database.dated
        );
        if seen.fetch_one(&mut *self.database.read().await?).await? {
            return Ok(reader);
        }
        let mut tx = self.database.change().await?;
        let name = account_name(&mut tx, account).await?;
        // Every account has a name.
        if name.is_empty() {
            return Err(Error::NotFound);
        }
        tx.commit(Line::new(Operation::AccountView, account, name, None, Some(json!({"read_only": true}))).of(account)).await?;
        Ok(reader)
    }
}
