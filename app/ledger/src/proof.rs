//! The proof: everything recomputed from the raw rows, in one snapshot, so that it is exact while posting runs.

use std::collections::{BTreeMap, HashMap};

use domain::{
    billing::JournalKind,
    id::{CallId, GrantId, JournalId, PriceId},
    money::Amount,
    pricing::{self, Charge, Discount},
    rates::Rates,
    tokens::Flag,
};
use futures_util::TryStreamExt;
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection, Row, types::Json};

use crate::{
    Error, Ledger, Result,
    corrections::{self, CorrectionRecord},
    journal,
    settled::{self, CallRecord},
};

/// What was checked, and what does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Every claim, with the number of rows that disagree, counted up to [`FAULTS_MAX`].
    pub checks: Vec<Check>,
    /// Every row that disagrees; at most a hundred per claim.
    pub faults: Vec<Fault>,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What must hold.
    pub claim: String,
    /// Rows that disagree.
    pub faults: usize,
}

/// A row that disagrees with what it follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What should hold.
    pub claim: String,
    /// Which row does not.
    pub row: String,
    /// What it should say.
    pub expected: String,
    /// What it says.
    pub found: String,
}

/// Faults that are named per check. A damaged disk should not fill another one.
pub(crate) const FAULTS_MAX: usize = 100;

impl Proof {
    /// Whether everything adds up.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }

    fn add(&mut self, claim: &str, faults: Vec<Fault>) {
        self.checks.push(Check { claim: claim.to_owned(), faults: faults.len() });
        self.faults.extend(faults);
    }
}

/// A claim in SQL: it selects the rows that disagree, as (row, expected, found).
struct Claim {
    claim: &'static str,
    sql: &'static str,
}

const JOURNAL_BALANCES: Claim = Claim {
    claim: "the entries of a posting sum to zero",
    sql: "select 'journal ' || j.journal_id, '0', \
          sum(e.amount)::text || ' = ' || string_agg('line ' || e.line || ' ' || e.book || ' ' || e.amount, ', ' order by e.line) \
          from journal j left join entries e using (account_id, journal_id) \
          group by j.account_id, j.journal_id, e.unit having sum(e.amount) is distinct from 0",
};

const ENTRIES_ARE_NUMBERED: Claim = Claim {
    claim: "the entries of a posting are numbered from 1",
    sql: "select 'journal ' || journal_id, '1 to ' || count(*), string_agg(line::text, ', ' order by line) from entries \
          group by account_id, journal_id having min(line) <> 1 or max(line) <> count(*)",
};

const ENTRIES_ARE_IN_THEIR_BOOKS: Claim = Claim {
    claim: "what a grant gives or gets stands against the book of its posting's kind",
    sql: "select 'journal ' || journal_id || ' line ' || line, b.book, e.book from entries e join journal j using (account_id, journal_id) \
          cross join lateral (select case when j.kind in ('usage', 'late_usage', 'call_credit') then 'revenue' when j.kind = 'top_up' then 'cash' else j.kind end as book) b \
          where e.book not in ('grant', b.book)",
};

/// A statement is in the order of its dates. A posting's id is that of the first of its calls.
const USAGE_IS_DATED_BY_ITS_CALLS: Claim = Claim {
    claim: "a usage posting bears the dates of its calls, and says how many they are",
    sql: "select 'journal ' || j.journal_id, \
          'usage ' || uuid_v7_time(j.journal_id) || ', posted ' || min(c.posted_at) || ': ' || case count(*) when 1 then '1 call' else count(*) || ' calls' end, \
          j.kind || ' ' || j.event_at || ', posted ' || j.posted_at || ': ' || j.memo || j.actor \
          from journal j join calls c using (account_id, journal_id) group by j.account_id, j.journal_id \
          having j.kind <> 'usage' or uuid_v7_time(j.journal_id) <> j.event_at or min(c.posted_at) <> j.posted_at or max(c.posted_at) <> j.posted_at \
          or j.actor <> '' or j.memo <> case count(*) when 1 then '1 call' else count(*) || ' calls' end",
};

