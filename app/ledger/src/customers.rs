//! Customers, as operators see them.

use chrono::{DateTime, Utc};
use domain::{
    account::Customer,
    billing::{PostingNumber, Statement},
    id::AccountId,
    money::Amount,
    period::Period,
};

use crate::{Error, Operator, Result, statement};

impl Operator {
    /// Accounts by name, at most `limit`; `search` is a part of a name, of an owner's address, or an id.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn customers(&self, search: Option<&str>, limit: i64, now: DateTime<Utc>) -> Result<Vec<Customer>> {
        let pattern = search.map(str::trim).filter(|text| !text.is_empty()).map(like);
        self.select(None, pattern.as_deref(), limit, now).await
    }

    /// One account.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn customer(&self, account: AccountId, now: DateTime<Utc>) -> Result<Customer> {
        self.select(Some(account), None, 1, now).await?.pop().ok_or(Error::NotFound)
    }

    /// Its credit and its postings, as [`crate::AccountReader::statement`].
    ///
    /// # Errors
    /// [`Error::NotFound`] when `before` is no posting of the account.
    pub async fn customer_statement(
        &self,
        account: AccountId,
        before: Option<PostingNumber>,
        lines: i64,
        now: DateTime<Utc>,
    ) -> Result<Statement> {
        statement::statement(&self.database, account, before, lines, now).await
    }

    async fn select(&self, account: Option<AccountId>, pattern: Option<&str>, limit: i64, now: DateTime<Utc>) -> Result<Vec<Customer>> {
        let customers = sqlx::query_as!(
            Customer,
            r#"
            select
                a.account_id as "id: AccountId", a.name, a.status = 'active' as "is_active!", a.created_at,
                owner.email as "owner_email?",
                coalesce(credit.balance, 0)::bigint as "balance!: Amount",
                coalesce(credit.leased, 0)::bigint as "reserved!: Amount",
                coalesce(spent.amount, 0)::bigint as "spent_30_days!: Amount",
                coalesce(spent.written_off, 0)::bigint as "written_off_30_days!: Amount"
            from (
                select * from accounts c
                where ($1::uuid is null or c.account_id = $1) and (
                    $2::text is null or c.name ilike $2 or c.account_id::text ilike $2 or (
                        select u.email from memberships m join users u using (user_id)
                        where m.account_id = c.account_id and m.role = 'owner'
                        order by m.created_at limit 1
                    ) ilike $2
                )
                order by lower(c.name), c.account_id
                limit $4
            ) a
            left join lateral (
                select u.email from memberships m join users u using (user_id)
                where m.account_id = a.account_id and m.role = 'owner'
                order by m.created_at limit 1
            ) owner on true
            left join lateral (
                select sum(granted - used) as balance, sum(leased) as leased from grants g
                where g.account_id = a.account_id and g.unit = 'money'
            ) credit on true
            left join lateral (
                select sum(amount) as amount, sum(written_off) as written_off from usage_daily d where d.account_id = a.account_id and d.day >= $3
            ) spent on true
            order by lower(a.name), a.account_id
            "#,
            account.map(AccountId::uuid),
            pattern,
            Period::Last30Days.range(now).from,
            limit
        )
        .fetch_all(&mut *self.database.read().await?)
        .await?;
        Ok(customers)
    }
}

/// A pattern that matches the text itself anywhere: what a person types is no wildcard.
pub(crate) fn like(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_types_is_no_wildcard() {
        assert_eq!(like(r"50%_\"), r"%50\%\_\\%");
    }
}
