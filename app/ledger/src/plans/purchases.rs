//! What somebody buys: decided first, and then either told or done.

use chrono::{DateTime, Days, Utc};
use domain::{
    audit::Operation,
    id::{AccountId, GrantId, PlanId, SubscriptionId},
    money::Amount,
    plan::{Bought, Month, Plan, Quote, Term},
};
use serde_json::json;
use sqlx::PgConnection;

use super::{
    offers::{newest, version},
    periods::{self, NewPeriod},
    subscriptions::{Open, set_quota},
};
use crate::{
    AccountOwner, Error, Operator, Result,
    account_state::expect_open,
    audit::{self, Line},
    books::{Books, Lock},
    database::Database,
    limits, money, new_grant, notices,
};

/// A plan or a package that somebody wants.
#[derive(Debug, Clone, Copy)]
pub struct Purchase<'a> {
    /// Its id. The same again, of what was paid for, is the same purchase, however often it arrives.
    pub id: SubscriptionId,
    /// What.
    pub plan: PlanId,
    /// In which version, so that nobody pays another price than they have seen.
    pub version: i64,
    /// Who asks.
    pub actor: &'a str,
}

impl AccountOwner {
    /// Buys a package, or a plan that is offered: as the first one; at once for one that costs more than the plan there is, with what is left of that
    /// taken off; else when the period ends.
    ///
    /// # Errors
    /// [`Error::InsufficientCredit`]; [`Error::Invalid`] for what is not offered, is sold in another version by now, or is the account's plan already.
    pub async fn buy(&self, purchase: Purchase<'_>) -> Result<Bought> {
        buy(&self.database, self.account, purchase, Offered::Only).await
    }

    /// What [`Self::buy`] would come to at this moment. Nothing is bought, also where the balance does not cover it, which the answer says.
    ///
    /// # Errors
    /// As there.
    pub async fn quote(&self, plan: PlanId) -> Result<Quote> {
        quote(&self.database, self.account, plan).await
    }
}

impl Operator {
    /// As [`AccountOwner::buy`], also of what is not offered.
    ///
    /// # Errors
    /// As there, and [`Error::NotFound`] for an unknown account.
    pub async fn buy(&self, account: AccountId, purchase: Purchase<'_>) -> Result<Bought> {
        buy(&self.database, account, purchase, Offered::OrNot).await
    }
}

/// What may be bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offered {
    Only,
    OrNot,
}

/// What a purchase comes to, decided before anything is written.
enum Deal {
    /// A package, which lasts until then.
    Package(DateTime<Utc>),
    /// The first plan, or the first after one that has ended.
    First(Month),
    /// A dearer plan, at once: the allowance of the one before ends, and so much of its fee comes back.
    Dearer { open: Open, ended: GrantId, credit: Amount, period: Month },
    /// A plan that follows when the period ends that is paid for.
    Later(Open),
}

impl Deal {
    async fn of(connection: &mut PgConnection, account: AccountId, plan: &Plan, now: DateTime<Utc>) -> Result<Self> {
        let too_long = || Error::invalid("plan", "lasts too long");
        if let Term::Once { days } = plan.terms.term {
            return Ok(Self::Package(now.checked_add_days(Days::new(days.into())).ok_or_else(too_long)?));
        }
        let period = Month::nth(now, 0).ok_or_else(too_long)?;
        let Some(open) = Open::read(connection, account).await? else { return Ok(Self::First(period)) };
        if (plan.id, plan.version) == open.plan && open.next.is_none() && !open.ends {
            return Err(Error::invalid("plan", "is the account's plan already"));
        }
        let present = version(connection, open.plan.0, open.plan.1).await?;
        if plan.terms.fee <= present.terms.fee && now < open.renews_at {
            return Ok(Self::Later(open));
        }
        let newest = open.newest(connection).await?;
        let credit = newest.period.unused(present.terms.fee, now, present.terms.allowance, newest.left);
        Ok(Self::Dearer { open, ended: newest.grant, credit, period })
    }

    /// When it begins, or how long it lasts.
    const fn bought(&self) -> Bought {
        match self {
            Self::Package(until) => Bought::Now(*until),
            Self::First(period) | Self::Dearer { period, .. } => Bought::Now(period.to),
            Self::Later(open) => Bought::Then(open.renews_at),
        }
    }

    /// What comes back of the plan before.
    const fn credit(&self) -> Amount {
        match self {
            Self::Dearer { credit, .. } => *credit,
            Self::Package(_) | Self::First(_) | Self::Later(_) => Amount::ZERO,
        }
    }

    /// What leaves the balance now.
    fn due(&self, plan: &Plan) -> Result<Amount> {
        if matches!(self, Self::Later(_)) { Ok(Amount::ZERO) } else { periods::due(plan, self.credit()) }
    }