const GRANT_IS_ITS_ENTRIES: Claim = Claim {
    claim: "a grant's posted amount is the sum of its entries",
    sql: "select 'grant ' || g.grant_id, coalesce(sum(e.amount), 0)::text, g.posted::text from grants g \
          left join entries e on e.account_id = g.account_id and e.grant_id = g.grant_id and e.book = 'grant' \
          group by g.account_id, g.grant_id having g.posted <> coalesce(sum(e.amount), 0)",
};

const WALLET_LASTS: Claim = Claim {
    claim: "a wallet is there from its account's first moment on, and does not expire",
    sql: "select 'grant ' || g.grant_id, 'from ' || a.created_at || ' on', 'from ' || g.starts_at || coalesce(' to ' || g.expires_at, ' on') \
          from grants g join accounts a using (account_id) \
          where g.kind = 'wallet' and (g.starts_at <> a.created_at or g.expires_at is not null)",
};

const GRANT_IS_ITS_LEASES: Claim = Claim {
    claim: "a grant's leased amount is the sum of its leases",
    sql: "select 'grant ' || g.grant_id || ' (leased)', coalesce(sum(l.amount), 0)::text, g.leased::text from grants g \
          left join leases l on l.account_id = g.account_id and l.grant_id = g.grant_id \
          group by g.account_id, g.grant_id having g.leased <> coalesce(sum(l.amount), 0)",
};

const HOLD_IS_ITS_LEASES: Claim = Claim {
    claim: "a running call's hold is the sum of its leases",
    sql: "select 'intent ' || i.call_id, coalesce(sum(l.amount), 0)::text, i.held::text from intents i \
          left join leases l on l.account_id = i.account_id and l.lease_id = i.call_id \
          group by i.account_id, i.call_id having i.held <> coalesce(sum(l.amount), 0)",
};

/// Both ways: a rollup row without calls is as wrong as calls without a rollup row.
macro_rules! rollup_is_its_calls {
    ($table:literal, $step:literal) => {
        Claim {
            claim: concat!("the sums of a ", $step, " are those of its calls and their corrections"),
            sql: concat!(
                "with sums as (select account_id, date_trunc('",
                $step,
                "', started_at, 'UTC') as ",
                $step,
                ", key_id, model, stream, outcome, \
                 sum(calls) as requests, coalesce(sum(prompt_tokens), 0) as prompt, coalesce(sum(completion_tokens), 0) as completion, \
                 coalesce(sum(total_tokens), 0) as total, sum(amount) as amount, sum(written_off) as written_off from ( \
                 select account_id, started_at, key_id, model, stream, outcome, 1 as calls, prompt_tokens, completion_tokens, total_tokens, amount, \
                 written_off from calls union all \
                 select account_id, started_at, key_id, model, stream, outcome, 0, x.prompt_tokens, x.completion_tokens, x.total_tokens, x.amount, \
                 x.written_off from corrections x join calls using (account_id, started_at, call_id)) figures group by 1, 2, 3, 4, 5, 6) \
                 select '",
                $table,
                " ' || \
                 concat_ws(' ', account_id, ",
                $step,
                ", key_id, model, case when stream then 'stream' else 'plain' end, outcome), \
                 (s.requests, s.prompt, s.completion, s.total, s.amount, s.written_off)::text, \
                 (u.requests, u.prompt_tokens, u.completion_tokens, u.total_tokens, u.amount, u.written_off)::text \
                 from sums s full join ",
                $table,
                " u using (account_id, ",
                $step,
                ", key_id, model, stream, outcome) \
                 where (s.requests, s.prompt, s.completion, s.total, s.amount, s.written_off) \
                 is distinct from (u.requests, u.prompt_tokens, u.completion_tokens, u.total_tokens, u.amount, u.written_off)"
            ),
        }
    };
}

