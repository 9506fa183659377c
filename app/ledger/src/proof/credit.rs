//! What must hold of what an account has: its head, its grants, its books and what running calls hold.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    billing::GrantKind,
    credit::Unit,
    id::{AccountId, CallId, GrantId},
};
use sqlx::PgConnection;

use super::{
    calls::Hours,
    claim::{Claim, Findings},
    journal::Journal,
    lines::Lines,
};
use crate::{Result, books::GRANT};

/// What an account's credit is checked against.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    pub(super) grants: &'a [GrantRow],
    pub(super) journal: &'a Journal,
    pub(super) lines: &'a Lines,
    /// What payments took back, more than there may have been left.
    pub(super) taken_back: i128,
    /// Whether the journal is all of it.
    pub(super) whole: bool,
}

/// Checks an account's credit against its journal, what was lent to it, and the calls that no posting has summed up, which are all that is left in
/// `hours`.
pub(super) async fn check(
    connection: &mut PgConnection,
    account: AccountId,
    mut hours: Hours,
    against: Against<'_>,
    findings: &mut Findings,
) -> Result<()> {
    let journal = against.journal;
    let unbooked = head(connection, account, &mut hours, journal, findings).await?;
    for hour in hours.keys() {
        findings.note(Claim::UsageIsItsCalls, format!("hour {hour} of account {account}"), "a posting", "none");
    }
    for grant in against.grants {
        look_at(grant, &unbooked, against, findings);
    }
    books(connection, account, journal, findings).await?;
    unposted(connection, account, findings).await
}

/// Returns what the calls of the open hour took from each grant.
async fn head(
    connection: &mut PgConnection,
    account: AccountId,
    hours: &mut Hours,
    journal: &Journal,
    findings: &mut Findings,
) -> Result<BTreeMap<GrantId, i128>> {
    let row = format!("head of account {account}");
    let head = sqlx::query!("select seq, digest, posted_at, hour, calls, seals from heads where account_id = $1", account.uuid())
        .fetch_optional(connection)
        .await?;
    let Some(head) = head else {
        findings.note(Claim::HeadIsTheNewestPosting, row, "one", "none");
        return Ok(BTreeMap::new());
    };
    findings.compare(Claim::HeadIsTheNewestPosting, || row.clone(), journal.number, head.seq);
    if head.digest != journal.digest {
        findings.note(Claim::HeadIsTheNewestPosting, row.clone(), "the digest of its newest posting", "another");
    }
    let newest = journal.posted_at.max(hours.keys().next_back().copied());
    if let Some(newest) = newest.filter(|newest| *newest > head.posted_at) {
        findings.note(Claim::HeadIsTheNewestPosting, row.clone(), format!("{newest} or later"), head.posted_at);
    }
    let open = head.hour.map(|hour| (hour, head.calls.unwrap_or(0), head.seals.unwrap_or_default()));
    let Some((hour, calls, seals)) = open else { return Ok(BTreeMap::new()) };
    let Some(posted) = hours.remove(&hour) else {
        findings.note(Claim::OpenHourIsItsCalls, row, "no open hour", format!("{calls} calls since {hour}"));
        return Ok(BTreeMap::new());
    };
    findings.compare(Claim::OpenHourIsItsCalls, || row.clone(), posted.open.calls, calls);
    if posted.open.seals[..] != seals {
        findings.note(Claim::OpenHourIsItsCalls, row, "the digest of its calls", "another");
    }
    Ok(posted.charges)
}

/// A row of `grants`.
pub(super) struct GrantRow {
    pub(super) id: GrantId,
    pub(super) kind: GrantKind,
    pub(super) unit: Unit,
    granted: i64,
    used: i64,
    unbooked: i64,
    leased: i64,
    pub(super) models: Option<Vec<String>>,
    pub(super) priority: i32,
    pub(super) starts_at: DateTime<Utc>,
    pub(super) expires_at: Option<DateTime<Utc>>,
    pub(super) ended_at: Option<DateTime<Utc>>,
    account_created_at: DateTime<Utc>,
    held: i64,
}

impl GrantRow {
    /// One that was there from the beginning and lasts until then, if it ends at all.
    #[cfg(test)]
    pub(super) fn of(id: GrantId, kind: GrantKind, unit: Unit, expires_at: Option<DateTime<Utc>>) -> Self {
        let (starts_at, account_created_at) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH);
        let (granted, used, unbooked, leased, held, priority) = (0, 0, 0, 0, 0, 0);
        Self {
            id,
            kind,
            unit,
            granted,
            used,
            unbooked,
            leased,
            models: None,
            priority,
            starts_at,
            expires_at,
            ended_at: None,
            account_created_at,
            held,
        }
    }

    /// Whether it pays for calls of a model.
    pub(super) fn covers(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|name| name == model))
    }

    /// Whether it was in force at an instant.
    pub(super) fn lasts_at(&self, at: DateTime<Utc>) -> bool {
        let ends = [self.expires_at, self.ended_at];
        self.starts_at <= at && ends.iter().flatten().all(|end| at < *end)
    }
}

