//! What must hold of limits: what is in their windows is what their calls used.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    attribution::Label,
    credit::{Hardness, Limit, Pool, Quantity, Unit, Window},
    id::{AccountId, KeyId, LimitId, ProjectId, UserId},
    money::Amount,
};
use sqlx::PgConnection;

use super::claim::{Claim, Findings};
use crate::{
    Result,
    corrections::CorrectionRecord,
    limits::{Counted, Whose, WindowKey},
    settled::{CallRecord, tokens_counted},
};

/// For how long minutes are kept at least; a little less, since the clock goes on.
const KEPT: TimeDelta = TimeDelta::hours(23);

/// The limits of an account, and what its calls used of them.
pub(super) struct Limits {
    limits: Vec<StoredLimit>,
    /// Keys that are a member's own.
    members: HashMap<KeyId, UserId>,
    used: BTreeMap<WindowKey, i128>,
    opening: BTreeMap<WindowKey, i128>,
}

struct StoredLimit {
    limit: Limit,
    created_at: DateTime<Utc>,
    /// Calls count no more in one that was removed; what running ones hold of it is freed.
    is_removed: bool,
}

impl Limits {
    pub(super) async fn read(connection: &mut PgConnection, account: AccountId) -> Result<Self> {
        let rows = sqlx::query!(
            r#"
            select
                limit_id as "id: LimitId", project_id as "project: ProjectId", user_id as "member: UserId", key_id as "key: KeyId",
                session as "run: Label", per as "window: Window", unit as "unit: Unit",
                hardness as "hardness: Hardness", capacity, created_at, removed_at is not null as "is_removed!"
            from limits where account_id = $1
            "#,
            account.uuid()
        )
        .fetch_all(&mut *connection)
        .await?;
        let keys = sqlx::query!(
            r#"select key_id as "key: KeyId", user_id as "member!: UserId" from api_keys where account_id = $1 and user_id is not null"#,
            account.uuid()
        )
        .fetch_all(connection)
        .await?;
        let limits = rows.into_iter().map(|row| StoredLimit {
            limit: Limit {
                id: row.id,
                scope: Whose { project: row.project, member: row.member, key: row.key, run: row.run }.into(),
                window: row.window,
                hardness: row.hardness,
                pool: Pool::new(row.unit, Quantity::from_count(row.capacity)),
            },
            created_at: row.created_at,
            is_removed: row.is_removed,
        });
        Ok(Self {
            limits: limits.collect(),
            members: keys.into_iter().map(|row| (row.key, row.member)).collect(),
            used: BTreeMap::new(),
            opening: BTreeMap::new(),
        })
    }

    /// Counts a call, as it was posted.
    pub(super) fn add_call(&mut self, call: &CallRecord) {
        let Self { limits, members, used, opening } = self;
        let of_call = call.counted(members.get(&call.key_id).copied());
        for StoredLimit { limit, created_at, .. } in limits.iter() {
            let Some((window, counted)) = of_call.of(limit) else { continue };
            if call.posted_at > *created_at {
                *used.entry(window).or_default() += i128::from(counted);
            } else {
                let tokens = call.total_tokens.map_or(0, domain::tokens::Tokens::get);
                *opening.entry(window).or_default() += figure(limit, call.amount, tokens, 1);
            }
        }
    }

    /// Counts a correction of a call. What was posted before a limit was there is in the sums from which it took its opening.
    pub(super) fn add_correction(&mut self, correction: &CorrectionRecord, call: &CallRecord) {
        let late = correction.late().ok().flatten();
        let Self { limits, members, used, opening } = self;
        let of_call = call.counted(members.get(&call.key_id).copied());
        let tokens = late.map_or(0, |late| tokens_counted(&late.usage, late.tokens_held, call.excess()) - of_call.tokens);
        let counted = Counted { amount: Amount::from_nanos(correction.amount), tokens, requests: 0, ..of_call };
        for StoredLimit { limit, created_at, .. } in limits.iter() {
            let Some((window, quantity)) = counted.of(limit) else { continue };
            if correction.posted_at > *created_at {
                *used.entry(window).or_default() += i128::from(quantity);
            } else {
                *opening.entry(window).or_default() += figure(limit, correction.amount, correction.total_tokens, 0);
            }
        }
    }

    /// Compares what was counted with what is stored.
    pub(super) async fn check(self, connection: &mut PgConnection, account: AccountId, findings: &mut Findings) -> Result<()> {
        let rows = sqlx::query!(
            r#"
            select
                w.limit_id as "limit: LimitId", w.starts_at, w.opening, w.used, w.leased,
                (
                    select coalesce(sum(l.amount), 0)::bigint from slices l
                    where l.account_id = w.account_id and l.limit_id = w.limit_id and l.starts_at = w.starts_at
                ) as "held!"
            from limit_windows w where w.account_id = $1
            "#,
            account.uuid()
        )
        .fetch_all(&mut *connection)
        .await?;
        // Whoever locks the books looks for limits only where the head says that there are any.
        let is_limited = sqlx::query_scalar!("select is_limited from heads where account_id = $1", account.uuid());
        if let Some(found) = is_limited.fetch_optional(&mut *connection).await? {
            let expected = self.limits.iter().any(|stored| !stored.is_removed);
            findings.compare(Claim::LimitIsItsCalls, || format!("head of account {account} (limits)"), expected, found);
        }
        let now = crate::clock(&mut *connection).await?;
        let row = |limit: LimitId, starts_at: DateTime<Utc>| format!("limit {limit} from {starts_at}");
        for stored in self.limits.iter().filter(|stored| !stored.is_removed) {
            let StoredLimit { limit, created_at, .. } = stored;
            let first = limit.window.range(*created_at).from;
            // Minutes are forgotten after a day, and what comes later of one makes it anew.
            let is_kept = |starts_at: DateTime<Utc>| limit.window != Window::Minute || starts_at > now - KEPT;
            for window in rows.iter().filter(|row| row.limit == limit.id && is_kept(row.starts_at)) {
                let of = |sums: &BTreeMap<WindowKey, i128>| sums.get(&(limit.id, window.starts_at)).copied().unwrap_or(0);
                let has_opening = window.starts_at == first && limit.window != Window::Minute;
                let expected = (if has_opening { of(&self.opening) } else { 0 }, of(&self.used));
                let found = (i128::from(window.opening), i128::from(window.used));
                if expected != found {
                    findings.note(Claim::LimitIsItsCalls, row(limit.id, window.starts_at), format!("{expected:?}"), format!("{found:?}"));
                }
            }
            let is_stored = |starts_at: &DateTime<Utc>| rows.iter().any(|row| row.limit == limit.id && row.starts_at == *starts_at);
            let opening = self.opening.iter().filter(|((_, starts_at), _)| *starts_at == first && limit.window != Window::Minute);
            let missing =
                self.used.iter().chain(opening).filter(|((id, starts_at), used)| *id == limit.id && **used != 0 && !is_stored(starts_at));
            for ((_, starts_at), used) in missing.filter(|((_, starts_at), _)| is_kept(*starts_at)) {
                findings.note(Claim::LimitIsItsCalls, row(limit.id, *starts_at), used, "nothing");
            }
        }
        for window in &rows {
            findings.compare(Claim::LimitIsItsSlices, || row(window.limit, window.starts_at), window.held, window.leased);
        }
        Ok(())
    }
}

/// What a limit's unit is of some figures.
fn figure(limit: &Limit, amount: i64, tokens: i64, requests: i64) -> i128 {
    i128::from(match limit.pool.unit {
        Unit::Money => amount,
        Unit::Tokens => tokens,
        Unit::Requests => requests,
    })
}