/// A version counts as known ten seconds after it was written, which is the least lead of one that follows another.
const CALL_IS_AT_ITS_PRICE: Claim = Claim {
    claim: "a call's price is the one of its model that was in force when the call was admitted",
    sql: "select 'call ' || c.call_id, c.model || ' at ' || c.started_at, v.kind || ' of ' || m.name || ' from ' || v.effective_from \
          from calls c left join price_versions v using (price_id) left join models m using (model_id) \
          where (v.kind = 'sale' and m.name = c.model and v.effective_from <= c.started_at) is not true or exists ( \
              select from price_versions later where later.model_id = v.model_id and later.kind = 'sale' \
              and later.effective_from > v.effective_from and later.effective_from <= c.started_at \
              and later.created_at <= c.started_at - interval '10 seconds')",
};

const SETTLED_IS_POSTED: Claim = Claim {
    claim: "a settled call is in the books",
    sql: "select 'call ' || call_id, 'posted', 'in quarantine since ' || at || ': ' || reason from quarantine_of_unposted",
};

/// What else a credit's posting says is part of what was asked for.
const CORRECTION_DATES_ITS_POSTING: Claim = Claim {
    claim: "a correction's posting is of its kind, and bears its date and its words",
    sql: "select 'journal ' || j.journal_id, w.kind || ' ' || w.event_at || ', posted ' || x.posted_at || ': ' || w.memo || w.actor, \
          j.kind || ' ' || j.event_at || ', posted ' || j.posted_at || ': ' || j.memo || j.actor \
          from corrections x join journal j using (account_id, journal_id) cross join lateral (select \
          case x.kind when 'late_usage' then 'late_usage' else 'call_credit' end as kind, \
          case x.kind when 'late_usage' then x.started_at else x.posted_at end as event_at, \
          case x.kind when 'late_usage' then 'call ' || x.call_id else j.memo end as memo, \
          case x.kind when 'late_usage' then '' else j.actor end as actor) w \
          where (j.kind, j.posted_at, j.event_at, j.memo, j.actor) <> (w.kind, x.posted_at, w.event_at, w.memo, w.actor)",
};

const CLAIMS: [Claim; 13] = [
    JOURNAL_BALANCES,
    ENTRIES_ARE_NUMBERED,
    ENTRIES_ARE_IN_THEIR_BOOKS,
    USAGE_IS_DATED_BY_ITS_CALLS,
    GRANT_IS_ITS_ENTRIES,
    WALLET_LASTS,
    GRANT_IS_ITS_LEASES,
    HOLD_IS_ITS_LEASES,
    rollup_is_its_calls!("usage_hourly", "hour"),
    rollup_is_its_calls!("usage_daily", "day"),
    CALL_IS_AT_ITS_PRICE,
    SETTLED_IS_POSTED,
    CORRECTION_DATES_ITS_POSTING,
];

const CALL_IS_SEALED: &str = "a call's row is the one that was posted";
const CALL_IS_ITS_RECEIPT: &str = "a call's amount is its receipt recomputed, at most what was held";
const CALL_ADDS_UP: &str = "a call's buckets add up to its totals, or it is flagged";
const CALL_IS_PAID: &str = "a call's shares sum to its amount";
const MOVEMENT_IS_ITS_REQUEST: &str = "money moved by hand is what was asked for, by whom and why";
const JOURNAL_IS_ITS_CALLS: &str = "a posting of usage takes from each grant what its calls and corrections cost";
const CORRECTION_IS_SEALED: &str = "a correction's row is the one that was posted";
const CORRECTION_ADDS_UP: &str =
    "a correction is the difference between its call and the settlement that came late, or what was given back";
const LATE_IS_ITS_RECEIPT: &str = "a late settlement is of its call, and its amount is its receipt recomputed, at most what was held";
const CALL_COSTS_SOMETHING: &str = "no more of a call is given back than it costs";

