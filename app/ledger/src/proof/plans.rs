//! What must hold of plans, and of the periods of them that were paid for.

use std::collections::HashMap;

use domain::{
    id::{AccountId, PlanId},
    money::Amount,
    plan::{PlanTerms, PlanVersion},
};
use sqlx::PgConnection;

use super::claim::{Claim, Findings};
use crate::{
    Result,
    plans::{self, Open, PaidPeriod, SetPlan},
};

/// Every version of every plan, as far as this version of Farebox can read it.
#[derive(Debug, Default)]
pub(super) struct Plans(HashMap<(PlanId, i64), PlanTerms>);

impl Plans {
    /// Reads all of them, and checks that each is the one that was set.
    pub(super) async fn read(connection: &mut PgConnection, findings: &mut Findings) -> Result<Self> {
        let versions = plans::versions(connection).await?.into_iter().map(|(set, seal)| {
            let fits = set.fits(&seal);
            let SetPlan(PlanVersion { plan, .. }) = set;
            findings.sealed(Claim::PlanIsSealed, || format!("version {} of plan {}", plan.version, plan.id), fits);
            ((plan.id, plan.version), plan.terms)
        });
        Ok(Self(versions.collect()))
    }
}

/// Checks every period of an account, and that its plan is that of the newest one.
pub(super) async fn check(connection: &mut PgConnection, account: AccountId, findings: &mut Findings) -> Result<()> {
    let mut paid = plans::of_account(connection, account).await?;
    if !paid.is_empty() {
        // Of this snapshot: the newest may have been set since the proof began.
        let plans = Plans::read(connection, &mut Findings::default()).await?;
        paid.iter().for_each(|period| check_period(period, &plans, findings));
    }
    let open = Open::read(connection, account).await?;
    check_limits(connection, account, open.as_ref(), findings).await?;
    if let Some(open) = open {
        paid.retain(|period| period.record.subscription == open.id);
        let newest = paid.last().map(|period| (period.record.plan, period.record.version, period.record.ends_at));
        let row = || format!("subscription {} of account {account}", open.id);
        findings.compare(Claim::PlanIsPaid, row, format!("{newest:?}"), format!("{:?}", Some((open.plan.0, open.plan.1, open.renews_at))));
    }
    Ok(())
}

/// The limits that come with a plan are those of the plan that the account has, and are gone without one.
async fn check_limits(connection: &mut PgConnection, account: AccountId, open: Option<&Open>, findings: &mut Findings) -> Result<()> {
    let expected = sqlx::query!(
        r#"
        select requests_a_minute, tokens_a_minute, money_a_month from plan_versions where plan_id = $1 and version = $2
        "#,
        open.map(|open| open.plan.0.uuid()),
        open.map(|open| open.plan.1)
    );
    let expected = expected.fetch_optional(&mut *connection).await?;
    let found = sqlx::query!(
        r#"
        select
            sum(capacity) filter (where unit = 'requests' and per = 'minute')::bigint as requests_a_minute,
            sum(capacity) filter (where unit = 'tokens' and per = 'minute')::bigint as tokens_a_minute,
            sum(capacity) filter (where unit = 'money' and per = 'month')::bigint as money_a_month,
            count(*) filter (where scope = 'account' and hardness = 'hard') as "bounds!", count(*) as "limits!"
        from limits where account_id = $1 and set_by = 'plan' and removed_at is null
        "#,
        account.uuid()
    );
    let found = found.fetch_one(connection).await?;
    let expected = expected.map_or([None; 3], |row| [row.requests_a_minute, row.tokens_a_minute, row.money_a_month]);
    let bounds = expected.iter().flatten().count().to_string();
    let figures = [found.requests_a_minute, found.tokens_a_minute, found.money_a_month];
    let row = || format!("limits that come with the plan of account {account}");
    findings.compare(
        Claim::PlanIsPaid,
        row,
        format!("{expected:?}, {bounds} of {bounds}"),
        format!("{figures:?}, {} of {}", found.bounds, found.limits),
    );
    Ok(())
}

/// The posting took the fee, less what came back, and the allowance is the plan's.
fn check_period(period: &PaidPeriod, plans: &Plans, findings: &mut Findings) {
    let record = &period.record;
    let row = || format!("period from {} of subscription {}", record.starts_at, record.subscription);
    findings.sealed(Claim::PeriodIsSealed, row, record.fits(&period.seal));
    let Some(terms) = plans.0.get(&(record.plan, record.version)) else {
        return findings.note(Claim::PlanIsPaid, row(), "a version of a plan", "none");
    };
    let due = terms.fee.checked_sub(record.credit).filter(|due| *due != Amount::ZERO);
    let expected = (due, Some(terms.allowance), Some(record.ends_at));
    let found = (period.taken, period.given, period.expires_at);
    findings.compare(Claim::PlanIsPaid, row, format!("{expected:?}"), format!("{found:?}"));
}
