//! What must hold of an account's postings, one after the other, and between them and what they are of.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{
    billing::{GrantKind, JournalKind, PostingNumber},
    call::CorrectionKind,
    credit::Quantity,
    id::{AccountId, GrantId},
    money::Amount,
};
use futures_util::TryStreamExt;
use sqlx::PgConnection;

use super::{
    calls::{Hour, Hours},
    claim::{Claim, Findings},
    credit::GrantRow,
};
use crate::{
    Result,
    books::{EntryRecord, GRANT, OpenCalls, PostingRecord},
    corrections::{self, CorrectionRecord},
    money,
    new_grant::{Terms, terms_digest},
};

/// A book of an account: its name, its unit, and the grant if it is one's.
type Place = (String, String, Option<GrantId>);

/// What the postings up to one add up to.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) number: i64,
    pub(super) digest: Option<Vec<u8>>,
    pub(super) posted_at: Option<DateTime<Utc>>,
    /// What is in each book.
    pub(super) balances: BTreeMap<Place, i128>,
    /// What was put into each grant, and what calls used of it. Only from the first posting on.
    pub(super) granted: BTreeMap<GrantId, i128>,
    pub(super) used: BTreeMap<GrantId, i128>,
    /// Which credit lapsed, and when it ended.
    pub(super) lapses: BTreeSet<(GrantId, DateTime<Utc>)>,
    /// Whether postings before the first that is checked are taken as they are.
    is_continued: bool,
}

/// Checks the postings since then. What they sum up is taken out of the hours and the corrections: what is left has no posting.
pub(super) async fn check(
    connection: &mut PgConnection,
    account: AccountId,
    since: Option<DateTime<Utc>>,
    hours: &mut Hours,
    corrections: &mut Vec<CorrectionRecord>,
    grants: &[GrantRow],
    findings: &mut Findings,
) -> Result<Journal> {
    let mut journal = match since {
        Some(since) => Journal::up_to(connection, account, since).await?,
        None => Journal::default(),
    };
    let mut next: Option<(PostingRecord, Vec<u8>)> = None;
    let mut rows = sqlx::query!(
        r#"
        select
            j.seq as "number: PostingNumber", j.kind as "kind: JournalKind", j.memo, j.actor, j.idempotency_key, j.request_digest, j.event_at,
            j.posted_at, j.calls, j.seals, j.digest,
            e.line as "line?", e.book as "book?", e.unit as "unit?", e.grant_id as "grant?: GrantId", e.amount as "amount?",
            e.balance_after as "balance_after?"
        from journal j
        left join entries e using (account_id, seq)
        where j.account_id = $1 and j.seq > $2
        order by j.seq, e.line
        "#,
        account.uuid(),
        journal.number
    )
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        if next.as_ref().is_none_or(|(posting, _)| posting.number != row.number) {
            if let Some((posting, digest)) = next.take() {
                journal.look_at(&posting, digest, (hours, corrections, grants), findings);
            }
            let posting = PostingRecord {
                account,
                number: row.number,
                kind: row.kind,
                memo: row.memo,
                actor: row.actor,
                idempotency_key: row.idempotency_key,
                request_digest: row.request_digest,
                event_at: row.event_at,
                posted_at: row.posted_at,
                calls: row.calls,
                seals: row.seals,
                entries: Vec::new(),
            };
            next = Some((posting, row.digest));
        }
        if let (Some((posting, _)), Some(line), Some(book), Some(unit), Some(amount), Some(balance_after)) =
            (&mut next, row.line, row.book, row.unit, row.amount, row.balance_after)
        {
            posting.entries.push(EntryRecord { line, book, unit, grant: row.grant, amount, balance_after });
        }
    }
    if let Some((posting, digest)) = next {
        journal.look_at(&posting, digest, (hours, corrections, grants), findings);
    }
    Ok(journal)
}

