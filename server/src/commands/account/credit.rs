//! Money that an operator puts into an account's balance, or takes out of it.

use chrono::Utc;
use clap::Args;
use domain::money::Amount;
use ledger::MoneyIn;
use serde_json::json;

use super::find;
use crate::{
    cli::Output,
    commands::{ACTOR, idempotency_key, perhaps_done},
    config::Config,
    database::with_ledger,
};

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct Credit {
    /// Its name, its id, or its owner's address
    account: String,

    /// How much, in currency units; below zero takes away
    amount: Amount,

    /// It came in by bank transfer, which the bank's statement calls so: it counts as paid, and a receipt is issued of it. One transfer is credited once
    #[arg(long, env = "FAREBOX_ACCOUNT_TRANSFER", value_name = "REFERENCE")]
    transfer: Option<String>,

    /// Why, for the customer's books
    #[arg(long, env = "FAREBOX_ACCOUNT_REASON", value_name = "TEXT")]
    reason: String,

    /// Name of this one change: the same name again changes nothing
    #[arg(long, env = "FAREBOX_ACCOUNT_IDEMPOTENCY_KEY", value_name = "TEXT")]
    idempotency_key: Option<String>,
}

pub(super) async fn credit(args: Credit, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let idempotency_key = idempotency_key(args.idempotency_key);
    let mut asked = false;
    let credited = with_ledger(config, async |ledger| {
        let account = find(ledger, &args.account).await?;
        asked = true;
        let money = MoneyIn { amount: args.amount, idempotency_key: &idempotency_key, memo: &args.reason, actor: ACTOR, now };
        let operator = ledger.system().operator();
        let posted = match &args.transfer {
            Some(reference) => operator.credit_transfer(account.id, reference, money).await?,
            None => operator.credit(account.id, money).await?,
        };
        let balance = ledger.system().account(account.id).balance(now).await?;
        Ok((account, posted, balance))
    })
    .await;
    let (account, posted, balance) = credited.map_err(|error| perhaps_done(error, asked, "the balance was changed", &idempotency_key))?;
    let value = json!({
        "account": account.id, "amount": args.amount, "posting": posted.posting, "replayed": posted.replayed, "balance": balance.balance,
    });
    output.print(&value, || {
        let done = if posted.replayed { "was changed before; nothing was done" } else { "was changed" };
        format!("The balance of {} {done}: it is {}.", account.name, balance.balance)
    })
}
