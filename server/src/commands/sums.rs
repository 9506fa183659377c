//! `farebox sums`: what the pages read instead of the calls.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    account::find,
    verify::{Telling, count},
};
use crate::{cli::Output, config::Config, database::with_ledger};

/// The sums of calls by hour and by day.
#[derive(Debug, Args)]
pub(crate) struct SumsArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write the sums anew from the calls and their corrections; `farebox verify` says whether that is needed
    Rebuild {
        /// Only of this account: its name, its id, or its owner's address
        #[arg(long, env = "FAREBOX_SUMS_ACCOUNT", value_name = "ACCOUNT")]
        account: Option<String>,
    },
}

/// Does what was asked for.
pub(super) async fn run(args: SumsArgs, config: &Config) -> anyhow::Result<()> {
    let Action::Rebuild { account } = args.action;
    let accounts = with_ledger(config, async |ledger| {
        let account = match &account {
            Some(account) => Some(find(ledger, account).await?.id),
            None => None,
        };
        let mut telling = Telling::default();
        let rebuilt = ledger.system().rebuild_sums(account, |progress| telling.tell(progress)).await;
        telling.end();
        Ok(rebuilt?)
    })
    .await?;
    args.output.print(&json!({ "accounts": accounts }), || {
        format!("The sums of {} are written anew from their calls.", count(accounts, "account"))
    })
}
