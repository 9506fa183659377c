//! `farebox root`: what seals the books of each day.

use clap::{Args, Subcommand};

use super::table;
use crate::{cli::Output, config::Config, database::with_ledger};

/// Days that are listed when nobody says how many.
const DAYS: i64 = 31;

/// The daily roots.
#[derive(Debug, Args)]
pub(crate) struct RootArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the newest roots, to be kept where nobody who owns the database can write
    List {
        /// How many days
        #[arg(long, env = "FAREBOX_ROOT_DAYS", value_name = "N", default_value_t = DAYS, value_parser = clap::value_parser!(i64).range(1..))]
        days: i64,
    },
}

/// Does what was asked for.
pub(super) async fn run(args: RootArgs, config: &Config) -> anyhow::Result<()> {
    let Action::List { days } = args.action;
    let sealed = with_ledger(config, async |ledger| Ok(ledger.system().operator().sealed_days(days).await?)).await?;
    args.output.print(&sealed, || {
        let rows = sealed.iter().map(|sealed| [sealed.day.to_string(), sealed.accounts.to_string(), sealed.root.clone()]);
        table(["DAY", "ACCOUNTS", "ROOT"], rows)
    })
}
