//! What must hold of each call by itself, and between the calls and the journal.

use std::collections::{BTreeMap, HashMap};

use domain::{
    id::{GrantId, JournalId, PriceId},
    money::Amount,
    pricing::{self, Charge, Discount},
    rates::Rates,
    tokens::Flag,
};
use futures_util::TryStreamExt;
use sqlx::{PgConnection, types::Json};

use super::{Fault, Proof, corrections, note};
use crate::{
    Result,
    settled::{self, CallRecord},
};

const CALL_IS_SEALED: &str = "a call's row is the one that was posted";
const CALL_IS_ITS_RECEIPT: &str = "a call's amount is its receipt recomputed, at most what was held";
const CALL_ADDS_UP: &str = "a call's buckets add up to its totals, or it is flagged";
const CALL_IS_PAID: &str = "a call's shares sum to its amount";
const JOURNAL_IS_ITS_CALLS: &str = "a posting of usage takes from each grant what its calls and corrections cost";

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

/// Checks every call and every correction, and that the journal is what they took.
pub(super) async fn check(connection: &mut PgConnection, proof: &mut Proof) -> Result<()> {
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
    let corrections = corrections::check(connection, &prices, &mut faults.taken).await?;
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

pub(super) fn recompute(record: &CallRecord, prices: &HashMap<PriceId, Rates>) -> std::result::Result<Charge, String> {
    let rates = prices.get(&record.price_id).ok_or("a price version that exists")?;
    let discount = Discount::from_bps(record.discount_bps).map_err(|error| error.to_string())?;
    Ok(pricing::charge(&record.usage(), rates, discount, Amount::from_nanos(record.held)))
}

pub(super) fn in_words(charge: Charge) -> String {
    format!("{} charged, {} written off", charge.amount, charge.written_off)
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
