//! `farebox status`: how the proxies of a database are.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use domain::proxies::ProxyState;
use serde_json::json;

use super::table;
use crate::{cli::Output, config::Config, database::with_ledger};

/// What each proxy said last, and what it has leased.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    output: Output,
}

/// Prints it.
pub(super) async fn run(args: StatusArgs, config: &Config) -> anyhow::Result<()> {
    let proxies = with_ledger(config, async |ledger| Ok(ledger.system().operator().proxies().await?)).await?;
    args.output.print(&json!({ "proxies": proxies }), || {
        if proxies.is_empty() {
            return "No proxy runs, and none has left anything leased.".to_owned();
        }
        table(["PROXY", "STANDING", "HEARD OF", "RUNNING", "NOT POSTED", "SINCE", "ACCOUNTS", "MONEY", "TOKENS"], proxies.iter().map(row))
    })
}

fn row(state: &ProxyState) -> [String; 9] {
    let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    [
        state.proxy.to_string(),
        state.standing.name().to_owned(),
        instant(state.heard_at),
        state.report.running.to_string(),
        state.report.unposted.to_string(),
        state.report.unposted_since.map_or_else(|| "-".to_owned(), instant),
        state.accounts.to_string(),
        state.money.to_string(),
        state.tokens.to_string(),
    ]
}
