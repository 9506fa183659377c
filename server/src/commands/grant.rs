//! `farebox grant`: credit beside the prepaid balance.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use domain::{
    billing,
    billing::GrantKind,
    credit::{Quantity, Unit},
    id::GrantId,
};
use ledger::NewGrant;
use serde_json::{Value, json};

use super::{ACTOR, account::find, idempotency_key, parse_instant, parse_quantity, perhaps_done, table};
use crate::{cli::Output, config::Config, database::with_ledger};

/// Credit beside the prepaid balance.
#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Give an account credit that may be for some models and may expire
    Add(Add),
    /// List what an account has, in the order in which it is used
    List {
        /// The account: its name, its id, or its owner's address
        account: String,
    },
    /// End credit now: what is left of it lapses
    End {
        /// The account: its name, its id, or its owner's address
        account: String,
        /// The grant's id, as `farebox grant list` shows it
        grant: GrantId,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// The account: its name, its id, or its owner's address
    account: String,

    /// How much: in currency units, or a whole number of tokens
    #[arg(allow_negative_numbers = true)]
    amount: String,

    /// What it is counted in; tokens pay for whole calls, whatever these would cost
    #[arg(long, env = "FAREBOX_GRANT_UNIT", value_name = "UNIT", default_value = "money")]
    unit: PaidIn,

    /// Why, for the customer's books
    #[arg(long, env = "FAREBOX_GRANT_REASON", value_name = "TEXT")]
    reason: String,

    /// What it is
    #[arg(long, env = "FAREBOX_GRANT_KIND", value_name = "KIND", default_value = "promo")]
    kind: Kind,

    /// A model that it pays for; give it once for each [default: every model]
    #[arg(long = "model", env = "FAREBOX_GRANT_MODELS", value_name = "NAME", value_delimiter = ',')]
    models: Vec<String>,

    /// From when it pays: a date, or an instant like 2026-12-01T08:00:00Z [default: at once]
    #[arg(long, env = "FAREBOX_GRANT_STARTS", value_name = "WHEN", value_parser = parse_instant)]
    starts: Option<DateTime<Utc>>,

    /// When what is left of it lapses [default: never]
    #[arg(long, env = "FAREBOX_GRANT_EXPIRES", value_name = "WHEN", value_parser = parse_instant)]
    expires: Option<DateTime<Utc>>,

    /// Of credit that expires together, the lower number is used first
    #[arg(long, env = "FAREBOX_GRANT_PRIORITY", value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,

    /// Name of this one grant: the same name again changes nothing
    #[arg(long, env = "FAREBOX_GRANT_IDEMPOTENCY_KEY", value_name = "TEXT")]
    idempotency_key: Option<String>,
}

/// What credit can be given as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Promotional credit
    Promo,
    /// The allowance of a plan
    Plan,
    /// A volume that was bought once
    Package,
}

impl From<Kind> for GrantKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Promo => Self::Promo,
            Kind::Plan => Self::Plan,
            Kind::Package => Self::Package,
        }
    }
}

/// What credit is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PaidIn {
    /// Currency units
    Money,
    /// Tokens of prompt and completion together
    Tokens,
}

impl From<PaidIn> for Unit {
    fn from(unit: PaidIn) -> Self {
        match unit {
            PaidIn::Money => Self::Money,
            PaidIn::Tokens => Self::Tokens,
        }
    }
}

/// Does what was asked for.
pub(super) async fn run(args: GrantArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Add(add) => self::add(add, args.output, config).await,
        Action::List { account } => list(&account, args.output, config).await,
        Action::End { account, grant } => end(&account, grant, args.output, config).await,
    }
}

async fn add(args: Add, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let unit = Unit::from(args.unit);
    let quantity = parse_quantity(&args.amount, unit)?;
    let idempotency_key = idempotency_key(args.idempotency_key.clone());
    let mut asked = false;
    let id = GrantId::new(now, rand::random());
    let added = with_ledger(config, async |ledger| {
        let account = find(ledger, &args.account).await?;
        asked = true;
        let new = NewGrant {
            id,
            kind: args.kind.into(),
            unit,
            quantity,
            models: (!args.models.is_empty()).then(|| args.models.clone()),
            starts_at: args.starts,
            expires_at: args.expires,
            priority: args.priority,
            idempotency_key: &idempotency_key,
            memo: &args.reason,
            actor: ACTOR,
            now,
        };
        let posted = ledger.system().operator().add_grant(account.id, new).await?;
        Ok((account, posted))
    })
    .await;
    let (account, posted) = added.map_err(|error| perhaps_done(error, asked, "the credit was given", &idempotency_key))?;
    let id = (!posted.replayed).then_some(id);
    let value = json!({
        "account": account.id, "grant": id, "unit": unit, "amount": quantity.figure(unit), "posting": posted.posting, "replayed": posted.replayed,
    });
    output.print(&value, || match id {
        Some(id) => format!("{} has {} of credit more: grant {id}.", account.name, quantity.in_words(unit)),
        None => format!("{} was given this before; nothing was done.", account.name),
    })
}

async fn list(account: &str, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let grants = with_ledger(config, async |ledger| {
        let account = find(ledger, account).await?;
        Ok(ledger.system().account(account.id).balance(now).await?.grants)
    })
    .await?;
    output.print(&grants.iter().map(json).collect::<Vec<_>>(), || {
        let rows = grants.iter().map(|grant| line(grant, now));
        table(["CREDIT", "LEFT", "RESERVED", "MODELS", "STATE", "EXPIRES", "ID"], rows)
    })
}

/// A grant for programs.
pub(super) fn json(grant: &billing::Grant) -> Value {
    let figure = |quantity: Quantity| quantity.figure(grant.unit);
    json!({
        "id": grant.id, "kind": grant.kind, "unit": grant.unit, "balance": figure(grant.balance), "granted": figure(grant.granted),
        "leased": figure(grant.leased), "models": grant.models, "starts_at": grant.starts_at, "expires_at": grant.expires_at,
    })
}

fn line(grant: &billing::Grant, now: DateTime<Utc>) -> [String; 7] {
    [
        grant.kind.name().to_owned(),
        grant.balance.in_words(grant.unit),
        grant.leased.in_words(grant.unit),
        grant.models.as_ref().map_or_else(|| "all".to_owned(), |models| models.join(", ")),
        if grant.in_force(now) { "in force".to_owned() } else { format!("from {}", grant.starts_at) },
        grant.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
        grant.id.to_string(),
    ]
}

async fn end(account: &str, grant: GrantId, output: Output, config: &Config) -> anyhow::Result<()> {
    let account = with_ledger(config, async |ledger| {
        let account = find(ledger, account).await?;
        ledger.system().operator().end_grant(account.id, grant, ACTOR).await?;
        Ok(account)
    })
    .await?;
    output.print(&json!({ "account": account.id, "grant": grant, "ended": true }), || {
        format!("Grant {grant} of {} has ended. What running calls hold of it lapses when they end.", account.name)
    })
}
