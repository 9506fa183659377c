//! `farebox admin`: the people who run the gateway.

use chrono::Utc;
use clap::{Args, Subcommand};
use domain::id::UserId;
use ledger::NewOperator;
use serde_json::json;

use super::{secret, user::PasswordArgs};
use crate::{cli::Output, config::Config, database::with_ledger};

/// The people who run the gateway.
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an operator
    Create {
        /// The address they sign in with
        email: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
}

/// Does what was asked for.
pub(super) async fn run(args: AdminArgs, config: &Config) -> anyhow::Result<()> {
    let Action::Create { email, password } = args.action;
    let password = secret::read(password.variable(), &format!("Password of {email}"))?.expose().to_owned();
    let now = Utc::now();
    let new = NewOperator { user_id: UserId::new(now, rand::random()), email: email.clone(), password, now };
    let id = new.user_id;
    with_ledger(config, async |ledger| Ok(ledger.system().create_operator(new).await?)).await?;
    args.output.print(&json!({ "id": id, "email": email }), || format!("{email} can sign in and run the gateway."))
}
