//! `farebox call`: what was wrong with one call.

use clap::{Args, Subcommand};
use domain::{id::CallId, money::Amount};
use ledger::CallCredit;
use serde_json::json;

use super::{ACTOR, idempotency_key, perhaps_done};
use crate::{cli::Output, config::Config, database::with_ledger};

/// Single calls.
#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Give a call back to its customer, in whole or in part
    Credit(Credit),
}

#[derive(Debug, Args)]
struct Credit {
    /// Its request id
    id: CallId,

    /// How much of it, in currency units [default: all that it still costs; of a call that was paid in tokens always all]
    amount: Option<Amount>,

    /// Why, for the customer's receipt and books
    #[arg(long, env = "FAREBOX_CALL_REASON", value_name = "TEXT")]
    reason: String,

    /// Name of this one change: the same name again changes nothing
    #[arg(long, env = "FAREBOX_CALL_IDEMPOTENCY_KEY", value_name = "TEXT")]
    idempotency_key: Option<String>,
}

/// Does what was asked for.
pub(super) async fn run(args: CallArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Credit(credit) => self::credit(credit, args.output, config).await,
    }
}

async fn credit(args: Credit, output: Output, config: &Config) -> anyhow::Result<()> {
    let idempotency_key = idempotency_key(args.idempotency_key);
    let mut asked = false;
    let credited = with_ledger(config, async |ledger| {
        asked = true;
        let credit = CallCredit { amount: args.amount, idempotency_key: &idempotency_key, memo: &args.reason, actor: ACTOR };
        Ok(ledger.system().operator().credit_call(args.id, credit).await?)
    })
    .await;
    let credited = credited.map_err(|error| perhaps_done(error, asked, "the call was given back", &idempotency_key))?;
    let value = json!({ "call": args.id, "posting": credited.posting, "replayed": credited.replayed, "unit": credited.unit, "cost": credited.cost.figure(credited.unit) });
    output.print(&value, || {
        let done = if credited.replayed { "was given back before; nothing was done" } else { "was given back" };
        format!("Call {} {done}. It costs {} by now.", args.id, credited.cost.in_words(credited.unit))
    })
}
