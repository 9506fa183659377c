//! `farebox account`: the customers who pay.

mod create;
mod credit;
mod line;
mod set;
mod show;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use domain::{account::AccountState, id::UserId};
use ledger::{AccountReader, AccountSummary, Ledger};
use serde_json::json;

use crate::{cli::Output, config::Config, database::with_ledger};

/// The customers who pay.
#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an account with an empty balance, and its owner
    Create(create::Create),
    /// Change an account's balance
    Credit(credit::Credit),
    /// Set what an account's calls are paid from, what is lent to it, and whether it is strict or lenient; what is not named stays, unless the mode that
    /// is named excludes it
    Set(set::Set),
    /// Refuse an account's new calls, or take them again; those that run end as they would
    State {
        /// Its name, its id, or its owner's address
        account: String,
        /// What it is from now on
        state: State,
    },
    /// Show an account's balance, what is lent to it, and its keys
    Show {
        /// Its name, its id, or its owner's address
        account: String,
    },
}

/// Whether an account's calls are admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// Calls are admitted
    Active,
    /// Calls are refused until it is active again
    Suspended,
    /// Calls and payments are refused, and its plan ends with the month that is paid for; it can be opened again with `active`
    Closed,
}

impl From<State> for AccountState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Suspended => Self::Suspended,
            State::Closed => Self::Closed,
        }
    }
}

/// Does what was asked for.
pub(super) async fn run(args: AccountArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Create(create) => create::create(create, args.output, config).await,
        Action::Credit(credit) => credit::credit(credit, args.output, config).await,
        Action::Set(set) => set::set(set, args.output, config).await,
        Action::State { account, state } => set_state(&account, state.into(), args.output, config).await,
        Action::Show { account } => show::show(&account, args.output, config).await,
    }
}

async fn set_state(account: &str, state: AccountState, output: Output, config: &Config) -> anyhow::Result<()> {
    let account = with_ledger(config, async |ledger| {
        let account = find(ledger, account).await?;
        ledger.system().operator().set_account_state(account.id, account.state, state).await?;
        Ok(account)
    })
    .await?;
    output.print(&json!({ "account": account.id, "state": state, "before": account.state }), || {
        let since = if account.state == state { "already" } else { "now" };
        format!("{} is {since} {}.", account.name, state.name())
    })
}

/// The account that somebody names.
pub(super) async fn find(ledger: &Ledger, text: &str) -> anyhow::Result<AccountSummary> {
    ledger.system().find_account(text).await.with_context(|| format!("account {text}"))
}

/// The member of an account whom somebody names: by the address they sign in with.
pub(super) async fn find_member(account: &AccountReader, email: &str) -> anyhow::Result<UserId> {
    account.find_member(email).await.with_context(|| format!("member {email}"))
}
