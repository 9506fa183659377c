//! `farebox verify`: the proof.

use std::{
    io::{IsTerminal, Write, stderr},
    process::ExitCode,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use anyhow::bail;
use chrono::NaiveDate;
use clap::Args;
use domain::proof::{Progress, Proof};
use ledger::{Root, Verification};

use super::{account::find, table};
use crate::{cli::Output, config::Config, database::with_ledger_of, postgres::Cluster};

/// What to prove.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    output: Output,

    /// Only this account: its name, its id, or its owner's address
    #[arg(long, env = "FAREBOX_VERIFY_ACCOUNT", value_name = "ACCOUNT")]
    account: Option<String>,

    /// Only what was posted from this day on; what the books said before is taken as it is
    #[arg(long, env = "FAREBOX_VERIFY_SINCE", value_name = "DATE")]
    since: Option<NaiveDate>,

    /// Also that the books up to a day say what they said when it was sealed: its root, as it was logged
    #[arg(long, env = "FAREBOX_VERIFY_AGAINST", value_name = "ROOT")]
    against: Option<Root>,

    /// Accounts to check at the same time [default: one for each core, at most 8]
    #[arg(long, env = "FAREBOX_VERIFY_AT_ONCE", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    at_once: Option<u32>,
}

/// Connections that a proof takes by itself at most: a server beside it needs some too.
const AT_ONCE_MAX: u32 = 8;

/// How often somebody who watches is told how far it is.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// Recomputes everything; exits with 1 when a figure disagrees.
pub(super) async fn run(args: VerifyArgs, config: &Config) -> anyhow::Result<ExitCode> {
    if config.database_url.is_none() && !Cluster::exists(&config.data_dir) {
        bail!("there is no database in {}: name the --data-dir or the DATABASE_URL that the server has", config.data_dir.display());
    }
    let cores = available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1)).min(AT_ONCE_MAX);
    let at_once = args.at_once.unwrap_or(cores);
    let proof = with_ledger_of(config, at_once + 1, async |ledger| {
        let account = match &args.account {
            Some(account) => Some(find(ledger, account).await?.id),
            None => None,
        };
        let what = Verification { account, since: args.since, against: args.against, at_once: at_once as usize };
        let mut telling = Telling::default();
        let proof = ledger.verify(&what, |progress| telling.tell(progress)).await;
        telling.end();
        Ok(proof?)
    })
    .await?;
    args.output.print(&proof, || explain(&proof))?;
    Ok(if proof.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line that says how far it is, while a person watches.
#[derive(Default)]
pub(super) struct Telling(Option<Instant>);

impl Telling {
    pub(super) fn tell(&mut self, progress: Progress) {
        let Progress { accounts, done, calls } = progress;
        if stderr().is_terminal() && self.0.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            let _ = write!(stderr(), "\r{done} of {}, {}\x1b[K", count(accounts, "account"), count(calls, "call"));
            self.0 = Some(Instant::now());
        }
    }

    /// Leaves the line empty.
    pub(super) fn end(&self) {
        if self.0.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

fn explain(proof: &Proof) -> String {
    let verdict = |faults: usize| if faults == 0 { "holds".to_owned() } else { format!("{faults} disagree") };
    let checks = table(["", "CLAIM"], proof.checks.iter().map(|check| [verdict(check.faults), check.claim.clone()]));
    let extent = format!("{}, {}", count(proof.accounts, "account"), count(proof.calls, "call"));
    if proof.holds() {
        return format!("{checks}\n\nEvery figure holds: {extent}.");
    }
    let faults = proof.faults.iter().map(|fault| [fault.row.clone(), fault.expected.clone(), fault.found.clone(), fault.claim.clone()]);
    format!("{checks}\n\n{}\n\nOf {extent}.", table(["ROW", "EXPECTED", "FOUND", "CLAIM"], faults))
}

/// `1 call`, `34500 calls`.
pub(super) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