impl Journal {
    /// What the postings before an instant come to, by what the last of them say.
    async fn up_to(connection: &mut PgConnection, account: AccountId, since: DateTime<Utc>) -> Result<Self> {
        let last = sqlx::query!(
            "select seq, digest, posted_at from journal where account_id = $1 and posted_at < $2 order by seq desc limit 1",
            account.uuid(),
            since
        );
        let Some(last) = last.fetch_optional(&mut *connection).await? else { return Ok(Self::default()) };
        let grants = sqlx::query!(
            r#"
            select g.grant_id as "grant: GrantId", e.unit, e.balance_after
            from grants g
            cross join lateral (
                select e.unit, e.balance_after from entries e
                where e.account_id = g.account_id and e.grant_id = g.grant_id and e.seq <= $2
                order by e.seq desc, e.line desc limit 1
            ) e
            where g.account_id = $1
            "#,
            account.uuid(),
            last.seq
        )
        .fetch_all(connection)
        .await?;
        let balances = grants.into_iter().map(|row| ((GRANT.to_owned(), row.unit, Some(row.grant)), i128::from(row.balance_after)));
        Ok(Self {
            number: last.seq,
            digest: Some(last.digest),
            posted_at: Some(last.posted_at),
            balances: balances.collect(),
            is_continued: true,
            ..Self::default()
        })
    }

    /// What is in a book; `None` if no posting that was looked at says.
    pub(super) fn expected(&self, place: &Place) -> Option<i128> {
        self.balances.get(place).copied().or((!self.is_continued).then_some(0))
    }

    fn look_at(
        &mut self,
        posting: &PostingRecord,
        digest: Vec<u8>,
        (hours, corrections, grants): (&mut Hours, &mut Vec<CorrectionRecord>, &[GrantRow]),
        findings: &mut Findings,
    ) {
        let row = || name(posting);
        let follows = self.number + 1 == posting.number.get() && self.posted_at.is_none_or(|before| before <= posting.posted_at);
        if !follows {
            let expected =
                format!("{} after {}", self.number + 1, self.posted_at.map_or_else(|| "nothing".to_owned(), |at| at.to_string()));
            findings.note(Claim::PostingsAreChained, row(), expected, format!("{} at {}", posting.number, posting.posted_at));
        }
        findings.sealed(Claim::PostingsAreChained, row, posting.fits(self.digest.as_deref(), &digest));
        self.balance(posting, grants, findings);
        match posting.kind {
            JournalKind::Usage => usage(posting, hours.remove(&posting.event_at), findings),
            JournalKind::LateUsage | JournalKind::CallCredit => {
                let place = corrections.iter().position(|correction| correction.seq == posting.number);
                correction(posting, place.map(|place| corrections.swap_remove(place)).as_ref(), findings);
            }
            JournalKind::Reprice => {
                let of_it: Vec<_> = corrections.extract_if(.., |correction| correction.seq == posting.number).collect();
                charged_anew(posting, of_it, findings);
            }
            JournalKind::TopUp | JournalKind::Adjustment | JournalKind::Refund | JournalKind::Chargeback | JournalKind::PlanFee => {
                movement(posting, grants, findings);
            }
            JournalKind::Promo | JournalKind::Allowance | JournalKind::Package => giving(posting, grants, findings),
            JournalKind::Expiry => self.lapses.extend(lapse(posting, grants, findings)),
        }
        (self.number, self.digest, self.posted_at) = (posting.number.get(), Some(digest), Some(posting.posted_at));
    }

