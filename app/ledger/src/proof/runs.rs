//! Runs of the proof that are kept, so that operators see how the last one ended.

use std::time::Duration;

use chrono::NaiveDate;
use domain::proof::{Progress, Proof, ProofEnd, ProofRun, SealedDay};
use sqlx::types::Json;
use tokio::{sync::watch, time::interval};
use uuid::Uuid;

use super::{Verification, verify};
use crate::{Error, Operator, Result, System, books::roots, database::Database};

/// How often a run says that it is there and how far it is.
const SEEN_EVERY: Duration = Duration::from_secs(2);
/// Who has not said so for this long is gone.
const LOST_AFTER_SECS: f64 = 30.0;
/// Runs that are kept.
const KEPT: i64 = 30;
/// Accounts that a run in the background checks at the same time: it is not to take the database from the calls.
const AT_ONCE: usize = 2;

impl Operator {
    /// The run that was begun last: of any, or of those of everything.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn last_proof(&self, of_everything: bool) -> Result<Option<ProofRun>> {
        let row = sqlx::query!(
            r#"
            select
                begun_at, asked_by, since, accounts, done, calls, ended_at, proof as "proof: Json<Proof>", failure,
                seen_at > clock_timestamp() - make_interval(secs => $1) as "is_seen!"
            from proofs where since is null or not $2 order by begun_at desc, proof_id desc limit 1
            "#,
            LOST_AFTER_SECS,
            of_everything
        );
        let row = row.fetch_optional(&mut *self.database.read().await?).await?;
        Ok(row.map(|row| ProofRun {
            begun_at: row.begun_at,
            asked_by: row.asked_by,
            since: row.since,
            progress: Progress { accounts: row.accounts.unsigned_abs(), done: row.done.unsigned_abs(), calls: row.calls.unsigned_abs() },
            end: match (row.ended_at, row.proof, row.failure) {
                (Some(at), Some(proof), _) => ProofEnd::Ended { at, proof: proof.0 },
                (Some(at), None, why) => ProofEnd::Failed { at, why: why.unwrap_or_default() },
                (None, ..) if row.is_seen => ProofEnd::Running,
                (None, ..) => ProofEnd::Lost,
            },
        }))
    }

    /// Begins a proof of everything in the background. `false` if one is running already, here or in another process.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn begin_proof(&self, actor: &str) -> Result<bool> {
        begin(&self.database, actor, None).await
    }

    /// The days that were sealed, newest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn sealed_days(&self, limit: i64) -> Result<Vec<SealedDay>> {
        let rows = sqlx::query!("select day, digest, accounts from roots order by day desc limit $1", limit);
        let rows = rows.fetch_all(&mut *self.database.read().await?).await?;
        let sealed = rows.into_iter().map(|row| {
            let root = roots::stored(row.day, &row.digest)?.to_string();
            Ok(SealedDay { day: row.day, accounts: row.accounts, root })
        });
        sealed.collect()
    }
}

impl System {
    /// Begins a proof of the days that were sealed since the last proof that had a result was begun, if there are any and none is running. Asked
    /// often, it is begun again where one was lost.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn prove_sealed_days(&self) -> Result<bool> {
        let first = sqlx::query_scalar!(
            r#"
            select min(day) from roots
            where made_at > coalesce((select max(begun_at) from proofs where proof is not null), '-infinity')
            "#
        );
        match first.fetch_one(&mut *self.database.read().await?).await? {
            Some(day) => begin(&self.database, "", Some(day)).await,
            None => Ok(false),
        }
    }
}

/// One row says that a proof is running: whoever writes it, runs it.
async fn begin(database: &Database, actor: &str, since: Option<NaiveDate>) -> Result<bool> {
    let mut tx = database.write().await?;
    // Two that begin at once would both find none.
    sqlx::query!("select pg_advisory_xact_lock(hashtext('farebox proof'))").fetch_one(&mut *tx).await?;
    let begun = sqlx::query_scalar!(
        r#"
        insert into proofs (proof_id, begun_at, asked_by, since, seen_at)
        select gen_random_uuid(), clock_timestamp(), $1, $3, clock_timestamp()
        where not exists (
            select from proofs where ended_at is null and seen_at > clock_timestamp() - make_interval(secs => $2)
        )
        returning proof_id
        "#,
        actor,
        LOST_AFTER_SECS,
        since
    );
    let Some(id) = begun.fetch_optional(&mut *tx).await? else { return Ok(false) };
    sqlx::query!("delete from proofs where proof_id not in (select proof_id from proofs order by begun_at desc limit $1)", KEPT)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    let database = database.clone();
    let run = async move {
        if let Err(error) = run(&database, id, since).await {
            tracing::warn!(%error, "what the proof found could not be kept");
        }
    };
    #[expect(clippy::disallowed_methods, reason = "nothing waits for it: a run whose process ends is shown as lost, and changes nothing")]
    tokio::spawn(run);
    Ok(true)
}

async fn run(database: &Database, id: Uuid, since: Option<NaiveDate>) -> Result<()> {
    let (tell, hear) = watch::channel(Progress::default());
    let what = Verification { since, at_once: AT_ONCE, ..Verification::default() };
    let proving = verify(database, &what, |progress| {
        tell.send_replace(progress);
    });
    let ended = tokio::select! {
        ended = proving => ended,
        never = keep_seen(database, id, hear.clone()) => match never {},
    };
    let (proof, failure) = match ended {
        Ok(proof) => {
            if !proof.holds() {
                tracing::error!(faults = proof.faults.len(), first = ?proof.faults.first(), "the proof found figures that disagree");
            }
            (Some(Json(proof)), None)
        }
        Err(error) => {
            tracing::warn!(%error, "a proof ended without a result");
            // The database's own words are in the log.
            let why = if matches!(error, Error::Unavailable(_)) { "the database was not available".to_owned() } else { error.to_string() };
            (None, Some(why))
        }
    };
    let progress = *hear.borrow();
    let end = sqlx::query!(
        r#"
        update proofs
        set accounts = $2, done = $3, calls = $4, seen_at = clock_timestamp(), ended_at = clock_timestamp(), proof = $5, failure = $6
        where proof_id = $1
        "#,
        id,
        progress.accounts.cast_signed(),
        progress.done.cast_signed(),
        progress.calls.cast_signed(),
        proof as _,
        failure
    );
    database.execute(end).await.map(drop)
}

async fn keep_seen(database: &Database, id: Uuid, progress: watch::Receiver<Progress>) -> std::convert::Infallible {
    let mut times = interval(SEEN_EVERY);
    loop {
        times.tick().await;
        let Progress { accounts, done, calls } = *progress.borrow();
        let seen = sqlx::query!(
            "update proofs set accounts = $2, done = $3, calls = $4, seen_at = clock_timestamp() where proof_id = $1",
            id,
            accounts.cast_signed(),
            done.cast_signed(),
            calls.cast_signed()
        );
        if let Err(error) = database.execute(seen).await {
            tracing::warn!(%error, "how far the proof is could not be kept");
        }
    }
}