/// The grants of an account.
pub(super) async fn grants(connection: &mut PgConnection, account: AccountId) -> Result<Vec<GrantRow>> {
    let rows = sqlx::query_as!(
        GrantRow,
        r#"
        select
            g.grant_id as "id: GrantId", g.kind as "kind: GrantKind", g.unit as "unit: Unit", g.granted, g.used, g.unbooked, g.leased, g.models,
            g.priority, g.starts_at, g.expires_at, g.ended_at, a.created_at as account_created_at,
            (
                select coalesce(sum(l.amount), 0)::bigint from slices l where l.account_id = g.account_id and l.grant_id = g.grant_id
            ) as "held!"
        from grants g join accounts a using (account_id)
        where g.account_id = $1
        "#,
        account.uuid()
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

fn look_at(grant: &GrantRow, unbooked: &BTreeMap<GrantId, i128>, against: Against<'_>, findings: &mut Findings) {
    let Against { journal, lines, whole, taken_back, .. } = against;
    let row = || format!("grant {}", grant.id);
    let of = |sums: &BTreeMap<GrantId, i128>| sums.get(&grant.id).copied().unwrap_or(0);
    let open = of(unbooked);
    findings.compare(Claim::OpenHourIsItsCalls, row, open, i128::from(grant.unbooked));
    let booked = journal.balances.get(&(GRANT.to_owned(), grant.unit.name().to_owned(), Some(grant.id))).copied().unwrap_or(0);
    findings.compare(Claim::GrantIsItsEntries, row, booked - open, i128::from(grant.granted) - i128::from(grant.used));
    if whole {
        let found = (i128::from(grant.granted), i128::from(grant.used));
        let expected = (of(&journal.granted), of(&journal.used) + open);
        if expected != found {
            findings.note(Claim::GrantIsItsEntries, row(), format!("{expected:?}"), format!("{found:?}"));
        }
        if let Some(ended) = grant.ended_at.filter(|ended| !journal.lapses.contains(&(grant.id, *ended))) {
            findings.note(Claim::CreditEnds, row(), format!("a posting of its end at {ended}"), "none");
        }
    }
    findings.compare(Claim::GrantIsItsSlices, row, grant.held, grant.leased);
    let is_wallet = grant.kind == GrantKind::Wallet;
    let lent = if is_wallet { lines.lent_max + taken_back } else { 0 };
    let room = i128::from(grant.granted) - i128::from(grant.used) - i128::from(grant.leased) + lent;
    if room < 0 && !(is_wallet && lines.was_lenient()) {
        findings.note(Claim::NobodyIsBelowTheFloor, row(), "0 or more available", room);
    }
    if is_wallet && grant.starts_at != grant.account_created_at {
        let found = format!("from {} on", grant.starts_at);
        findings.note(Claim::WalletLasts, row(), format!("from {} on", grant.account_created_at), found);
    }
}

/// Both ways: a balance without entries is as wrong as entries without a balance.
async fn books(connection: &mut PgConnection, account: AccountId, journal: &Journal, findings: &mut Findings) -> Result<()> {
    let rows = sqlx::query!("select book, unit, balance from books where account_id = $1", account.uuid()).fetch_all(connection).await?;
    let row = |book: &str| format!("book {book} of account {account}");
    for stored in &rows {
        let place = (stored.book.clone(), stored.unit.clone(), None);
        // Books that no posting since the beginning has touched are as they were.
        if let Some(expected) = journal.expected(&place) {
            findings.compare(Claim::BookIsItsEntries, || row(&stored.book), expected, i128::from(stored.balance));
        }
    }
    for ((book, unit, grant), balance) in &journal.balances {
        if grant.is_none() && !rows.iter().any(|row| row.book == *book && row.unit == *unit) {
            findings.note(Claim::BookIsItsEntries, row(book), balance, "nothing");
        }
    }
    Ok(())
}

/// What was settled and is not posted.
async fn unposted(connection: &mut PgConnection, account: AccountId, findings: &mut Findings) -> Result<()> {
    let kept = sqlx::query!(
        r#"select call_id as "call!: CallId", reason as "reason!", at as "at!" from quarantine_of_unposted where account_id = $1"#,
        account.uuid()
    );
    for row in kept.fetch_all(connection).await? {
        let found = format!("in quarantine since {}: {}", row.at, row.reason);
        findings.note(Claim::SettledIsPosted, format!("call {}", row.call), "posted", found);
    }
    Ok(())
}
