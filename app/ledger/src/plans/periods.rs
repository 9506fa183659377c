//! Periods that are paid for.

use chrono::{DateTime, Utc};
use domain::{
    billing::{GrantKind, JournalKind, PostingNumber},
    credit::Quantity,
    id::{AccountId, GrantId, PlanId, SubscriptionId},
    money::Amount,
    plan::Plan,
};
use sqlx::PgConnection;

use crate::{
    Error, NewGrant, Result,
    books::{Book, NewPosting, Request},
    encoding::{self, Encoding, Seal},
    money, new_grant,
};

/// A period that is to be paid for.
pub(super) struct NewPeriod<'a> {
    /// What it is paid for by: a purchase, or a subscription's turn. The same is paid for once.
    pub(super) request: &'a str,
    pub(super) subscription: SubscriptionId,
    pub(super) plan: &'a Plan,
    pub(super) starts_at: DateTime<Utc>,
    pub(super) ends_at: DateTime<Utc>,
    /// What comes back of the plan before it.
    pub(super) credit: Amount,
    pub(super) actor: &'a str,
}

/// A row of `plan_periods`.
pub(crate) struct PeriodRecord {
    pub(crate) account: AccountId,
    pub(crate) subscription: SubscriptionId,
    pub(crate) starts_at: DateTime<Utc>,
    pub(crate) ends_at: DateTime<Utc>,
    pub(crate) plan: PlanId,
    pub(crate) version: i64,
    pub(crate) credit: Amount,
    pub(crate) posting: Option<PostingNumber>,
    pub(crate) grant: GrantId,
}

impl NewPeriod<'_> {
    /// Takes the fee out of the wallet, and gives the allowance.
    ///
    /// # Errors
    /// [`Error::InsufficientCredit`] when the wallet has not so much that is neither held, nor spent, nor lent to it.
    pub(super) async fn pay(&self, connection: &mut PgConnection, book: &mut Book) -> Result<()> {
        let Self { request, subscription, plan, starts_at, ends_at, credit, actor } = *self;
        let due = due(plan, credit)?;
        let posting = if due.is_zero() { None } else { Some(self.take(book, due)?) };
        let (kind, memo) = match plan.terms.is_monthly() {
            true => (GrantKind::Plan, format!("{}, until {}", plan.name, ends_at.date_naive())),
            false => (GrantKind::Package, plan.name.clone()),
        };
        let grant = self.grant();
        let allowance = NewGrant {
            id: grant,
            kind,
            unit: plan.terms.unit,
            quantity: plan.terms.allowance,
            models: plan.terms.models.clone(),
            starts_at: None,
            expires_at: Some(ends_at),
            priority: 0,
            idempotency_key: &allowance_key(request),
            memo: &memo,
            actor,
            now: book.now(),
        };
        new_grant::give(connection, book, &allowance, None).await?;
        let account = book.account;
        let record =
            PeriodRecord { account, subscription, starts_at, ends_at, plan: plan.id, version: plan.version, credit, posting, grant };
        record.insert(connection).await
    }

    /// The id of its allowance, which no other period has: it is of the subscription, and of when it begins.
    fn grant(&self) -> GrantId {
        let mut of = Encoding::new(b"farebox plan allowance 1");
        of.id(self.subscription.uuid());
        of.instant(self.starts_at);
        let [random @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = of.digest();
        GrantId::new(self.starts_at, random)
    }

    fn take(&self, book: &mut Book, due: Amount) -> Result<PostingNumber> {
        let taken = due.checked_neg().ok_or_else(money::too_large)?;
        money::expect_room(book, taken)?;
        let memo = match self.credit.is_zero() {
            true => self.plan.name.clone(),
            false => format!("{}: {} less {} for what was left of the plan before", self.plan.name, self.plan.terms.fee, self.credit),
        };
        let digest = money::request_digest(JournalKind::PlanFee, &taken.to_string(), &memo, self.actor);
        let (wallet, posted_at) = (book.wallet()?, book.now());
        book.post(NewPosting {
            kind: JournalKind::PlanFee,
            memo,
            actor: self.actor.to_owned(),
            request: Some(Request { idempotency_key: format!("plan {}", self.request), digest }),
            event_at: self.starts_at,
            posted_at,
            calls: None,
            seals: None,
            grants: vec![(wallet, taken.nanos())],
        })
    }
}

