//! Posting: the only way in which usage reaches the books.
//!
//! A batch is one transaction, or several if it is large. The books of every account in it are locked first, and whoever posts, leases or moves
//! money locks the same rows in the same order: within an account everything happens one after the other, and two posters cannot deadlock. Under
//! those locks it is known which calls are already there, so replaying a batch changes nothing.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use domain::{
    attribution::Label,
    call::UsageSource,
    credit::{self, Charge, Hold, Limit, Split, Strictness},
    id::{AccountId, CallId, EpochId},
    lease::{Fate, fate, spend},
    money::Amount,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Meter, Result, SettledCall,
    books::{Book, Books, Lock},
    corrections::{self, Correction, CorrectionRecord, KnownCall},
    leases::{self, Rows},
    limits,
    rollups::{self, Addition},
    settled::{self, PaidShare, SealedCall, tokens_owed},
};

/// The most calls of one transaction: it holds the books of all their accounts.
const TOGETHER_MAX: usize = 500;

/// The most transactions of one round that may be refused. What is left then waits for the next one: a batch of nothing but bad rows must not keep good
/// ones waiting for a thousand of them.
const REFUSED_MAX: usize = 32;

/// The most transactions of one round that may wait for a lock in vain: with more it is no account's, and taking them apart helps nobody.
const TAKEN_APART_MAX: usize = 32;

/// Who locks an account and forgets it keeps its own calls waiting for so long. The statements find each row by its key: a plan that was made while a table
/// had few rows must not read it whole when it has many.
pub(crate) const BEGIN_WAITING: &str =
    "begin isolation level read committed; set local enable_seqscan = off; set local lock_timeout = '2s'";
