//! Who has what is sold.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    credit::Quantity,
    id::{AccountId, PlanId, SubscriptionId},
    plan::{HeldPackage, PlanHolder},
};
use sqlx::PgConnection;

use super::offers::version;
use crate::{AccountReader, Operator, Result};

impl Operator {
    /// The accounts that have a plan, or a package that still lasts, by name, at most `limit`: one that has a package twice stands there twice.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn plan_holders(&self, plan: PlanId, limit: i64) -> Result<Vec<PlanHolder>> {
        let mut connection = self.database.read().await?;
        let now = instant(&mut connection, self.database.dated).await?;
        let rows = sqlx::query_as!(
            PlanHolder,
            r#"
            select
                account_id as "account!: AccountId", a.name as "name!", version as "version!", ends_at as "until!", ends as "ends!", next as "next?",
                unpaid_since as "unpaid_since?"
            from (
                select s.account_id, s.version, s.renews_at as ends_at, s.ends, n.name as next, s.unpaid_since
                from subscriptions s left join plans n on n.plan_id = s.next_plan_id
                where s.plan_id = $1 and s.ended_at is null
                union all
                select p.account_id, p.version, p.ends_at, true, null, null
                from plan_periods p join plan_versions v using (plan_id, version)
                where p.plan_id = $1 and p.ends_at > $2 and v.days is not null
            ) held
            join accounts a using (account_id)
            order by lower(a.name), account_id, ends_at limit $3
            "#,
            plan.uuid(),
            now,
            limit
        );
        Ok(rows.fetch_all(&mut *connection).await?)
    }
}

impl AccountReader {
    /// The account's packages that still last, in the order in which they end.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`].
    pub async fn packages(&self) -> Result<Vec<HeldPackage>> {
        let mut connection = self.database.read().await?;
        let now = instant(&mut connection, self.database.dated).await?;
        let rows = sqlx::query!(
            r#"
            select
                p.subscription_id as "id: SubscriptionId", p.plan_id as "plan: PlanId", p.version, p.ends_at,
                g.granted - g.used - g.leased as "left!: Quantity"
            from plan_periods p
            join plan_versions v using (plan_id, version)
            join grants g using (account_id, grant_id)
            where p.account_id = $1 and p.ends_at > $2 and v.days is not null and g.ended_at is null
            order by p.ends_at, p.subscription_id
            "#,
            self.account.uuid(),
            now
        );
        let mut packages = Vec::new();
        for row in rows.fetch_all(&mut *connection).await? {
            let plan = version(&mut connection, row.plan, row.version).await?;
            packages.push(HeldPackage { id: row.id, plan, left: row.left, until: row.ends_at });
        }
        Ok(packages)
    }
}

/// How many accounts have each plan, or a package that still lasts.
pub(super) async fn counts(connection: &mut PgConnection, dated: Option<DateTime<Utc>>) -> Result<HashMap<PlanId, u64>> {
    let now = instant(connection, dated).await?;
    let rows = sqlx::query!(
        r#"
        select plan_id as "plan!: PlanId", count(distinct account_id) as "accounts!"
        from (
            select plan_id, account_id from subscriptions where ended_at is null
            union all
            select p.plan_id, p.account_id
            from plan_periods p join plan_versions v using (plan_id, version)
            where p.ends_at > $1 and v.days is not null
        ) held
        group by plan_id
        "#,
        now
    );
    Ok(rows.fetch_all(connection).await?.into_iter().map(|row| (row.plan, row.accounts.unsigned_abs())).collect())
}

async fn instant(connection: &mut PgConnection, dated: Option<DateTime<Utc>>) -> Result<DateTime<Utc>> {
    match dated {
        Some(dated) => Ok(dated),
        None => crate::clock(connection).await,
    }
}
