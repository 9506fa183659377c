//! `farebox verify`: the proof.

use std::process::ExitCode;

use anyhow::bail;
use ledger::Proof;

use super::table;
use crate::{cli::Output, config::Config, database::with_ledger, postgres::Cluster};

/// Recomputes everything; exits with 1 when a figure disagrees.
pub(super) async fn run(output: Output, config: &Config) -> anyhow::Result<ExitCode> {
    if config.database_url.is_none() && !Cluster::exists(&config.data_dir) {
        bail!("there is no database in {}: name the --data-dir or the DATABASE_URL that the server has", config.data_dir.display());
    }
    let proof = with_ledger(config, async |ledger| Ok(ledger.verify().await?)).await?;
    output.print(&proof, || explain(&proof))?;
    Ok(if proof.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn explain(proof: &Proof) -> String {
    let verdict = |faults: usize| if faults == 0 { "holds".to_owned() } else { format!("{faults} disagree") };
    let checks = table(["", "CLAIM"], proof.checks.iter().map(|check| [verdict(check.faults), check.claim.clone()]));
    if proof.holds() {
        return format!("{checks}\n\nEvery figure holds.");
    }
    let faults = proof.faults.iter().map(|fault| [fault.row.clone(), fault.expected.clone(), fault.found.clone(), fault.claim.clone()]);
    format!("{checks}\n\n{}", table(["ROW", "EXPECTED", "FOUND", "CLAIM"], faults))
}
