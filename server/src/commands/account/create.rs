//! A new account with its owner.

use chrono::Utc;
use clap::Args;
use domain::id::{AccountId, GrantId, UserId};
use ledger::NewCustomer;
use serde_json::json;

use crate::{
    cli::Output,
    commands::{secret, user::PasswordArgs},
    config::Config,
    database::with_ledger,
};

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name
    name: String,

    /// The address its owner signs in with
    #[arg(long, env = "FAREBOX_ACCOUNT_EMAIL", value_name = "ADDRESS")]
    email: String,

    #[command(flatten)]
    password: PasswordArgs,
}

pub(super) async fn create(args: Create, output: Output, config: &Config) -> anyhow::Result<()> {
    let password = secret::read(args.password.variable(), &format!("Password of {}", args.email))?.expose().to_owned();
    let now = Utc::now();
    let new = NewCustomer {
        account_id: AccountId::new(now, rand::random()),
        account_name: args.name.clone(),
        grant_id: GrantId::new(now, rand::random()),
        user_id: UserId::new(now, rand::random()),
        email: args.email.clone(),
        password,
        is_demo: false,
        now,
    };
    let id = new.account_id;
    with_ledger(config, async |ledger| Ok(ledger.system().create_account(new).await?)).await?;
    output.print(&json!({ "id": id, "name": args.name, "email": args.email }), || {
        format!("Made {} ({id}). Its owner signs in as {}.", args.name, args.email)
    })
}