impl Ledger {
    /// Recomputes every figure from the rows it follows from.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away; a row that disagrees is a [`Fault`], not an error.
    pub async fn verify(&self) -> Result<Proof> {
        let mut tx = self.database.snapshot().await?;
        let mut proof = Proof::default();
        for claim in CLAIMS {
            let faults = disagreeing(&mut tx, &claim).await?;
            proof.add(claim.claim, faults);
        }
        proof.add(MOVEMENT_IS_ITS_REQUEST, movements(&mut tx).await?);
        check_calls(&mut tx, &mut proof).await?;
        tx.rollback().await?;
        Ok(proof)
    }
}

async fn disagreeing(connection: &mut PgConnection, claim: &Claim) -> Result<Vec<Fault>> {
    let bounded = format!("{} limit {FAULTS_MAX}", claim.sql);
    let rows = sqlx::query(AssertSqlSafe(bounded)).fetch_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            let text = |place: usize| Ok::<_, Error>(row.try_get::<Option<String>, _>(place)?.unwrap_or_else(|| "nothing".to_owned()));
            Ok(Fault { claim: claim.claim.to_owned(), row: text(0)?, expected: text(1)?, found: text(2)? })
        })
        .collect()
}

/// What was asked for is known by its digest, which keeps repeated requests from acting twice.
async fn movements(connection: &mut PgConnection) -> Result<Vec<Fault>> {
    let rows = sqlx::query!(
        r#"
        select
            j.journal_id, j.kind as "kind: JournalKind", j.memo, j.actor, j.request_digest as digest, e.amount as "amount!: Amount",
            x.call_id as "call?: CallId"
        from journal j
        cross join lateral (
            select coalesce(sum(amount), 0)::bigint as amount from entries where account_id = j.account_id and journal_id = j.journal_id and book = 'grant'
        ) e
        left join corrections x on x.account_id = j.account_id and x.journal_id = j.journal_id
        where j.kind in ('top_up', 'adjustment', 'call_credit')
        "#
    )
    .fetch_all(connection)
    .await?;
    let mut faults = Vec::new();
    for row in rows {
        let digests = match row.call {
            Some(call) => [false, true].map(|all| corrections::request_digest(call, row.amount, all, &row.memo, &row.actor)),
            None => [journal::request_digest(row.kind, row.amount, &row.memo, &row.actor); 2],
        };
        if !digests.iter().any(|digest| row.digest.as_deref() == Some(&digest[..])) {
            let found = format!("{} of {} by {}: {}", row.kind.name(), row.amount, row.actor, row.memo);
            note(&mut faults, MOVEMENT_IS_ITS_REQUEST, format!("journal {}", row.journal_id), "what its digest says", &found);
        }
    }
    Ok(faults)
}

/// What is found in the calls themselves, row by row.
#[derive(Default)]
struct CallFaults {
    sealed: Vec<Fault>,
    receipt: Vec<Fault>,
    adds_up: Vec<Fault>,
    paid: Vec<Fault>,
    /// Per posting and grant, what its calls say they took.
    taken: BTreeMap<(JournalId, GrantId), i128>,
}

async fn check_calls(connection: &mut PgConnection, proof: &mut Proof) -> Result<()> {
    let prices = price_versions(connection).await?;
    let mut faults = CallFaults::default();
    {
        let mut rows = sqlx::query!(r#"select call_id, to_jsonb(c) as "record!", seal from calls c"#).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            match settled::from_json(row.record) {
                Ok(record) => faults.look_at(&record, &row.seal, &prices)?,
                Err(error) => {
                    note(&mut faults.sealed, CALL_IS_SEALED, format!("call {}", row.call_id), "a readable row", &error.to_string())
                }
            }
        }
    }
    let corrections = check_corrections(connection, &prices, &mut faults.taken).await?;
    let journal = usage_entries(connection).await?;
    proof.add(CALL_IS_SEALED, faults.sealed);
    proof.add(CALL_IS_ITS_RECEIPT, faults.receipt);
    proof.add(CALL_ADDS_UP, faults.adds_up);
    proof.add(CALL_IS_PAID, faults.paid);
    for (claim, faults) in corrections {
        proof.add(claim, faults);
    }
    proof.add(JOURNAL_IS_ITS_CALLS, journal_faults(&faults.taken, &journal));
    Ok(())
}