/// What of a plan's fee is to be paid, less what comes back of the plan before it.
pub(super) fn due(plan: &Plan, credit: Amount) -> Result<Amount> {
    let due = plan.terms.fee.checked_sub(credit).filter(|due| *due >= Amount::ZERO);
    due.ok_or_else(|| Error::Corrupt(format!("more would come back of a plan than {} costs", plan.name)))
}

/// The idempotency key of the allowance that a request is given, be there a fee or not.
pub(super) fn allowance_key(request: &str) -> String {
    format!("allowance {request}")
}

/// The newest encoding, by which they are sealed.
const VERSION: u8 = 1;

impl PeriodRecord {
    fn digest_1(&self) -> [u8; 32] {
        let mut row = Encoding::new(b"farebox plan period 1");
        row.id(self.account.uuid());
        row.id(self.subscription.uuid());
        row.instant(self.starts_at);
        row.instant(self.ends_at);
        row.id(self.plan.uuid());
        row.number(self.version);
        row.number(self.credit.nanos());
        row.maybe(self.posting.map(PostingNumber::get), Encoding::number);
        row.id(self.grant.uuid());
        row.digest()
    }

    fn seal(&self) -> Seal {
        encoding::seal(VERSION, self.digest_1())
    }

    /// Whether this is the row that was sealed so. `None` if a later version of Farebox sealed it.
    pub(crate) fn fits(&self, seal: &[u8]) -> Option<bool> {
        encoding::fits(seal, |version| (version == VERSION).then(|| self.digest_1()))
    }

    async fn insert(&self, connection: &mut PgConnection) -> Result<()> {
        sqlx::query!(
            r#"
            insert into plan_periods (account_id, subscription_id, starts_at, ends_at, plan_id, version, credit, posting, grant_id, seal)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            "#,
            self.account.uuid(),
            self.subscription.uuid(),
            self.starts_at,
            self.ends_at,
            self.plan.uuid(),
            self.version,
            self.credit.nanos(),
            self.posting.map(PostingNumber::get),
            self.grant.uuid(),
            &self.seal()[..]
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// A period that was paid for, with what the books say of it.
pub(crate) struct PaidPeriod {
    pub(crate) record: PeriodRecord,
    pub(crate) seal: Vec<u8>,
    /// What the posting took out of the wallet, in nanos, if it is of a plan's fee.
    pub(crate) taken: Option<Amount>,
    /// What the allowance was given, and when it ends.
    pub(crate) given: Option<Quantity>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// Every period of an account, oldest first.
pub(crate) async fn of_account(connection: &mut PgConnection, account: AccountId) -> Result<Vec<PaidPeriod>> {
    let rows = sqlx::query!(
        r#"
        select
            p.subscription_id as "subscription: SubscriptionId", p.starts_at, p.ends_at, p.plan_id as "plan: PlanId", p.version,
            p.credit as "credit: Amount", p.posting as "posting: PostingNumber", p.grant_id as "grant: GrantId", p.seal, g.expires_at,
            (
                select -sum(e.amount) from journal j join entries e using (account_id, seq)
                where j.account_id = p.account_id and j.seq = p.posting and j.kind = 'plan_fee' and e.grant_id is not null
            )::bigint as "taken: Amount",
            (
                select sum(e.amount) from entries e join journal j using (account_id, seq)
                where e.account_id = p.account_id and e.grant_id = p.grant_id and j.kind in ('allowance', 'package')
            )::bigint as "given: Quantity"
        from plan_periods p
        join grants g using (account_id, grant_id)
        where p.account_id = $1
        order by p.starts_at, p.subscription_id
        "#,
        account.uuid()
    )
    .fetch_all(connection)
    .await?;
    let paid = rows.into_iter().map(|row| PaidPeriod {
        record: PeriodRecord {
            account,
            subscription: row.subscription,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            plan: row.plan,
            version: row.version,
            credit: row.credit,
            posting: row.posting,
            grant: row.grant,
        },
        seal: row.seal,
        taken: row.taken,
        given: row.given,
        expires_at: row.expires_at,
    });
    Ok(paid.collect())
}
