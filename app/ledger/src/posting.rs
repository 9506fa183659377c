//! Posting: the only way in which usage reaches the books.
//!
//! A batch is one transaction, or several if it is large. Every account in it has its grants locked first, and whoever posts, leases or moves
//! money locks the same rows in the same order: within an account everything happens one after the other, and two posters cannot deadlock. Under
//! those locks it is known which calls are already there, so replaying a batch changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::{
    call::UsageSource,
    credit::{self, Demand, Hold, Split, Strictness},
    id::{AccountId, CallId, GrantId, JournalId},
    money::Amount,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Meter, Result, SettledCall,
    corrections::{self, Correction, CorrectionRecord, KnownCall},
    grants::{self, Change, Locked},
    leases::{self, Lease, Share},
    rollups::{self, Addition},
    settled::{self, CallRecord, PaidShare},
};

/// The most calls of one transaction: it holds the grants of all their accounts.
const TOGETHER_MAX: usize = 500;

/// The most transactions of one round that may be refused. What is left then waits for the next one: a batch of nothing but bad rows must not keep good
/// ones waiting for a thousand of them.
const REFUSED_MAX: usize = 32;

/// The most transactions of one round that may wait for a lock in vain: with more it is no account's, and taking them apart helps nobody.
const TAKEN_APART_MAX: usize = 32;

/// Who locks an account and forgets it keeps its own calls waiting for so long.
const BEGIN_WAITING: &str = "begin isolation level read committed; set local lock_timeout = '2s'";
/// And nobody else's longer than this, whatever else than its grants is locked.
const BEGIN_DEFERRING: &str = "begin isolation level read committed; set local lock_timeout = '100ms'";

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostedCalls {
    /// Calls that were posted now.
    pub posted: usize,
    /// Calls that had been posted as interrupted, and are corrected by what they came to after all.
    pub corrected: usize,
    /// Calls that were there before.
    pub replayed: usize,
    /// Calls that cost something but had no hold any more: recorded as debt, the one exception to "never below the floor".
    pub unleased: Vec<CallId>,
    /// Calls that the ledger refused: they are kept whole, tried again every few hours, and until then named by [`crate::Ledger::verify`].
    pub quarantined: Vec<CallId>,
    /// Calls of which nothing was done: their account is locked, or too many others of the batch were refused. Hand them over again.
    pub deferred: Vec<CallId>,
}

impl Meter {
    /// Posts settled calls, each exactly once however often it is handed over.
    ///
    /// A row at fault does not keep the others back: a transaction that is refused is halved until the row stands alone, and that one is put into
    /// quarantine whole.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away, or an account stays locked: nothing of the failed part is posted, repeat the batch.
    pub async fn post_calls(&self, batch: &[SettledCall]) -> Result<PostedCalls> {
        self.post(batch, Locked::Wait).await
    }

    /// [`Self::post_calls`], but for calls whose account is locked right now, which are deferred: they keep nobody waiting.
    ///
    /// # Errors
    /// As [`Self::post_calls`].
    pub async fn post_free_calls(&self, batch: &[SettledCall]) -> Result<PostedCalls> {
        self.post(batch, Locked::Defer).await
    }