    fn balance(&mut self, posting: &PostingRecord, grants: &[GrantRow], findings: &mut Findings) {
        let row = |entry: &EntryRecord| format!("{}, line {}", name(posting), entry.line);
        let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
        for (entry, line) in posting.entries.iter().zip(1_i16..) {
            findings.compare(Claim::PostingBalances, || row(entry), line, entry.line);
            if entry.book != GRANT {
                findings.compare(Claim::PostingBalances, || row(entry), posting.kind.book(), entry.book.as_str());
            }
            let amount = i128::from(entry.amount);
            *sums.entry(&entry.unit).or_default() += amount;
            let opening = if self.is_continued { i128::from(entry.balance_after) - amount } else { 0 };
            let balance = self.balances.entry((entry.book.clone(), entry.unit.clone(), entry.grant)).or_insert(opening);
            *balance += amount;
            findings.compare(Claim::PostingBalances, || row(entry), *balance, i128::from(entry.balance_after));
            if let Some(grant) = entry.grant {
                let unit = grants.iter().find(|row| row.id == grant).map_or("no grant", |grant| grant.unit.name());
                findings.compare(Claim::PostingBalances, || row(entry), unit, entry.unit.as_str());
                let (sums, amount) = if posting.kind.is_of_calls() { (&mut self.used, -amount) } else { (&mut self.granted, amount) };
                *sums.entry(grant).or_default() += amount;
            }
        }
        for (unit, sum) in sums.into_iter().filter(|(_, sum)| *sum != 0) {
            let of_it = posting.entries.iter().filter(|entry| entry.unit == unit);
            let lines = of_it.map(|entry| format!("line {} {} {}", entry.line, entry.book, entry.amount)).collect::<Vec<_>>().join(", ");
            findings.note(Claim::PostingBalances, name(posting), 0, format!("{sum} {unit} = {lines}"));
        }
    }
}

fn name(posting: &PostingRecord) -> String {
    format!("posting {} of account {}", posting.number, posting.account)
}

/// What a posting takes from each grant.
fn taken(posting: &PostingRecord) -> BTreeMap<GrantId, i128> {
    let mut taken = BTreeMap::new();
    for entry in &posting.entries {
        if let Some(grant) = entry.grant {
            *taken.entry(grant).or_default() -= i128::from(entry.amount);
        }
    }
    taken.retain(|_, amount| *amount != 0);
    taken
}

/// A posting of usage says nothing but what its hour's calls say.
fn usage(posting: &PostingRecord, hour: Option<Hour>, findings: &mut Findings) {
    let Some(Hour { open, mut charges }) = hour else {
        return findings.note(Claim::UsageIsItsCalls, name(posting), "the calls of its hour", "none");
    };
    charges.retain(|_, amount| *amount != 0);
    let in_words = |calls: Option<i64>, charges: &BTreeMap<GrantId, i128>| format!("{} calls, {charges:?}", calls.unwrap_or(0));
    let taken = taken(posting);
    if posting.calls != Some(open.calls) || taken != charges {
        findings.note(Claim::UsageIsItsCalls, name(posting), in_words(Some(open.calls), &charges), in_words(posting.calls, &taken));
    } else if posting.seals.as_deref() != Some(&open.seals[..]) {
        findings.note(Claim::UsageIsItsCalls, name(posting), "the digest of its calls", "another");
    }
    let said = (posting.posted_at, posting.memo.as_str(), posting.actor.as_str(), posting.idempotency_key.as_deref());
    if said != (open.end(), "", "", None) {
        findings.note(Claim::UsageIsItsCalls, name(posting), format!("{:?}", (open.end(), "", "")), format!("{said:?}"));
    }
}

