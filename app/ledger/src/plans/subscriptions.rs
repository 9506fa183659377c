//! Who has which plan, and what becomes of it.

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    credit::Quantity,
    id::{AccountId, GrantId, PlanId, SubscriptionId},
    plan::{Month, Overage, Plan, PlanLimits, Subscription},
};
use serde_json::json;
use sqlx::PgConnection;

use super::offers::version;
use crate::{
    AccountOwner, AccountReader, Error, Operator, Result,
    account_state::expect_open,
    audit::{self, Line},
    books::{Books, Lock},
    credit_lines,
    database::Database,
    limits,
};

impl AccountReader {
    /// The account's plan.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn subscription(&self) -> Result<Option<Subscription>> {
        let mut connection = self.database.read().await?;
        let Some(open) = Open::read(&mut connection, self.account).await? else { return Ok(None) };
        open.subscription(&mut connection).await.map(Some)
    }
}

impl AccountOwner {
    /// Ends the account's plan when its period ends, or does not, as long as that is still this one.
    ///
    /// # Errors
    /// [`Error::NotFound`] without a plan; [`Error::Invalid`] where the account has another one by now.
    pub async fn end_plan(&self, plan: PlanId, ends: bool) -> Result<()> {
        end_plan(&self.database, self.account, Some(plan), ends).await
    }
}

impl Operator {
    /// As [`AccountOwner::end_plan`], whichever plan the account has.
    ///
    /// # Errors
    /// [`Error::NotFound`] without a plan.
    pub async fn end_plan(&self, account: AccountId, ends: bool) -> Result<()> {
        end_plan(&self.database, account, None, ends).await
    }
}

/// Puts the account on quota where the plan refuses what goes beyond it, or takes it off where only the plan before had put it there. Returns whether the
/// plan has put it there.
pub(super) async fn set_quota(
    connection: &mut PgConnection,
    books: &mut Books,
    account: AccountId,
    overage: Overage,
    was_set: bool,
    actor: &str,
) -> Result<bool> {
    let is_wanted = overage == Overage::Refused;
    let is_quota = credit_lines::in_force(connection, account).await?.is_quota;
    if is_wanted == is_quota || (is_quota && !was_set) {
        return Ok(was_set && is_quota);
    }
    let set = credit_lines::set(connection, books, account, actor, |line| line.is_quota = is_wanted).await;
    match set {
        Ok(_) => Ok(is_wanted),
        Err(Error::Invalid { .. }) => {
            Err(Error::invalid("plan", "refuses what goes beyond it, and the account may owe: set its credit line to 0 before"))
        }
        Err(other) => Err(other),
    }
}

async fn end_plan(database: &Database, account: AccountId, plan: Option<PlanId>, ends: bool) -> Result<()> {
    let mut tx = database.change().await?;
    Books::lock(&mut tx, &[account], Lock::Wait, database.dated).await?.of(account)?;
    let open = Open::read(&mut tx, account).await?.ok_or(Error::NotFound)?;
    if plan.is_some_and(|plan| plan != open.plan.0) {
        return Err(Error::invalid("plan", "is another one by now: look at what the account has"));
    }
    if !ends {
        expect_open(&mut tx, account).await?;
    }
    let line = set_end(&mut tx, account, ends).await?.ok_or(Error::NotFound)?;
    tx.commit(line).await
}

/// Has an account's plan end with its month, or go on, under the lock of its books. Returns what the log says of it; nothing without a plan.
pub(crate) async fn set_end(connection: &mut PgConnection, account: AccountId, ends: bool) -> Result<Option<Line>> {
    let Some(open) = Open::read(connection, account).await? else { return Ok(None) };
    let next = match open.next {
        Some((plan, version)) => Some(self::version(connection, plan, version).await?.name),
        None => None,
    };
    // What was to follow does not follow either way.
    sqlx::query!(
        "update subscriptions set ends = $2, next_plan_id = null, next_version = null where account_id = $1 and ended_at is null",
        account.uuid(),
        ends
    )
    .execute(&mut *connection)
    .await?;
    let said = |ends: bool, next: Option<&str>| Some(json!({"ends": ends, "next": next}));
    let name = audit::account_name(connection, account).await?;
    Ok(Some(Line::new(Operation::PlanEnd, open.id, name, said(open.ends, next.as_deref()), said(ends, None)).of(account)))
}

/// A row of `subscriptions` that has not ended.
pub(crate) struct Open {
    pub(super) account: AccountId,
    pub(crate) id: SubscriptionId,
    pub(crate) plan: (PlanId, i64),
    pub(super) anchor: DateTime<Utc>,
    pub(crate) renews_at: DateTime<Utc>,
    pub(super) next: Option<(PlanId, i64)>,
    pub(super) ends: bool,
    pub(super) unpaid_since: Option<DateTime<Utc>>,
    is_quota: bool,
}

/// The newest period of a plan, and what is left of its allowance.
pub(super) struct Newest {
    pub(super) period: Month,
    pub(super) grant: GrantId,
    pub(super) left: Quantity,
}