impl CallFaults {
    fn look_at(&mut self, record: &CallRecord, seal: &[u8], prices: &HashMap<PriceId, Rates>) -> Result<()> {
        let row = || format!("call {}", record.call_id);
        match record.fits(seal) {
            Some(true) => {}
            Some(false) => note(&mut self.sealed, CALL_IS_SEALED, row(), "the row that was sealed", "another"),
            None => note(&mut self.sealed, CALL_IS_SEALED, row(), "a seal of this version or an older one", "one that cannot be read here"),
        }
        let recomputed = recompute(record, prices);
        if recomputed != Ok(record.charge()) {
            let expected = recomputed.map_or_else(|problem| problem, in_words);
            note(&mut self.receipt, CALL_IS_ITS_RECEIPT, row(), &expected, &in_words(record.charge()));
        }
        let usage = record.usage();
        if usage.flag != Some(Flag::Contradictory) && !usage.adds_up() {
            let totals = format!("{:?} prompt, {:?} completion", usage.prompt_tokens, usage.completion_tokens);
            note(&mut self.adds_up, CALL_ADDS_UP, row(), &totals, &format!("{:?}", usage.counts));
        }
        let paid: i128 = record.paid_by.iter().map(|share| i128::from(share.amount)).sum();
        if paid != i128::from(record.amount) {
            note(&mut self.paid, CALL_IS_PAID, row(), &record.amount.to_string(), &paid.to_string());
        }
        if let Some(journal) = record.journal_id {
            for share in &record.paid_by {
                *self.taken.entry((journal, share.grant_id)).or_default() += i128::from(share.amount);
            }
        }
        Ok(())
    }
}

fn recompute(record: &CallRecord, prices: &HashMap<PriceId, Rates>) -> std::result::Result<Charge, String> {
    let rates = prices.get(&record.price_id).ok_or("a price version that exists")?;
    let discount = Discount::from_bps(record.discount_bps).map_err(|error| error.to_string())?;
    Ok(pricing::charge(&record.usage(), rates, discount, Amount::from_nanos(record.held)))
}

fn in_words(charge: Charge) -> String {
    format!("{} charged, {} written off", charge.amount, charge.written_off)
}

