//! The proof: everything recomputed from the raw rows, in one snapshot, so that it is exact while posting runs.

mod calls;
mod claims;
mod corrections;

use domain::{billing::JournalKind, id::CallId, money::Amount};
use serde::Serialize;
use sqlx::PgConnection;

use crate::{Ledger, Result, corrections::request_digest, journal};

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

const MOVEMENT_IS_ITS_REQUEST: &str = "money moved by hand is what was asked for, by whom and why";

impl Ledger {
    /// Recomputes every figure from the rows it follows from.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away; a row that disagrees is a [`Fault`], not an error.
    pub async fn verify(&self) -> Result<Proof> {
        let mut tx = self.database.snapshot().await?;
        let mut proof = Proof::default();
        for claim in claims::ALL {
            proof.add(claim.claim, claim.disagreeing(&mut tx).await?);
        }
        proof.add(MOVEMENT_IS_ITS_REQUEST, movements(&mut tx).await?);
        calls::check(&mut tx, &mut proof).await?;
        tx.rollback().await?;
        Ok(proof)
    }
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
            Some(call) => [false, true].map(|all| request_digest(call, row.amount, all, &row.memo, &row.actor)),
            None => [journal::request_digest(row.kind, row.amount, &row.memo, &row.actor); 2],
        };
        if !digests.iter().any(|digest| row.digest.as_deref() == Some(&digest[..])) {
            let found = format!("{} of {} by {}: {}", row.kind.name(), row.amount, row.actor, row.memo);
            note(&mut faults, MOVEMENT_IS_ITS_REQUEST, format!("journal {}", row.journal_id), "what its digest says", &found);
        }
    }
    Ok(faults)
}

fn note(faults: &mut Vec<Fault>, claim: &str, row: String, expected: &str, found: &str) {
    if faults.len() < FAULTS_MAX {
        faults.push(Fault { claim: claim.to_owned(), row, expected: expected.to_owned(), found: found.to_owned() });
    }
}