    async fn close(
        self,
        connection: &mut PgConnection,
        books: &mut Books,
        plan: &Plan,
        purchase: &Purchase<'_>,
        account: AccountId,
    ) -> Result<()> {
        let Purchase { id, actor, .. } = *purchase;
        let now = books.of(account)?.now();
        let request = id.to_string();
        let period = |subscription, to| NewPeriod {
            request: &request,
            subscription,
            plan,
            starts_at: now,
            ends_at: to,
            credit: self.credit(),
            actor,
        };
        match &self {
            Self::Package(until) => period(id, *until).pay(connection, books.of(account)?).await,
            Self::First(month) => {
                period(id, month.to).pay(connection, books.of(account)?).await?;
                begin(connection, books, account, id, plan, *month, actor).await
            }
            Self::Dearer { open, ended, period: month, .. } => {
                new_grant::end(connection, books.of(account)?, *ended, actor).await?;
                period(open.id, month.to).pay(connection, books.of(account)?).await?;
                open.go_on(connection, books, plan, (now, month.to), actor).await
            }
            Self::Later(open) => open.follow(connection, plan).await,
        }
    }
}

async fn buy(database: &Database, account: AccountId, purchase: Purchase<'_>, offered: Offered) -> Result<Bought> {
    let mut tx = database.change().await?;
    let mut books = Books::lock(&mut tx, &[account], Lock::Wait, database.dated).await?;
    let now = books.of(account)?.now();
    if let Some(bought) = bought_before(&mut tx, account, &purchase).await? {
        return Ok(bought);
    }
    expect_open(&mut tx, account).await?;
    let plan = on_sale(&mut tx, purchase.plan, offered).await?;
    if plan.version != purchase.version {
        return Err(Error::invalid("plan", format!("{} has changed since you looked: read what it is now, and choose again", plan.name)));
    }
    let deal = Deal::of(&mut tx, account, &plan, now).await?;
    let bought = deal.bought();
    deal.close(&mut tx, &mut books, &plan, &purchase, account).await?;
    books.write(&mut tx).await?;
    notices::tell(&mut tx, account).await?;
    let (begins, at) = match bought {
        Bought::Now(until) => ("now", until),
        Bought::Then(from) => ("later", from),
    };
    let said = json!({"plan": plan.name, "version": plan.version, "fee": plan.terms.fee, "begins": begins, "at": at});
    let name = audit::account_name(&mut tx, account).await?;
    tx.commit(Line::new(Operation::PlanBuy, purchase.id, name, None, Some(said)).of(account)).await?;
    Ok(bought)
}

/// Decides under the account's lock as a purchase does, and lets go of it.
async fn quote(database: &Database, account: AccountId, plan: PlanId) -> Result<Quote> {
    let mut tx = database.change().await?;
    let mut books = Books::lock(&mut tx, &[account], Lock::Wait, database.dated).await?;
    let book = books.of(account)?;
    let (now, balance, room) = (book.now(), book.wallet_balance(), money::room(book)?);
    expect_open(&mut tx, account).await?;
    let plan = on_sale(&mut tx, plan, Offered::Only).await?;
    let deal = Deal::of(&mut tx, account, &plan, now).await?;
    tx.undo().await?;
    Ok(Quote { bought: deal.bought(), credit: deal.credit(), due: deal.due(&plan)?, balance, room, now, plan })
}

async fn on_sale(connection: &mut PgConnection, plan: PlanId, offered: Offered) -> Result<Plan> {
    let on_sale = newest(connection).await?.into_iter().find(|one| one.id == plan && (one.is_offered || offered == Offered::OrNot));
    on_sale.ok_or_else(|| Error::invalid("plan", "is not sold any more: choose another"))
}

/// What became of the same purchase before, if it was paid for.
async fn bought_before(connection: &mut PgConnection, account: AccountId, purchase: &Purchase<'_>) -> Result<Option<Bought>> {
    let row = sqlx::query!(
        r#"
        select p.plan_id as "plan: PlanId", p.version, p.ends_at
        from journal j
        join entries e using (account_id, seq)
        join plan_periods p using (account_id, grant_id)
        where j.account_id = $1 and j.idempotency_key = $2
        "#,
        account.uuid(),
        periods::allowance_key(&purchase.id.to_string())
    );
    match row.fetch_optional(connection).await? {
        None => Ok(None),
        Some(row) if (row.plan, row.version) == (purchase.plan, purchase.version) => Ok(Some(Bought::Now(row.ends_at))),
        Some(_) => Err(Error::IdempotencyConflict),
    }
}

/// The first plan of an account, or the first after one that has ended, of which a month was paid for.
async fn begin(
    connection: &mut PgConnection,
    books: &mut Books,
    account: AccountId,
    id: SubscriptionId,
    plan: &Plan,
    month: Month,
    actor: &str,
) -> Result<()> {
    let is_quota = set_quota(connection, books, account, plan.terms.overage, false, actor).await?;
    limits::follow_plan(connection, books, account, plan.terms.limits).await?;
    sqlx::query!(
        r#"
        insert into subscriptions (account_id, subscription_id, plan_id, version, anchor, renews_at, is_quota)
        values ($1, $2, $3, $4, $5, $6, $7)
        "#,
        account.uuid(),
        id.uuid(),
        plan.id.uuid(),
        plan.version,
        month.from,
        month.to,
        is_quota
    )
    .execute(connection)
    .await?;
    Ok(())
}
