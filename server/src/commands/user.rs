//! `farebox user`: the people who sign in.

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::secret;
use crate::{cli::Output, config::Config, database::with_ledger};

/// The people who sign in.
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Give somebody a new password, and sign them out everywhere
    SetPassword {
        /// The address they sign in with
        email: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    /// Environment variable that holds the password, instead of asking or reading it from stdin
    #[arg(long, env = "FAREBOX_PASSWORD_ENV", value_name = "VARIABLE")]
    password_env: Option<String>,
}

impl PasswordArgs {
    /// The variable's name.
    pub(super) fn variable(&self) -> Option<&str> {
        self.password_env.as_deref()
    }
}

/// Does what was asked for.
pub(super) async fn run(args: UserArgs, config: &Config) -> anyhow::Result<()> {
    let Action::SetPassword { email, password } = args.action;
    let password = secret::read(password.variable(), &format!("New password of {email}"))?.expose().to_owned();
    with_ledger(config, async |ledger| ledger.system().set_password(&email, password).await.with_context(|| email.clone())).await?;
    args.output.print(&json!({ "email": email }), || format!("{email} has a new password and is signed out everywhere."))
}