impl Open {
    /// An account's. For whoever has locked its books it stays what it is.
    pub(crate) async fn read(connection: &mut PgConnection, account: AccountId) -> Result<Option<Self>> {
        let row = sqlx::query!(
            r#"
            select
                subscription_id as "id: SubscriptionId", plan_id as "plan: PlanId", version, anchor, renews_at, next_plan_id as "next_plan: PlanId",
                next_version, ends, unpaid_since, is_quota
            from subscriptions where account_id = $1 and ended_at is null
            "#,
            account.uuid()
        );
        Ok(row.fetch_optional(connection).await?.map(|row| Self {
            account,
            id: row.id,
            plan: (row.plan, row.version),
            anchor: row.anchor,
            renews_at: row.renews_at,
            next: row.next_plan.zip(row.next_version),
            ends: row.ends,
            unpaid_since: row.unpaid_since,
            is_quota: row.is_quota,
        }))
    }

    async fn subscription(&self, connection: &mut PgConnection) -> Result<Subscription> {
        let newest = self.newest(connection).await?;
        Ok(Subscription {
            id: self.id,
            plan: version(connection, self.plan.0, self.plan.1).await?,
            period: newest.period,
            next: match self.next {
                Some((plan, version)) => Some(self::version(connection, plan, version).await?),
                None => None,
            },
            ends: self.ends,
            unpaid_since: self.unpaid_since,
            left: newest.left,
        })
    }

    pub(super) async fn newest(&self, connection: &mut PgConnection) -> Result<Newest> {
        let row = sqlx::query!(
            r#"
            select p.starts_at, p.ends_at, p.grant_id as "grant: GrantId", g.granted - g.used - g.leased as "left!: Quantity"
            from plan_periods p join grants g using (account_id, grant_id)
            where p.account_id = $1 and p.subscription_id = $2
            order by p.starts_at desc limit 1
            "#,
            self.account.uuid(),
            self.id.uuid()
        );
        let row = row.fetch_optional(connection).await?;
        let row = row.ok_or_else(|| Error::Corrupt(format!("nothing was ever paid for subscription {}", self.id)))?;
        Ok(Newest { period: Month { from: row.starts_at, to: row.ends_at }, grant: row.grant, left: row.left })
    }

    /// The plan of the period that comes.
    pub(super) async fn coming(&self, connection: &mut PgConnection) -> Result<Plan> {
        let (plan, version) = self.next.unwrap_or(self.plan);
        self::version(connection, plan, version).await
    }

    /// What comes when the period ends: the plan that there is, if it is that one.
    pub(super) async fn follow(&self, connection: &mut PgConnection, plan: &Plan) -> Result<()> {
        let next = Some((plan.id, plan.version)).filter(|next| *next != self.plan);
        sqlx::query!(
            "update subscriptions set ends = false, next_plan_id = $3, next_version = $4 where account_id = $1 and subscription_id = $2",
            self.account.uuid(),
            self.id.uuid(),
            next.map(|(plan, _)| plan.uuid()),
            next.map(|(_, version)| version)
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    /// A period of a plan was paid for: months are counted from the anchor, and the next one comes then.
    pub(super) async fn go_on(
        &self,
        connection: &mut PgConnection,
        books: &mut Books,
        plan: &Plan,
        (anchor, renews_at): (DateTime<Utc>, DateTime<Utc>),
        actor: &str,
    ) -> Result<()> {
        let is_quota = set_quota(connection, books, self.account, plan.terms.overage, self.is_quota, actor).await?;
        limits::follow_plan(connection, books, self.account, plan.terms.limits).await?;
        sqlx::query!(
            r#"
            update subscriptions set
                plan_id = $3, version = $4, anchor = $5, renews_at = $6, is_quota = $7, next_plan_id = null, next_version = null, ends = false,
                unpaid_since = null
            where account_id = $1 and subscription_id = $2
            "#,
            self.account.uuid(),
            self.id.uuid(),
            plan.id.uuid(),
            plan.version,
            anchor,
            renews_at,
            is_quota
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Ends it.
    pub(super) async fn end(&self, connection: &mut PgConnection, books: &mut Books, actor: &str) -> Result<()> {
        set_quota(connection, books, self.account, Overage::Wallet, self.is_quota, actor).await?;
        limits::follow_plan(connection, books, self.account, PlanLimits::NONE).await?;
        let now = books.of(self.account)?.now();
        sqlx::query!(
            "update subscriptions set ended_at = $3 where account_id = $1 and subscription_id = $2",
            self.account.uuid(),
            self.id.uuid(),
            now
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Its next period could not be paid for.
    pub(super) async fn is_unpaid(&self, connection: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
        sqlx::query!(
            "update subscriptions set unpaid_since = coalesce(unpaid_since, $3) where account_id = $1 and subscription_id = $2",
            self.account.uuid(),
            self.id.uuid(),
            now
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