    async fn post(&self, batch: &[SettledCall], locked: Locked) -> Result<PostedCalls> {
        let mut done = PostedCalls::default();
        let mut batch: Vec<_> = batch.iter().collect();
        // Accounts side by side, so that they can be taken apart; and what is known of a call before what was assumed of it.
        batch.sort_by_key(|call| (call.account_id, call.source == UsageSource::Interrupted));
        let mut parts: Vec<_> = batch.chunks(TOGETHER_MAX).rev().collect();
        let (mut refused, mut taken_apart) = (0, 0);
        while let Some(part) = parts.pop() {
            if refused >= REFUSED_MAX {
                done.deferred.extend(part.iter().map(|call| call.call_id));
                continue;
            }
            match (self.post_together(part, locked).await, part) {
                (Ok(posted), _) => done.add(posted),
                (Err(error), [call]) if error.is_of_the_data() => {
                    self.quarantine(call, &error).await?;
                    done.quarantined.push(call.call_id);
                    refused += 1;
                }
                (Err(error), many) if error.is_of_the_data() => {
                    let (left, right) = many.split_at(many.len() / 2);
                    parts.extend([right, left]);
                    refused += 1;
                }
                // Something else than a grant is locked: whose it is shows when the accounts stand alone.
                (Err(error), many) if error.is_a_lock() && locked == Locked::Defer && taken_apart < TAKEN_APART_MAX => {
                    taken_apart += 1;
                    match apart(many) {
                        Some((left, right)) => parts.extend([right, left]),
                        None => done.deferred.extend(many.iter().map(|call| call.call_id)),
                    }
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Tries what is in quarantine once more: a month of the call log may have been missing when it was posted. What is locked waits for the next time.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away.
    pub async fn post_quarantined(&self) -> Result<PostedCalls> {
        let kept = sqlx::query!("select call_id, call from quarantine_of_unposted").fetch_all(&mut *self.database.read().await?).await?;
        let readable = |call: Uuid, whole: &str| {
            serde_json::from_str(whole).inspect_err(|error| tracing::error!(%error, %call, "a call in quarantine cannot be read")).ok()
        };
        let calls = kept.iter().filter_map(|row| readable(row.call_id?, row.call.as_deref()?));
        let mut done = PostedCalls::default();
        // One by one: what is refused again keeps no other back, and is there already.
        for call in calls.collect::<Vec<SettledCall>>() {
            match self.post_together(&[&call], Locked::Defer).await {
                Ok(posted) => done.add(posted),
                Err(error) if error.is_of_the_data() => done.quarantined.push(call.call_id),
                Err(error) if error.is_a_lock() => done.deferred.push(call.call_id),
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    async fn post_together(&self, batch: &[&SettledCall], locked: Locked) -> Result<PostedCalls> {
        let begin = if locked == Locked::Wait { BEGIN_WAITING } else { BEGIN_DEFERRING };
        let mut tx = self.database.write_with(begin).await?;
        let accounts: BTreeSet<_> = batch.iter().map(|call| call.account_id).collect();
        let mut grants = grants::lock(&mut tx, &Vec::from_iter(accounts), locked).await?;
        let (batch, deferred): (Vec<_>, Vec<_>) =
            batch.iter().copied().partition(|call| locked == Locked::Wait || grants.contains_key(&call.account_id));
        let deferred = deferred.into_iter().map(|call| call.call_id).collect();
        if batch.is_empty() {
            tx.rollback().await?;
            return Ok(PostedCalls { deferred, ..PostedCalls::default() });
        }
        // Read under the locks: postings of one account never run backwards.
        let posted_at = now_in_postgres(&mut tx).await?;
        let (accounts, calls): (Vec<_>, Vec<_>) = batch.iter().map(|call| (call.account_id, call.call_id)).unzip();
        let known = known_calls(&mut tx, &batch).await?;
        let leases = leases_by_call(leases::leases_of(&mut tx, &accounts, &calls).await?);
        let mut plan = Plan::of(&batch, &mut grants, &known, &leases, posted_at)?;
        for (call, known) in std::mem::take(&mut plan.late) {
            let before = corrections::of_call(&mut tx, call.account_id, call.call_id).await?;
            plan.correct(call, known, &before, &mut grants, posted_at)?;
        }

        insert_journal(&mut tx, &plan, posted_at).await?;
        settled::insert(&mut tx, &plan.records).await?;
        grants::change(&mut tx, &plan.grants).await?;
        leases::delete_intents(&mut tx, &accounts, &calls).await?;
        rollups::add(&mut tx, &plan.records.iter().map(Addition::from).collect::<Vec<_>>()).await?;
        for correction in &plan.corrections {
            correction.insert(&mut tx, None).await?;
        }
        tx.commit().await?;
        Ok(PostedCalls {
            posted: plan.records.len(),
            corrected: plan.corrections.len(),
            replayed: plan.replayed,
            unleased: plan.unleased,
            quarantined: Vec::new(),
            deferred,
        })
    }

    async fn quarantine(&self, call: &SettledCall, reason: &Error) -> Result<()> {
        tracing::error!(call = %call.call_id, %reason, "a settled call was put into quarantine");
        let whole = serde_json::to_string(call).map_err(|error| Error::Corrupt(error.to_string()))?;
        let insert = sqlx::query!(
            r#"
            insert into quarantine (account_id, call_id, is_own, call, reason, at) values ($1, $2, $3, $4, $5, now())
            on conflict (account_id, call_id, is_own) do nothing
            "#,
            call.account_id.uuid(),
            call.call_id.uuid(),
            call.source != UsageSource::Interrupted,
            whole,
            reason.to_string()
        );
        self.database.execute(insert).await.map(drop)
    }
}

impl PostedCalls {
    fn add(&mut self, other: Self) {
        self.posted += other.posted;
        self.corrected += other.corrected;
        self.replayed += other.replayed;
        self.unleased.extend(other.unleased);
        self.quarantined.extend(other.quarantined);
        self.deferred.extend(other.deferred);
    }
}

/// What a batch changes, worked out before anything is written.
#[derive(Default)]
struct Plan<'a> {
    records: Vec<CallRecord>,
    /// Settlements that came late, with what was posted instead: worked out when all holds of the batch are given back.
    late: Vec<(&'a SettledCall, &'a KnownCall)>,
    corrections: Vec<Correction>,
    replayed: usize,
    unleased: Vec<CallId>,
    /// Per account, what its new calls cost together.
    journals: BTreeMap<AccountId, JournalPlan>,
    /// Per grant, what is charged to it and what of it is no longer held.
    grants: BTreeMap<(AccountId, GrantId), Change>,
}

struct JournalPlan {
    id: JournalId,
    calls: usize,
    first: DateTime<Utc>,
    charges: BTreeMap<GrantId, Amount>,
}

impl<'a> Plan<'a> {
    fn of(
        batch: &[&'a SettledCall],
        accounts: &mut HashMap<AccountId, Vec<credit::Grant>>,
        known: &'a BTreeMap<CallId, KnownCall>,
        leases: &HashMap<CallId, Vec<Share>>,
        posted_at: DateTime<Utc>,
    ) -> Result<Self> {
        let mut plan = Self::default();
        let mut handled = BTreeSet::new();
        for call in batch {
            let held = leases.get(&call.call_id).map_or(&[][..], Vec::as_slice);
            let grants = accounts.entry(call.account_id).or_default();
            let wallet = grants::wallet_of(grants)?;
            if !handled.insert(call.call_id) {
                plan.replayed += 1;
                continue;
            }
            // The hold ends with the call, also when the call was posted before.
            for share in held {
                plan.change(call.account_id, grants, share.grant, Amount::ZERO, share.amount)?;
            }
            match known.get(&call.call_id) {
                None => {
                    let shares = plan.charge(call, held, wallet, posted_at)?;
                    for share in shares {
                        plan.change(call.account_id, grants, share.grant, share.amount, Amount::ZERO)?;
                    }
                }
                Some(known) if is_late(call, known) => plan.late.push((call, known)),
                Some(known) => {
                    warn_of_another_charge(call, known);
                    plan.replayed += 1;
                }
            }
        }
        Ok(plan)
    }

    /// Charges a grant, or gives back to it, and frees what was held of it: to be written, and at once for what follows in this batch.
    fn change(&mut self, account: AccountId, grants: &mut [credit::Grant], id: GrantId, charged: Amount, released: Amount) -> Result<()> {
        let change = self.grants.entry((account, id)).or_default();
        change.charged = add(change.charged, charged)?;
        change.released = add(change.released, released)?;
        if let Some(grant) = grants.iter_mut().find(|grant| grant.id == id) {
            let pool = &mut grant.pool;
            pool.capacity = pool.capacity.checked_sub(charged.into()).ok_or_else(overflow)?;
            pool.leased = pool.leased.checked_sub(released.into()).ok_or_else(overflow)?;
        }
        Ok(())
    }

    /// The call was taken for dead, and was not: what it came to differs from what was charged for it.
    fn correct(
        &mut self,
        call: &SettledCall,
        known: &KnownCall,
        before: &[CorrectionRecord],
        accounts: &mut HashMap<AccountId, Vec<credit::Grant>>,
        posted_at: DateTime<Utc>,
    ) -> Result<()> {
        let grants = accounts.entry(call.account_id).or_default();
        let correction = Correction::late_usage(call, known, before, grants, posted_at)?;
        for share in correction.shares() {
            self.change(call.account_id, grants, share.grant_id, Amount::from_nanos(share.amount), Amount::ZERO)?;
        }
        if correction.record.written_off > 0 {
            let written_off = Amount::from_nanos(correction.record.written_off);
            tracing::error!(call = %call.call_id, %written_off, "a call was settled after its credit had been spent: the rest is written off");
        }
        self.corrections.push(correction);
        Ok(())
    }

    /// Plans a new call. Returns what each grant pays of it.
    fn charge(&mut self, call: &SettledCall, held: &[Share], wallet: GrantId, posted_at: DateTime<Utc>) -> Result<Vec<Share>> {
        if held.is_empty() && !call.amount.is_zero() {
            self.unleased.push(call.call_id);
        }
        let shares = shares_of_charge(call.amount, held, wallet);
        let started_at = call.started_at()?;
        let journal_id = if shares.is_empty() {
            None
        } else {
            // The id of the first new call names the posting: it is unique, and the same for the same batch.
            let journal = self.journals.entry(call.account_id).or_insert_with(|| JournalPlan {
                id: JournalId::from_uuid(call.call_id.uuid()),
                calls: 0,
                first: started_at,
                charges: BTreeMap::new(),
            });
            journal.calls += 1;
            for share in &shares {
                let charged = journal.charges.entry(share.grant).or_default();
                *charged = add(*charged, share.amount)?;
            }
            Some(journal.id)
        };
        let paid_by = shares.iter().map(|share| PaidShare { grant_id: share.grant, amount: share.amount.nanos() }).collect();
        self.records.push(call.clone().into_record(paid_by, journal_id, posted_at)?);
        Ok(shares)
    }
}

/// Two halves of a batch that is sorted by account, with no account in both; `None` if it is of one account alone.
fn apart<'b, 'a>(batch: &'b [&'a SettledCall]) -> Option<(&'b [&'a SettledCall], &'b [&'a SettledCall])> {
    let middle = batch.get(batch.len() / 2)?.account_id;
    let begins = batch.partition_point(|call| call.account_id < middle);
    let at = if begins > 0 { begins } else { batch.partition_point(|call| call.account_id <= middle) };
    (at < batch.len()).then(|| batch.split_at(at))
}

/// A charge uses up the call's own hold, in order. It is never above that, but where the hold is gone it falls on the wallet.
fn shares_of_charge(charge: Amount, held: &[Share], wallet: GrantId) -> Vec<Share> {
    let split = Split { payment: held.iter().map(|share| share.hold()).collect(), limits: Vec::new() };
    let charge = credit::settle(&split, Demand { money: charge, ..Demand::NOTHING }, Strictness::Lenient { wallet });
    let used = charge.payment.into_iter().filter(|change| !change.used.is_zero());
    used.filter_map(|change| Share::of(Hold { pool: change.pool, unit: change.unit, quantity: change.used })).collect()
}

fn add(a: Amount, b: Amount) -> Result<Amount> {
    a.checked_add(b).ok_or_else(overflow)
}

fn overflow() -> Error {
    Error::Corrupt("the charges of a batch overflow".to_owned())
}

pub(crate) async fn now_in_postgres(connection: &mut PgConnection) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(connection).await?)
}

/// A proxy that was away for so long that its call was settled as interrupted brings the call's own settlement.
fn is_late(call: &SettledCall, posted: &KnownCall) -> bool {
    posted.source == UsageSource::Interrupted && call.source != UsageSource::Interrupted && !posted.is_settled_late
}

/// Nothing hands over a call with two charges but a defect, or somebody who changes calls on their way here.
fn warn_of_another_charge(call: &SettledCall, posted: &KnownCall) {
    if call.amount != posted.amount && posted.source != UsageSource::Interrupted {
        tracing::error!(call = %call.call_id, posted = %posted.amount, settled = %call.amount, "a call was posted before with another charge, which stays");
    }
}

/// Those calls of the batch that are in the books.
async fn known_calls(connection: &mut PgConnection, batch: &[&SettledCall]) -> Result<BTreeMap<CallId, KnownCall>> {
    let calls: Vec<_> = batch.iter().map(|call| (call.account_id, call.call_id)).collect();
    let known = corrections::known_calls(connection, &calls).await?;
    Ok(known.into_iter().map(|call| (call.call_id, call)).collect())
}

fn leases_by_call(leases: Vec<Lease>) -> HashMap<CallId, Vec<Share>> {
    let mut by_call: HashMap<CallId, Vec<Share>> = HashMap::new();
    for lease in leases {
        by_call.entry(lease.call).or_default().push(lease.share);
    }
    by_call
}

async fn insert_journal(connection: &mut PgConnection, plan: &Plan<'_>, posted_at: DateTime<Utc>) -> Result<()> {
    let journals: Vec<_> = plan.journals.iter().collect();
    sqlx::query!(
        r#"
        insert into journal (account_id, journal_id, kind, memo, actor, event_at, posted_at)
        select account_id, journal_id, 'usage', memo, '', event_at, $5
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[]) j (account_id, journal_id, memo, event_at)
        "#,
        &journals.iter().map(|(account, _)| account.uuid()).collect::<Vec<_>>(),
        &journals.iter().map(|(_, journal)| journal.id.uuid()).collect::<Vec<_>>(),
        &journals.iter().map(|(_, journal)| calls_in_words(journal.calls)).collect::<Vec<_>>(),
        &journals.iter().map(|(_, journal)| journal.first).collect::<Vec<_>>(),
        posted_at
    )
    .execute(&mut *connection)
    .await?;
    let entries = journals.iter().flat_map(|(account, journal)| journal.entries().map(|entry| (account.uuid(), journal.id.uuid(), entry)));
    let (mut accounts, mut ids, mut lines, mut books, mut grants, mut amounts) = (vec![], vec![], vec![], vec![], vec![], vec![]);
    for (account, id, (line, book, grant, amount)) in entries {
        accounts.push(account);
        ids.push(id);
        lines.push(line);
        books.push(book);
        grants.push(grant.map(GrantId::uuid));
        amounts.push(amount?.nanos());
    }
    sqlx::query!(
        r#"
        insert into entries (account_id, journal_id, line, book, unit, grant_id, amount)
        select account_id, journal_id, line, book, 'money', grant_id, amount
        from unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::uuid[], $6::bigint[])
            e (account_id, journal_id, line, book, grant_id, amount)
        "#,
        &accounts,
        &ids,
        &lines,
        &books as _,
        &grants as _,
        &amounts
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl JournalPlan {
    /// Each grant gives what is charged to it, and revenue takes it: line, book, grant, amount. They sum to zero.
    fn entries(&self) -> impl Iterator<Item = (i16, &'static str, Option<GrantId>, Result<Amount>)> + '_ {
        let given = self.charges.iter().map(|(grant, amount)| ("grant", Some(*grant), amount.checked_neg().ok_or_else(overflow)));
        let total = Amount::checked_sum(self.charges.values().copied()).ok_or_else(overflow);
        given.chain(std::iter::once(("revenue", None, total))).zip(1..).map(|((book, grant, amount), line)| (line, book, grant, amount))
    }
}

fn calls_in_words(calls: usize) -> String {
    if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") }
}