/// And nobody else's longer than this, whatever else than its books is locked.
pub(crate) const BEGIN_DEFERRING: &str =
    "begin isolation level read committed; set local enable_seqscan = off; set local lock_timeout = '100ms'";

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostedCalls {
    /// Calls that were posted now.
    pub posted: usize,
    /// Calls that had been posted as interrupted, and are corrected by what they came to after all.
    pub corrected: usize,
    /// Calls that were there before.
    pub replayed: usize,
    /// Calls that cost something and hold nothing: nobody leased anything for them. Charged to the wallet, also of accounts that are strict.
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
    pub async fn post_calls(&self, batch: &[impl Borrow<SettledCall> + Sync]) -> Result<PostedCalls> {
        self.post(batch.iter().map(Borrow::borrow).collect(), Lock::Wait).await
    }

    /// [`Self::post_calls`], but for calls whose account is locked right now, which are deferred: they keep nobody waiting.
    ///
    /// # Errors
    /// As [`Self::post_calls`].
    pub async fn post_free_calls(&self, batch: &[impl Borrow<SettledCall> + Sync]) -> Result<PostedCalls> {
        self.post(batch.iter().map(Borrow::borrow).collect(), Lock::Defer).await
    }

    async fn post(&self, mut batch: Vec<&SettledCall>, lock: Lock) -> Result<PostedCalls> {
        let mut done = PostedCalls::default();
        // Accounts side by side, so that they can be taken apart, their calls in the order of the books, and what is known of a call before what was
        // assumed of it.
        batch.sort_by_key(|call| (call.account_id, call.call_id, call.source == UsageSource::Interrupted));
        let mut parts: Vec<_> = batch.chunks(TOGETHER_MAX).rev().collect();
        let (mut refused, mut taken_apart) = (0, 0);
        while let Some(part) = parts.pop() {
            if refused >= REFUSED_MAX {
                done.deferred.extend(part.iter().map(|call| call.call_id));
                continue;
            }
            match (self.post_together(part, lock).await, part) {
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
                // Something else than the books is locked: whose it is shows when the accounts stand alone.
                (Err(error), many) if error.is_a_lock() && lock == Lock::Defer && taken_apart < TAKEN_APART_MAX => {
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
            match self.post_together(&[&call], Lock::Defer).await {
                Ok(posted) => done.add(posted),
                Err(error) if error.is_of_the_data() => done.quarantined.push(call.call_id),
                Err(error) if error.is_a_lock() => done.deferred.push(call.call_id),
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    async fn post_together(&self, batch: &[&SettledCall], lock: Lock) -> Result<PostedCalls> {
        let begin = if lock == Lock::Wait { BEGIN_WAITING } else { BEGIN_DEFERRING };
        let mut tx = self.database.write_with(begin).await?;
        let accounts: BTreeSet<_> = batch.iter().map(|call| call.account_id).collect();
        let mut books = Books::lock(&mut tx, &Vec::from_iter(accounts), lock, self.database.dated).await?;
        let (batch, deferred): (Vec<_>, Vec<_>) =
            batch.iter().copied().partition(|call| lock == Lock::Wait || books.contains(call.account_id));
        let deferred = deferred.into_iter().map(|call| call.call_id).collect();
        if batch.is_empty() {
            tx.rollback().await?;
            return Ok(PostedCalls { deferred, ..PostedCalls::default() });
        }
        let (accounts, calls): (Vec<_>, Vec<_>) = batch.iter().map(|call| (call.account_id, call.call_id)).unzip();
        let known = known_calls(&mut tx, &batch).await?;
        let runs: Vec<_> = batch.iter().filter_map(|call| call.attribution.session.as_ref().map(Label::as_str)).collect();
        let before = Rows::read(&mut tx, &books.accounts()).await?;
        let mut leases = Leases { rows: before.clone(), of_earlier: splits_of_earlier(&mut tx, &batch).await? };
        let limits = limits_by_account(limits::in_force(&mut tx, &books.limited(), &runs).await?);
        let mut plan = Plan::of(&batch, &mut books, &known, &mut leases, &limits)?;
        for (call, known) in std::mem::take(&mut plan.late) {
            let before = corrections::of_call(&mut tx, call.account_id, call.call_id).await?;
            let book = book_of(&mut books, call)?;
            plan.correct(call, &known, &before, book)?;
            if let Some(correction) = plan.corrections.last() {
                limits::count(correction.counted(), limits.get(&call.account_id).map_or(&[], Vec::as_slice), book)?;
            }
        }

        books.write(&mut tx).await?;
        settled::insert(&mut tx, &plan.records).await?;
        leases.rows.write(&before, &mut tx).await?;
        leases::delete_announced(&mut tx, &accounts, &calls).await?;
        rollups::add(&mut tx, &plan.records.iter().map(|call| Addition::from(&call.record)).collect::<Vec<_>>()).await?;
        for correction in &plan.corrections {
            correction.insert(&mut tx).await?;
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

/// What is leased of the accounts of a batch.
struct Leases {
    rows: Rows,
    /// What calls hold that a version admitted which held in the database for each call.
    of_earlier: HashMap<CallId, (EpochId, Split)>,
}

impl Leases {
    /// What a call holds, and of whose slices.
    fn held_by(&self, call: &SettledCall) -> (Option<EpochId>, Split) {
        match (call.epoch, self.of_earlier.get(&call.call_id)) {
            (None, Some((epoch, split))) => (Some(*epoch), split.clone()),
            (epoch, _) => (epoch, call.split.clone()),
        }
    }
}

/// What a batch changes beside the books, worked out before anything is written.
#[derive(Default)]
struct Plan<'a> {
    records: Vec<SealedCall>,
    /// Settlements that came late, with what was posted instead: worked out when all others of the batch are paid from what they hold.
    late: Vec<(&'a SettledCall, KnownCall)>,
    corrections: Vec<Correction>,
    replayed: usize,
    unleased: Vec<CallId>,
}

impl<'a> Plan<'a> {
    fn of(
        batch: &[&'a SettledCall],
        books: &mut Books,
        known: &BTreeMap<CallId, KnownCall>,
        leases: &mut Leases,
        limits: &HashMap<AccountId, Vec<Limit>>,
    ) -> Result<Self> {
        let mut plan = Self::default();
        let mut handled = BTreeSet::new();
        for call in batch {
            let book = book_of(books, call)?;
            if !handled.insert(call.call_id) {
                plan.replayed += 1;
                continue;
            }
            let (epoch, split) = leases.held_by(call);
            let charge = call.charge(&split, Strictness::Lenient { wallet: book.wallet()? });
            let known = known.get(&call.call_id);
            let mut lease = epoch.and_then(|epoch| leases.rows.find(call.account_id, epoch));
            let leased = |pool| lease.as_ref().map_or(credit::Quantity::ZERO, |lease| lease.of(pool));
            let limits = limits.get(&call.account_id).map_or(&[][..], Vec::as_slice);
            match fate(is_own(call), &charge, known.map(KnownCall::posted), leased) {
                Fate::New => {
                    for spent in spend(&charge).filter(|spent| !spent.of_slice.is_zero()) {
                        let hold = Hold { quantity: spent.of_slice, ..spent.used };
                        book.hold(hold, -hold.quantity.get())?;
                        lease.as_mut().into_iter().for_each(|lease| lease.use_up(hold));
                    }
                    plan.charge(call, &charge, limits, book)?;
                }
                Fate::Stray => plan.stray(call, &charge, limits, book)?,
                Fate::Late => plan.late.extend(known.map(|known| (*call, known.clone()))),
                Fate::Replayed => {
                    known.into_iter().for_each(|known| warn_of_another_charge(call, known));
                    plan.replayed += 1;
                }
            }
        }
        Ok(plan)
    }

    /// Its slices went back before anybody heard of it: it is posted at no charge, and what it came to is paid from what there is now.
    fn stray(&mut self, call: &'a SettledCall, charge: &Charge, limits: &[Limit], book: &mut Book) -> Result<()> {
        tracing::warn!(call = %call.call_id, "a call was settled after its proxy's lease had ended: it is paid from what there is now");
        let record = call.clone().of_unknown_end().into_record(charge.unit, Vec::new(), book.now())?.sealed();
        book.add_call(&record)?;
        limits::count(record.counted(call.member), limits, book)?;
        if is_own(call) {
            self.late.push((call, KnownCall::from_record(&record, call.member)));
        }
        self.records.push(record);
        Ok(())
    }

    /// The call was taken for dead, and was not: what it came to differs from what was charged for it.
    fn correct(&mut self, call: &SettledCall, known: &KnownCall, before: &[CorrectionRecord], book: &mut Book) -> Result<()> {
        let correction = Correction::late_usage(call, known, before, book)?;
        if correction.record.written_off > 0 {
            let written_off = Amount::from_nanos(correction.record.written_off);
            tracing::error!(call = %call.call_id, %written_off, "a call was settled after its credit had been spent: the rest is written off");
        }
        self.corrections.push(correction);
        Ok(())
    }

    /// Charges a new call, and counts it in limits, whether or not they were there when it was admitted.
    fn charge(&mut self, call: &SettledCall, charge: &Charge, limits: &[Limit], book: &mut Book) -> Result<()> {
        let used = charge.payment.iter().filter(|change| !change.used.is_zero());
        let paid_by: Vec<_> = used.clone().filter_map(|change| PaidShare::of(change.pool, change.used)).collect();
        if !paid_by.is_empty() && used.map(|change| change.released).all(credit::Quantity::is_zero) {
            self.unleased.push(call.call_id);
        }
        let record = call.clone().into_record(charge.unit, paid_by, book.now())?.sealed();
        book.add_call(&record)?;
        limits::count(record.counted(call.member), limits, book)?;
        self.records.push(record);
        Ok(())
    }
}

/// A call of an account that does not exist is a row at fault.
fn book_of<'b>(books: &'b mut Books, call: &SettledCall) -> Result<&'b mut Book> {
    books.of(call.account_id).map_err(|_| Error::Corrupt(format!("call {}: its account has no books", call.call_id)))
}

/// Two halves of a batch that is sorted by account, with no account in both; `None` if it is of one account alone.
fn apart<'b, 'a>(batch: &'b [&'a SettledCall]) -> Option<(&'b [&'a SettledCall], &'b [&'a SettledCall])> {
    let middle = batch.get(batch.len() / 2)?.account_id;
    let begins = batch.partition_point(|call| call.account_id < middle);
    let at = if begins > 0 { begins } else { batch.partition_point(|call| call.account_id <= middle) };
    (at < batch.len()).then(|| batch.split_at(at))
}

/// Whether it is the call's own settlement, and not what was assumed of it when its proxy died.
fn is_own(call: &SettledCall) -> bool {
    call.source != UsageSource::Interrupted
}

/// Nothing hands over a call with two charges but a defect, or somebody who changes calls on their way here.
fn warn_of_another_charge(call: &SettledCall, posted: &KnownCall) {
    let settled = if posted.tokens_paid.is_some() { tokens_owed(&call.usage, call.tokens_held).get() } else { call.amount.nanos() };
    if settled != posted.paid() && posted.source != UsageSource::Interrupted {
        tracing::error!(call = %call.call_id, posted = posted.paid(), settled, "a call was posted before with another charge, which stays");
    }
}

/// Those calls of the batch that are in the books.
async fn known_calls(connection: &mut PgConnection, batch: &[&SettledCall]) -> Result<BTreeMap<CallId, KnownCall>> {
    let calls: Vec<_> = batch.iter().map(|call| (call.account_id, call.call_id)).collect();
    let known = corrections::known_calls(connection, &calls).await?;
    Ok(known.into_iter().map(|call| (call.call_id, call)).collect())
}

/// What is held by calls of the batch whose settlements do not say it.
async fn splits_of_earlier(connection: &mut PgConnection, batch: &[&SettledCall]) -> Result<HashMap<CallId, (EpochId, Split)>> {
    let earlier = batch.iter().filter(|call| call.epoch.is_none());
    let (accounts, calls): (Vec<_>, Vec<_>) = earlier.map(|call| (call.account_id, call.call_id)).unzip();
    if calls.is_empty() { Ok(HashMap::new()) } else { leases::announced_splits(connection, &accounts, &calls).await }
}

fn limits_by_account(limits: Vec<(AccountId, Limit)>) -> HashMap<AccountId, Vec<Limit>> {
    let mut by_account: HashMap<AccountId, Vec<Limit>> = HashMap::new();
    for (account, limit) in limits {
        by_account.entry(account).or_default().push(limit);
    }
    by_account
}
