//! `farebox account`: the customers who pay.

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use domain::{
    account::{Key, Project},
    billing::Balance,
    id::{AccountId, GrantId, UserId},
    key::masked,
    money::Amount,
};
use ledger::{AccountSummary, Ledger, MoneyIn, NewCustomer};
use serde_json::json;

use super::{ACTOR, idempotency_key, perhaps_done, secret, table, user::PasswordArgs};
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
    Create(Create),
    /// Change an account's balance
    Credit(Credit),
    /// Show an account's balance and keys
    Show {
        /// Its name, its id, or its owner's address
        account: String,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// Its name
    name: String,

    /// The address its owner signs in with
    #[arg(long, env = "FAREBOX_ACCOUNT_EMAIL", value_name = "ADDRESS")]
    email: String,

    #[command(flatten)]
    password: PasswordArgs,
}

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
struct Credit {
    /// Its name, its id, or its owner's address
    account: String,

    /// How much, in currency units; below zero takes away
    amount: Amount,

    /// Why, for the customer's books
    #[arg(long, env = "FAREBOX_ACCOUNT_REASON", value_name = "TEXT")]
    reason: String,

    /// Name of this one change: the same name again changes nothing
    #[arg(long, env = "FAREBOX_ACCOUNT_IDEMPOTENCY_KEY", value_name = "TEXT")]
    idempotency_key: Option<String>,
}

/// Does what was asked for.
pub(super) async fn run(args: AccountArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Create(create) => self::create(create, args.output, config).await,
        Action::Credit(credit) => self::credit(credit, args.output, config).await,
        Action::Show { account } => show(&account, args.output, config).await,
    }
}

async fn create(args: Create, output: Output, config: &Config) -> anyhow::Result<()> {
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

async fn credit(args: Credit, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let idempotency_key = idempotency_key(args.idempotency_key);
    let mut asked = false;
    let credited = with_ledger(config, async |ledger| {
        let account = find(ledger, &args.account).await?;
        asked = true;
        let money = MoneyIn { amount: args.amount, idempotency_key: &idempotency_key, memo: &args.reason, actor: ACTOR, now };
        let posted = ledger.system().operator().credit(account.id, money).await?;
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

async fn show(account: &str, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let (account, balance, keys, projects) = with_ledger(config, async |ledger| {
        let account = find(ledger, account).await?;
        let reader = ledger.system().account(account.id);
        let balance = reader.balance(now).await?;
        Ok((account, balance, reader.keys(now).await?, reader.projects().await?))
    })
    .await?;
    output.print(&json!({ "account": account, "balance": balance, "keys": keys, "projects": projects }), || {
        format!("{}\n\n{}", describe(&account, &balance), key_table(&keys, &projects, now))
    })
}

fn describe(account: &AccountSummary, balance: &Balance) -> String {
    table(
        [&account.name, ""],
        [
            ["id".to_owned(), account.id.to_string()],
            ["owner".to_owned(), account.owner_email.clone().unwrap_or_default()],
            ["state".to_owned(), if account.is_active { "active" } else { "suspended" }.to_owned()],
            ["balance".to_owned(), balance.balance.to_string()],
            ["reserved".to_owned(), balance.reserved.to_string()],
            ["available".to_owned(), balance.available.to_string()],
        ],
    )
}

fn key_table(keys: &[Key], projects: &[Project], now: DateTime<Utc>) -> String {
    let rows = keys.iter().map(|key| {
        let project = projects.iter().find(|project| project.id == key.project).map(|project| project.name.clone());
        let state = if key.works_at(now) { "works" } else { "ended" };
        [
            key.name.clone(),
            masked(&key.last_four),
            project.unwrap_or_default(),
            state.to_owned(),
            key.spent_this_month.to_string(),
            key.id.to_string(),
        ]
    });
    table(["KEY", "", "PROJECT", "STATE", "SPENT THIS MONTH", "ID"], rows)
}

/// The account that somebody names.
pub(super) async fn find(ledger: &Ledger, text: &str) -> anyhow::Result<AccountSummary> {
    ledger.system().find_account(text).await.with_context(|| format!("account {text}"))
}
