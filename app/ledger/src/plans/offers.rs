//! What is sold.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    audit::Operation,
    credit::{Quantity, Unit},
    id::PlanId,
    money::Amount,
    plan::{Overage, Plan, PlanLimit, PlanLimits, PlanTerms, PlanVersion, Term},
    pricing::Discount,
};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::holders;
use crate::{
    Error, Ledger, Operator, Result,
    audit::Line,
    catalog::{expect_known, named},
    encoding::{self, Encoding, Seal},
};

/// A plan or a package that is to be sold, or another version of one.
#[derive(Debug, Clone)]
pub struct NewPlan<'a> {
    /// Its id, if there is none of this name yet.
    pub id: PlanId,
    /// Its name.
    pub name: &'a str,
    /// Whether customers are shown it and may buy it.
    pub is_offered: bool,
    /// What it is.
    pub terms: PlanTerms,
    /// The newest version that whoever sets it has seen, 0 where there was none: another one that was written meanwhile is not written over. `None` to
    /// write over any.
    pub seen: Option<i64>,
    /// Who sets it.
    pub actor: &'a str,
    /// When.
    pub now: DateTime<Utc>,
}

impl Ledger {
    /// The plans and packages that customers may buy, the cheapest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn offers(&self) -> Result<Vec<Plan>> {
        let mut plans = newest(&mut *self.database.read().await?).await?;
        plans.retain(|plan| plan.is_offered);
        Ok(plans)
    }
}

impl Operator {
    /// Every plan and package in its newest version, the cheapest first, each with how many accounts have it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn plans(&self) -> Result<Vec<(Plan, u64)>> {
        let mut connection = self.database.read().await?;
        let plans = newest(&mut connection).await?;
        let mut accounts = holders::counts(&mut connection, self.database.dated).await?;
        let counted = plans.into_iter().map(|plan| {
            let many = accounts.remove(&plan.id).unwrap_or(0);
            (plan, many)
        });
        Ok(counted.collect())
    }

    /// Every version of a plan or a package, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn plan_versions(&self, plan: PlanId) -> Result<Vec<PlanVersion>> {
        let versions = read(&mut *self.database.read().await?, Some(plan), None).await?;
        if versions.is_empty() { Err(Error::NotFound) } else { Ok(versions.into_iter().rev().map(|(SetPlan(set), _)| set).collect()) }
    }

    /// Sells a plan or a package from now on, under a new name or as another version of what has the name. Saying what it is already changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for terms that cannot be, a model that does not exist, or a plan that is to become a package; [`Error::Taken`] where another
    /// version was written than the one that was seen.
    pub async fn set_plan(&self, new: NewPlan<'_>) -> Result<Plan> {
        let mut tx = self.database.change().await?;
        let Draft { before, after } = draft(&mut tx, new).await?;
        let SetPlan(PlanVersion { plan, .. }) = match after {
            Some(after) => after,
            None => return before.ok_or_else(|| Error::Corrupt("a plan is as it was, and was not".to_owned())),
        };
        let line = Line::new(Operation::PlanSet, plan.id, &plan.name, before.as_ref().map(in_words), Some(in_words(&plan)));
        tx.commit(line).await?;
        Ok(plan)
    }

    /// What [`Self::set_plan`] would sell, if it is anything else than is sold already. Nothing is written.
    ///
    /// # Errors
    /// As there.
    pub async fn review_plan(&self, new: NewPlan<'_>) -> Result<Option<Plan>> {
        let mut tx = self.database.change().await?;
        let Draft { after, .. } = draft(&mut tx, new).await?;
        tx.undo().await?;
        Ok(after.map(|SetPlan(set)| set.plan))
    }
}

/// What is sold, and what is to be; `None` where that is the same.
struct Draft {
    before: Option<Plan>,
    after: Option<SetPlan>,
}