/// A correction's posting is of its kind, and bears its date and, but for an operator's reason, its words.
fn correction(posting: &PostingRecord, correction: Option<&CorrectionRecord>, findings: &mut Findings) {
    let Some(correction) = correction else {
        return findings.note(Claim::CorrectionIsPosted, name(posting), "a correction", "none");
    };
    let (kind, event_at, words) = match correction.kind {
        CorrectionKind::LateUsage => (JournalKind::LateUsage, correction.started_at, Some(format!("call {}", correction.call_id))),
        CorrectionKind::Credit => (JournalKind::CallCredit, correction.posted_at, None),
        CorrectionKind::Reprice => (JournalKind::Reprice, correction.posted_at, None),
    };
    let says = |kind: JournalKind, event_at, posted_at, words: &str| format!("{} {event_at}, posted {posted_at}: {words}", kind.name());
    let found = words.as_ref().map_or_else(String::new, |_| format!("{}{}", posting.memo, posting.actor));
    findings.compare(
        Claim::CorrectionIsPosted,
        || name(posting),
        says(kind, event_at, correction.posted_at, words.as_deref().unwrap_or_default()),
        says(posting.kind, posting.event_at, posting.posted_at, &found),
    );
    let (paid, taken) = (paid(std::slice::from_ref(correction)), taken(posting));
    if paid != taken || posting.seals.as_deref() != Some(&correction.seal()[..]) {
        findings.note(Claim::CorrectionIsPosted, name(posting), format!("{paid:?}, and its seal"), format!("{taken:?}"));
    }
    if correction.kind == CorrectionKind::Credit {
        let given = correction.paid().saturating_neg();
        let unit = correction.unit();
        let digest = |all| corrections::request_digest(correction.call_id, given, unit, all, &posting.memo, &posting.actor);
        asked_for(posting, &[digest(false), digest(true)], &Quantity::from_count(given).in_words(unit), findings);
    }
}

/// Calls that are charged anew together are one posting, which says nothing but what their corrections say.
fn charged_anew(posting: &PostingRecord, mut corrections: Vec<CorrectionRecord>, findings: &mut Findings) {
    corrections.sort_by_key(|correction| correction.call_id);
    let mut of_them = OpenCalls::since(posting.posted_at);
    let is_right = corrections.iter().all(|correction| {
        let is_of_it = correction.kind == CorrectionKind::Reprice && correction.posted_at == posting.posted_at;
        is_of_it && of_them.add(&correction.seal()).is_some()
    });
    let said = (posting.calls, posting.seals.as_deref(), posting.event_at, posting.idempotency_key.as_deref());
    let (paid, taken) = (paid(&corrections), taken(posting));
    if !is_right || said != (Some(of_them.calls), Some(&of_them.seals[..]), posting.posted_at, None) || paid != taken {
        let expected = format!("{} calls that were charged anew, {paid:?}, and their seals", of_them.calls);
        findings.note(Claim::CorrectionIsPosted, name(posting), expected, format!("{:?} calls, {taken:?}", posting.calls));
    }
}

/// What corrections take from each grant.
fn paid(corrections: &[CorrectionRecord]) -> BTreeMap<GrantId, i128> {
    let mut paid = BTreeMap::new();
    for share in corrections.iter().flat_map(|correction| &correction.paid_by) {
        *paid.entry(share.grant_id).or_default() += i128::from(share.amount);
    }
    paid.retain(|_, amount| *amount != 0);
    paid
}

/// What was asked for is known by its digest, which keeps repeated requests from acting twice.
fn movement(posting: &PostingRecord, grants: &[GrantRow], findings: &mut Findings) {
    if grant_of(posting, grants).is_none_or(|grant| grant.kind != GrantKind::Wallet) {
        findings.note(Claim::MovementIsItsRequest, name(posting), "the wallet", "another grant, or several");
    }
    let given: i128 = posting.entries.iter().filter(|entry| entry.grant.is_some()).map(|entry| i128::from(entry.amount)).sum();
    let amount = Amount::from_nanos(i64::try_from(given).unwrap_or(i64::MAX));
    let amount = amount.to_string();
    asked_for(posting, &[money::request_digest(posting.kind, &amount, &posting.memo, &posting.actor)], &amount, findings);
}

/// The grant that a posting is of, if it is of one alone.
fn grant_of<'g>(posting: &PostingRecord, grants: &'g [GrantRow]) -> Option<&'g GrantRow> {
    let mut named = posting.entries.iter().filter_map(|entry| entry.grant);
    let grant = named.next().filter(|_| named.next().is_none())?;
    grants.iter().find(|row| row.id == grant)
}