/// What is found in the corrections, each beside its call; what they took is added to what calls did.
async fn check_corrections(
    connection: &mut PgConnection,
    prices: &HashMap<PriceId, Rates>,
    taken: &mut BTreeMap<(JournalId, GrantId), i128>,
) -> Result<[(&'static str, Vec<Fault>); 4]> {
    let mut faults = CorrectionFaults::default();
    let mut costs: HashMap<CallId, i128> = HashMap::new();
    for stored in corrections::all(connection).await? {
        let row = format!("correction {} of call {}", stored.id, stored.call);
        let record = match stored.record {
            Ok(record) => record,
            Err(error) => {
                note(&mut faults.sealed, CORRECTION_IS_SEALED, row, "a readable row", &error.to_string());
                continue;
            }
        };
        for share in &record.paid_by {
            if let Some(journal) = record.journal_id {
                *taken.entry((journal, share.grant_id)).or_default() += i128::from(share.amount);
            }
        }
        match record.fits(&stored.seal) {
            Some(true) => {}
            Some(false) => note(&mut faults.sealed, CORRECTION_IS_SEALED, row.clone(), "the row that was sealed", "another"),
            None => note(
                &mut faults.sealed,
                CORRECTION_IS_SEALED,
                row.clone(),
                "a seal of this version or an older one",
                "one that cannot be read here",
            ),
        }
        let Some(call) = stored.of else {
            note(&mut faults.adds_up, CORRECTION_ADDS_UP, row, "a call", "none that can be read");
            continue;
        };
        let cost = costs.entry(stored.call).or_insert_with(|| i128::from(call.amount));
        faults.look_at(&record, &call, *cost, prices, &row);
        *cost += i128::from(record.amount);
    }
    for (call, cost) in costs.into_iter().filter(|(_, cost)| *cost < 0) {
        note(&mut faults.costs, CALL_COSTS_SOMETHING, format!("call {call}"), "0 or more", &cost.to_string());
    }
    Ok([
        (CORRECTION_IS_SEALED, faults.sealed),
        (CORRECTION_ADDS_UP, faults.adds_up),
        (LATE_IS_ITS_RECEIPT, faults.receipt),
        (CALL_COSTS_SOMETHING, faults.costs),
    ])
}

/// What is found in the corrections, row by row.
#[derive(Default)]
struct CorrectionFaults {
    sealed: Vec<Fault>,
    adds_up: Vec<Fault>,
    receipt: Vec<Fault>,
    costs: Vec<Fault>,
}

impl CorrectionFaults {
    /// `cost` is the call's charge and the corrections before this one.
    fn look_at(&mut self, record: &CorrectionRecord, call: &CallRecord, cost: i128, prices: &HashMap<PriceId, Rates>, row: &str) {
        let paid: i128 = record.paid_by.iter().map(|share| i128::from(share.amount)).sum();
        if paid != i128::from(record.amount) {
            note(&mut self.adds_up, CORRECTION_ADDS_UP, row.to_owned(), &record.amount.to_string(), &paid.to_string());
        }
        let late = match record.late() {
            Ok(Some(late)) => late,
            Ok(None) => return,
            Err(error) => return note(&mut self.receipt, LATE_IS_ITS_RECEIPT, row.to_owned(), "a readable settlement", &error.to_string()),
        };
        // What was given back before is not given back again.
        let difference = nanos(late.amount) - i128::from(call.amount);
        let expected = if difference < 0 {
            (difference.max(-cost), nanos(late.written_off))
        } else {
            (i128::from(record.amount), difference - i128::from(record.amount) + nanos(late.written_off))
        };
        let found = (i128::from(record.amount), i128::from(record.written_off));
        if expected != found || (difference >= 0 && !(0..=difference).contains(&found.0)) {
            note(&mut self.adds_up, CORRECTION_ADDS_UP, row.to_owned(), &format!("{expected:?}"), &format!("{found:?}"));
        }
        let posted_at = record.posted_at;
        let charge = Charge { amount: late.amount, written_off: late.written_off };
        let of_it = late.clone().into_record(Vec::new(), None, posted_at);
        let recomputed = of_it.as_ref().map_err(ToString::to_string).and_then(|late| recompute(late, prices));
        let is_of_the_call = (late.account_id, late.call_id, late.key_id, late.price_id, late.discount.bps(), late.held.nanos())
            == (call.account_id, call.call_id, call.key_id, call.price_id, call.discount_bps, call.held);
        if recomputed != Ok(charge) || !is_of_the_call {
            let expected = recomputed.map_or_else(|problem| problem, in_words);
            note(&mut self.receipt, LATE_IS_ITS_RECEIPT, row.to_owned(), &format!("{expected}, on its call's terms"), &in_words(charge));
        }
        let tokens = corrections::tokens_between(&late.usage, &call.usage());
        if tokens != [record.prompt_tokens, record.completion_tokens, record.total_tokens] {
            let found = [record.prompt_tokens, record.completion_tokens, record.total_tokens];
            note(&mut self.adds_up, CORRECTION_ADDS_UP, row.to_owned(), &format!("{tokens:?}"), &format!("{found:?}"));
        }
    }
}

fn nanos(amount: Amount) -> i128 {
    i128::from(amount.nanos())
}

/// Both ways: a posting without calls is as wrong as calls without a posting.
fn journal_faults(calls: &BTreeMap<(JournalId, GrantId), i128>, entries: &BTreeMap<(JournalId, GrantId), i128>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut compare = |place: &(JournalId, GrantId)| {
        let (expected, found) = (calls.get(place).copied().unwrap_or(0), -entries.get(place).copied().unwrap_or(0));
        if expected != found {
            let row = format!("journal {}, grant {}", place.0, place.1);
            note(&mut faults, JOURNAL_IS_ITS_CALLS, row, &expected.to_string(), &found.to_string());
        }
    };
    calls.keys().for_each(&mut compare);
    entries.keys().filter(|place| !calls.contains_key(place)).for_each(&mut compare);
    faults
}

async fn usage_entries(connection: &mut PgConnection) -> Result<BTreeMap<(JournalId, GrantId), i128>> {
    let rows = sqlx::query!(
        r#"
        select e.journal_id as "journal: JournalId", e.grant_id as "grant!: GrantId", e.amount
        from entries e
        join journal j using (account_id, journal_id)
        where j.kind in ('usage', 'late_usage', 'call_credit') and e.book = 'grant'
        "#
    )
    .fetch_all(connection)
    .await?;
    let mut sums = BTreeMap::new();
    for row in rows {
        *sums.entry((row.journal, row.grant)).or_default() += i128::from(row.amount);
    }
    Ok(sums)
}

async fn price_versions(connection: &mut PgConnection) -> Result<HashMap<PriceId, Rates>> {
    let rows = sqlx::query!(r#"select price_id as "id: PriceId", rates as "rates: Json<Rates>" from price_versions"#)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.rates.0)).collect())
}

fn note(faults: &mut Vec<Fault>, claim: &str, row: String, expected: &str, found: &str) {
    if faults.len() < FAULTS_MAX {
        faults.push(Fault { claim: claim.to_owned(), row, expected: expected.to_owned(), found: found.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{
        call::{Outcome, UsageSource},
        id::{AccountId, KeyId},
        tokens::{CallUsage, Tokens},
    };
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::SettledCall;

    fn price() -> PriceId {
        PriceId::from_uuid(Uuid::from_u128(4))
    }

    fn settled(prompt: i64, source: UsageSource) -> SettledCall {
        let id = CallId::new("2026-06-15T12:30:00Z".parse().unwrap(), [1; 10]);
        let usage = CallUsage::of_totals(Some(Tokens::from_sum(prompt)), None, None);
        let Charge { amount, written_off } = pricing::charge(&usage, &rates(), Discount::NONE, Amount::from_nanos(1_000));
        SettledCall {
            account_id: AccountId::from_uuid(Uuid::from_u128(1)),
            call_id: id,
            key_id: KeyId::from_uuid(Uuid::from_u128(3)),
            model: "small".to_owned(),
            provider: "upstream".to_owned(),
            upstream_model: None,
            stream: false,
            outcome: Outcome::Interrupted,
            source,
            usage,
            price_id: price(),
            discount: Discount::NONE,
            amount,
            held: Amount::from_nanos(1_000),
            written_off,
            http_status: None,
            latency_ms: 1,
            first_byte_ms: None,
            raw_usage: None,
        }
    }

    /// A nano a token.
    fn rates() -> Rates {
        Rates::plain(Amount::from_nanos(1_000), Amount::from_nanos(1_000))
    }

    /// The claims that a correction breaks: a call of 12 nanos, of which `before` was added since, and what came late.
    fn broken(before: i128, late: &SettledCall, row: serde_json::Value) -> Vec<&'static str> {
        let call = settled(12, UsageSource::Interrupted).into_record(Vec::new(), None, "2026-06-15T12:31:00Z".parse().unwrap()).unwrap();
        let mut record = json!({
            "account_id": call.account_id, "started_at": call.started_at, "call_id": call.call_id, "correction_id": Uuid::from_u128(9),
            "kind": "late_usage", "completion_tokens": 0, "total_tokens": 0, "written_off": 0, "journal_id": Uuid::from_u128(8),
            "settlement": serde_json::to_string(late).unwrap(), "posted_at": "2026-06-15T13:00:00Z",
        });
        record.as_object_mut().unwrap().extend(row.as_object().unwrap().clone());
        let record: CorrectionRecord = serde_json::from_value(record).unwrap();
        let mut faults = CorrectionFaults::default();
        faults.look_at(&record, &call, i128::from(call.amount) + before, &HashMap::from([(price(), rates())]), "it");
        [(CORRECTION_ADDS_UP, faults.adds_up), (LATE_IS_ITS_RECEIPT, faults.receipt)]
            .into_iter()
            .filter(|(_, faults)| !faults.is_empty())
            .map(|(claim, _)| claim)
            .collect()
    }

    fn row(prompt_tokens: i64, amount: i64, written_off: i64) -> serde_json::Value {
        let paid_by = if amount == 0 { json!([]) } else { json!([{ "grant_id": Uuid::from_u128(5), "amount": amount }]) };
        json!({ "prompt_tokens": prompt_tokens, "amount": amount, "written_off": written_off, "paid_by": paid_by })
    }

    #[test]
    fn late_usage_is_the_difference_to_its_call_as_far_as_there_was_credit() {
        let late = settled(700, UsageSource::Upstream);
        assert_eq!(broken(0, &late, row(688, 688, 0)), Vec::<&str>::new());
        assert_eq!(broken(0, &late, row(688, 600, 88)), Vec::<&str>::new(), "what was not there is written off");
        for wrong in [row(688, 687, 0), row(688, 689, 0), row(688, 700, -12), row(688, 0, 0), row(687, 688, 0)] {
            assert_eq!(broken(0, &late, wrong.clone()), [CORRECTION_ADDS_UP], "{wrong}");
        }
    }

    #[test]
    fn less_than_was_charged_is_given_back_but_for_what_was_before() {
        let late = settled(5, UsageSource::Upstream);
        assert_eq!(broken(0, &late, row(-7, -7, 0)), Vec::<&str>::new());
        assert_eq!(broken(-10, &late, row(-7, -2, 0)), Vec::<&str>::new());
        assert_eq!(broken(-10, &late, row(-7, -7, 0)), [CORRECTION_ADDS_UP]);
        assert_eq!(broken(0, &late, row(-7, -8, 0)), [CORRECTION_ADDS_UP]);
    }

    #[test]
    fn a_late_settlement_is_proved_like_a_call() {
        let late = settled(700, UsageSource::Upstream);
        let dearer = SettledCall { amount: Amount::from_nanos(900), ..late.clone() };
        assert_eq!(broken(0, &dearer, row(688, 888, 0)), [LATE_IS_ITS_RECEIPT]);
        let above_its_hold =
            SettledCall { amount: Amount::from_nanos(1_200), written_off: Amount::ZERO, ..settled(1_200, UsageSource::Upstream) };
        assert_eq!(broken(0, &above_its_hold, row(1_188, 1_188, 0)), [LATE_IS_ITS_RECEIPT]);
        for of_another in [
            SettledCall { key_id: KeyId::from_uuid(Uuid::from_u128(33)), ..late.clone() },
            SettledCall { held: Amount::from_nanos(2_000), ..late.clone() },
            SettledCall { price_id: PriceId::from_uuid(Uuid::from_u128(44)), ..late },
        ] {
            assert_eq!(broken(0, &of_another, row(688, 688, 0)), [LATE_IS_ITS_RECEIPT]);
        }
    }
}