/// Writes what is to be sold, for whoever commits it.
async fn draft(connection: &mut PgConnection, new: NewPlan<'_>) -> Result<Draft> {
    let terms = PlanTerms { models: named(new.terms.models.as_deref())?, ..new.terms };
    terms.check().map_err(|error| Error::invalid(error.field, error.problem))?;
    let name = Error::one_line("name", new.name)?;
    if name.is_empty() || name.chars().count() > 80 {
        return Err(Error::invalid("name", "write a name of 1 to 80 letters"));
    }
    expect_known(connection, terms.models.as_deref()).await?;
    let insert = sqlx::query!(
        "insert into plans (plan_id, name, created_at) values ($1, $2, $3) on conflict do nothing",
        new.id.uuid(),
        name,
        new.now
    );
    insert.execute(&mut *connection).await?;
    // Two operators at once set one after the other.
    let plan = sqlx::query!(r#"select plan_id as "id: PlanId", name from plans where lower(name) = lower($1) for update"#, name);
    let plan = plan.fetch_one(&mut *connection).await?;
    let before = newest(connection).await?.into_iter().find(|one| one.id == plan.id);
    let version = before.as_ref().map_or(0, |one| one.version);
    if let Some(before) = &before {
        if (&before.terms, before.is_offered) == (&terms, new.is_offered) {
            return Ok(Draft { after: None, before: Some(before.clone()) });
        }
        if before.terms.is_monthly() != terms.is_monthly() {
            let problem = "a plan by the month does not become a package, nor a package a plan: choose another name";
            return Err(Error::invalid("name", problem));
        }
    }
    match new.seen {
        Some(0) if version > 0 => return Err(Error::Taken("a plan or a package of this name")),
        Some(seen) if seen != version => return Err(Error::Taken("a newer version than the one that you saw")),
        _ => {}
    }
    let plan = Plan { id: plan.id, name: plan.name, version: version + 1, is_offered: new.is_offered, terms };
    let after = SetPlan(PlanVersion { plan, set_at: new.now, set_by: new.actor.to_owned() });
    after.insert(connection).await?;
    Ok(Draft { before, after: Some(after) })
}

/// As the audit log has it.
fn in_words(plan: &Plan) -> Value {
    let Plan { version, is_offered, terms, .. } = plan;
    let limits =
        terms.limits.each().map(|PlanLimit { unit, window, capacity }| format!("{} per {}", capacity.in_words(unit), window.name()));
    json!({
        "version": version, "offered": is_offered, "days": days(terms.term), "fee": terms.fee, "unit": terms.unit.name(),
        "allowance": terms.allowance.in_words(terms.unit), "models": terms.models, "overage": terms.overage, "discount_bps": terms.discount.bps(),
        "limits": limits.collect::<Vec<_>>()
    })
}

/// The newest encoding, by which versions are sealed.
const VERSION: u8 = 2;

/// A row of `plan_versions`.
#[derive(Debug, Clone)]
pub(crate) struct SetPlan(pub(crate) PlanVersion);

impl SetPlan {
    /// Without what it bounds, which no plan did then.
    fn digest_1(&self) -> [u8; 32] {
        self.encode(Encoding::new(b"farebox plan 1")).digest()
    }

    fn digest_2(&self) -> [u8; 32] {
        let mut row = self.encode(Encoding::new(b"farebox plan 2"));
        let PlanLimits { requests_a_minute, tokens_a_minute, money_a_month } = self.0.plan.terms.limits;
        for capacity in [requests_a_minute, tokens_a_minute, money_a_month] {
            row.maybe(capacity.map(Quantity::get), Encoding::number);
        }
        row.digest()
    }

    fn encode(&self, mut row: Encoding) -> Encoding {
        let PlanVersion { plan: Plan { id, version, is_offered, terms, name: _ }, set_at, set_by } = &self.0;
        row.id(id.uuid());
        row.number(*version);
        row.truth(*is_offered);
        row.maybe(days(terms.term), |row, days| row.number(i64::from(days)));
        row.number(terms.fee.nanos());
        row.text(terms.unit.name());
        row.number(terms.allowance.get());
        row.maybe(terms.models.as_ref(), |row, models| {
            row.number(models.len() as i64);
            models.iter().for_each(|model| row.text(model));
        });
        row.truth(terms.overage == Overage::Refused);
        row.number(i64::from(terms.discount.bps()));
        row.instant(*set_at);
        row.text(set_by);
        row
    }

    fn seal(&self) -> Seal {
        encoding::seal(VERSION, self.digest_2())
    }

    /// Whether this is the row that was sealed so. `None` if a later version of Farebox sealed it.
    pub(crate) fn fits(&self, seal: &[u8]) -> Option<bool> {
        encoding::fits(seal, |version| match version {
            1 if self.0.plan.terms.limits == PlanLimits::NONE => Some(self.digest_1()),
            1 | VERSION => Some(self.digest_2()),
            _ => None,
        })
    }

    async fn insert(&self, connection: &mut PgConnection) -> Result<()> {
        let PlanVersion { plan: Plan { id, version, is_offered, terms, name: _ }, set_at, set_by } = &self.0;
        sqlx::query!(
            r#"
            insert into plan_versions (
                plan_id, version, is_offered, days, fee, unit, allowance, models, is_refusing, discount_bps, set_at, set_by, seal,
                requests_a_minute, tokens_a_minute, money_a_month
            )
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
            "#,
            id.uuid(),
            version,
            is_offered,
            days(terms.term),
            terms.fee.nanos(),
            terms.unit as Unit,
            terms.allowance.get(),
            terms.models.as_deref(),
            terms.overage == Overage::Refused,
            terms.discount.bps(),
            set_at,
            set_by,
            &self.seal()[..],
            terms.limits.requests_a_minute.map(Quantity::get),
            terms.limits.tokens_a_minute.map(Quantity::get),
            terms.limits.money_a_month.map(Quantity::get)
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// How many days a package lasts, as it is stored.
fn days(term: Term) -> Option<i32> {
    match term {
        Term::Monthly => None,
        Term::Once { days } => Some(i32::try_from(days).unwrap_or(i32::MAX)),
    }
}

/// A row of `plan_versions` with its plan's name.
struct Row {
    id: PlanId,
    name: String,
    version: i64,
    is_offered: bool,
    days: Option<i32>,
    fee: Amount,
    unit: Unit,
    allowance: Quantity,
    models: Option<Vec<String>>,
    is_refusing: bool,
    discount_bps: i32,
    requests_a_minute: Option<Quantity>,
    tokens_a_minute: Option<Quantity>,
    money_a_month: Option<Quantity>,
    set_at: DateTime<Utc>,
    set_by: String,
    seal: Vec<u8>,
}

impl Row {
    fn read(self) -> Result<(SetPlan, Vec<u8>)> {
        let terms = PlanTerms {
            term: self.days.map_or(Term::Monthly, |days| Term::Once { days: days.unsigned_abs() }),
            fee: self.fee,
            unit: self.unit,
            allowance: self.allowance,
            models: self.models,
            overage: if self.is_refusing { Overage::Refused } else { Overage::Wallet },
            discount: Discount::from_bps(self.discount_bps).map_err(|error| Error::Corrupt(error.to_string()))?,
            limits: PlanLimits {
                requests_a_minute: self.requests_a_minute,
                tokens_a_minute: self.tokens_a_minute,
                money_a_month: self.money_a_month,
            },
        };
        let plan = Plan { id: self.id, name: self.name, version: self.version, is_offered: self.is_offered, terms };
        Ok((SetPlan(PlanVersion { plan, set_at: self.set_at, set_by: self.set_by }), self.seal))
    }
}

/// Every version of every plan, or of one, or one of them, oldest first, each with its seal.
async fn read(connection: &mut PgConnection, plan: Option<PlanId>, version: Option<i64>) -> Result<Vec<(SetPlan, Vec<u8>)>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select
            plan_id as "id: PlanId", p.name, version, is_offered, days, fee as "fee: Amount", unit as "unit: Unit",
            allowance as "allowance: Quantity", models, is_refusing, discount_bps,
            requests_a_minute as "requests_a_minute: Quantity", tokens_a_minute as "tokens_a_minute: Quantity",
            money_a_month as "money_a_month: Quantity", set_at, set_by, seal
        from plan_versions
        join plans p using (plan_id)
        where ($1::uuid is null or plan_id = $1) and ($2::bigint is null or version = $2)
        order by plan_id, version
        "#,
        plan.map(PlanId::uuid),
        version
    );
    rows.fetch_all(connection).await?.into_iter().map(Row::read).collect()
}

/// Every version of every plan, each with its seal.
pub(crate) async fn versions(connection: &mut PgConnection) -> Result<Vec<(SetPlan, Vec<u8>)>> {
    read(connection, None, None).await
}

/// Every plan as it is sold, or would be if it were offered: the cheapest first, plans before packages.
pub(super) async fn newest(connection: &mut PgConnection) -> Result<Vec<Plan>> {
    let newest: HashMap<_, _> = versions(connection).await?.into_iter().map(|(SetPlan(set), _)| (set.plan.id, set.plan)).collect();
    let mut plans = Vec::from_iter(newest.into_values());
    plans.sort_by_key(|plan| (!plan.terms.is_monthly(), plan.terms.fee, plan.id));
    Ok(plans)
}

/// A version that somebody has bought.
pub(super) async fn version(connection: &mut PgConnection, plan: PlanId, version: i64) -> Result<Plan> {
    let found = read(connection, Some(plan), Some(version)).await?.pop();
    found.map(|(SetPlan(set), _)| set.plan).ok_or_else(|| Error::Corrupt(format!("there is no version {version} of plan {plan}")))
}