/// Credit is what was asked for, and begins and ends when it was to.
fn giving(posting: &PostingRecord, grants: &[GrantRow], findings: &mut Findings) {
    let Some(grant) = grant_of(posting, grants) else {
        return findings.note(Claim::MovementIsItsRequest, name(posting), "one grant", "none, or several");
    };
    let quantity =
        Quantity::from_count(posting.entries.iter().filter(|entry| entry.grant.is_some()).map(|entry| entry.amount).sum::<i64>());
    let GrantRow { kind, unit, priority, expires_at, .. } = *grant;
    let digest = |starts_at| {
        let terms = Terms { kind, unit, quantity, models: grant.models.as_deref(), priority, starts_at, expires_at };
        terms_digest(&terms, &posting.memo, &posting.actor)
    };
    // What was to begin at once began when it was posted.
    let at_once = (grant.starts_at == posting.posted_at).then(|| digest(None));
    let digests: Vec<_> = at_once.into_iter().chain([digest(Some(grant.starts_at))]).collect();
    asked_for(posting, &digests, &quantity.in_words(unit), findings);
}

/// What lapsed was of credit that had ended.
fn lapse(posting: &PostingRecord, grants: &[GrantRow], findings: &mut Findings) -> Option<(GrantId, DateTime<Utc>)> {
    let grant = grant_of(posting, grants);
    let ends = grant.map(|grant| [grant.expires_at, grant.ended_at]).unwrap_or_default();
    if !ends.contains(&Some(posting.event_at)) || posting.posted_at < posting.event_at {
        let found = format!("{}, posted {}", posting.event_at, posting.posted_at);
        findings.note(Claim::CreditEnds, name(posting), format!("the end of its grant: {ends:?}"), found);
    }
    Some((grant?.id, posting.event_at))
}

fn asked_for(posting: &PostingRecord, digests: &[[u8; 32]], amount: &str, findings: &mut Findings) {
    if !digests.iter().any(|digest| posting.request_digest.as_deref() == Some(&digest[..])) {
        let found = format!("{} of {amount} by {}: {}", posting.kind.name(), posting.actor, posting.memo);
        findings.note(Claim::MovementIsItsRequest, name(posting), "what its digest says", found);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::credit::Unit;
    use uuid::Uuid;

    use super::*;

    /// A top-up of 25 nanos, or tokens, for a grant.
    fn top_up(grant: GrantId, unit: Unit) -> PostingRecord {
        let at = "2026-06-15T12:30:00Z".parse().unwrap();
        let entry = |line, book: &str, grant, amount| EntryRecord {
            line,
            book: book.to_owned(),
            unit: unit.name().to_owned(),
            grant,
            amount,
            balance_after: amount,
        };
        PostingRecord {
            account: AccountId::from_uuid(Uuid::from_u128(1)),
            number: PostingNumber::from_count(1),
            kind: JournalKind::TopUp,
            memo: "memo".to_owned(),
            actor: "actor".to_owned(),
            idempotency_key: Some("key".to_owned()),
            request_digest: Some(money::request_digest(JournalKind::TopUp, "0.000000025", "memo", "actor").to_vec()),
            event_at: at,
            posted_at: at,
            calls: None,
            seals: None,
            entries: vec![entry(1, GRANT, Some(grant), 25), entry(2, "cash", None, -25)],
        }
    }

    #[test]
    fn money_that_is_paid_in_is_the_wallets() {
        let [wallet, package] = [5, 6].map(|number| GrantId::from_uuid(Uuid::from_u128(number)));
        let grants =
            [GrantRow::of(wallet, GrantKind::Wallet, Unit::Money, None), GrantRow::of(package, GrantKind::Package, Unit::Tokens, None)];
        let faults = |posting: &PostingRecord| {
            let mut findings = Findings::default();
            movement(posting, &grants, &mut findings);
            findings.of(Claim::MovementIsItsRequest).len()
        };
        assert_eq!(faults(&top_up(wallet, Unit::Money)), 0);
        assert_eq!(faults(&top_up(package, Unit::Tokens)), 1, "it says neither more nor less, of another grant");
    }
}
