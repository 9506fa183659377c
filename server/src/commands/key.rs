//! `farebox key`: API keys.

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum, builder::FalseyValueParser};
use domain::{
    id::{KeyId, ProjectId},
    key::ApiKey,
};
use ledger::{AccountOwner, NewKey};
use serde_json::json;

use super::{account, parse_instant, parse_key_id, project, without_empty_variable};
use crate::{cli::Output, config::Config, database::with_ledger};

/// API keys.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and print it, this once: it is stored nowhere
    Create(Create),
    /// Say which models a key may call
    Models {
        /// Its id, as `account show` lists it
        #[arg(value_parser = parse_key_id)]
        key: KeyId,

        /// A model that it may call, beside which it may call no other; give it once for each
        #[arg(long = "model", env = "FAREBOX_KEY_MODELS", value_name = "NAME", value_delimiter = ',')]
        models: Vec<String>,

        /// It may call every one, also those that there will be
        #[arg(long, env = "FAREBOX_KEY_EVERY_MODEL", value_parser = FalseyValueParser::new(), conflicts_with = "models")]
        every_model: bool,
    },
    /// Say whether answers to a key's calls tell what they cost, for clients that do not ask by the header x-farebox-cost
    Cost {
        /// Its id, as `account show` lists it
        #[arg(value_parser = parse_key_id)]
        key: KeyId,

        /// On: as usage.cost in every answer, also at the end of a stream that was not asked for usage. Off: only in answers to calls that send the header
        told: Told,
    },
    /// Revoke a key for good
    Revoke {
        /// Its id, as `account show` lists it
        #[arg(value_parser = parse_key_id)]
        key: KeyId,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Told {
    On,
    Off,
}

#[derive(Debug, Args)]
#[command(mut_args = without_empty_variable)]
struct Create {
    /// The account that pays: its name, its id, or its owner's address
    account: String,

    /// What to call it
    #[arg(long, env = "FAREBOX_KEY_NAME", value_name = "NAME")]
    name: String,

    /// The project of its calls: its name, or its id as `farebox project list` shows it [default: the account's first]
    #[arg(long, env = "FAREBOX_KEY_PROJECT", value_name = "PROJECT")]
    project: Option<String>,

    /// The member whose key it is, whose limits then bound it: the address they sign in with [default: nobody's]
    #[arg(long, env = "FAREBOX_KEY_MEMBER", value_name = "EMAIL")]
    member: Option<String>,

    /// A model that it may call; give it once for each [default: every model]
    #[arg(long = "model", env = "FAREBOX_KEY_MODELS", value_name = "NAME", value_delimiter = ',')]
    models: Vec<String>,

    /// When it stops working by itself, like 2026-12-01 or 2026-12-01T08:00:00Z
    #[arg(long, env = "FAREBOX_KEY_EXPIRES", value_name = "INSTANT", value_parser = parse_instant)]
    expires: Option<DateTime<Utc>>,
}

/// Does what was asked for.
pub(super) async fn run(args: KeyArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Create(create) => self::create(create, args.output, config).await,
        Action::Models { models, every_model: false, .. } if models.is_empty() => {
            bail!("say which: --model for each that it may call, or --every-model")
        }
        Action::Models { key, models, every_model: _ } => set_models(key, &models, args.output, config).await,
        Action::Cost { key, told } => set_cost(key, told == Told::On, args.output, config).await,
        Action::Revoke { key } => revoke(key, args.output, config).await,
    }
}

async fn create(args: Create, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let (id, secret) = (KeyId::new(now, rand::random()), ApiKey::from_random(rand::random()));
    let (account, project, member) = with_ledger(config, async |ledger| {
        let account = account::find(ledger, &args.account).await?;
        let owner = ledger.system().account(account.id);
        let project = match &args.project {
            Some(project) => project::find(&owner, project).await?.id,
            None => ProjectId::first_of(account.id),
        };
        let member = match &args.member {
            Some(email) => Some(account::find_member(&owner, email).await?),
            None => None,
        };
        let new =
            NewKey { id, secret: &secret, name: &args.name, project, member, models: some(&args.models), expires_at: args.expires, now };
        owner.create_key(new).await?;
        Ok((account, project, member))
    })
    .await?;
    let value = json!({
        "id": id, "account": account.id, "project": project, "member": member, "name": args.name, "key": secret.expose(),
        "models": some(&args.models), "expires_at": args.expires,
    });
    // The key alone, so that a script can take it: KEY=$(farebox key create …)
    output.print(&value, || secret.expose().to_owned())
}

/// `None` stands for every one.
fn some(models: &[String]) -> Option<&[String]> {
    (!models.is_empty()).then_some(models)
}

/// Changes a key as the account that it belongs to.
async fn change(key: KeyId, config: &Config, change: impl AsyncFnOnce(&AccountOwner) -> ledger::Result<()>) -> anyhow::Result<()> {
    with_ledger(config, async |ledger| {
        let system = ledger.system();
        let account = system.account_of_key(key).await.with_context(|| format!("key {key}"))?;
        change(&system.account(account)).await.with_context(|| format!("key {key}"))
    })
    .await
}

async fn set_models(key: KeyId, models: &[String], output: Output, config: &Config) -> anyhow::Result<()> {
    let models = some(models);
    change(key, config, async |owner| owner.set_key_models(key, models).await).await?;
    output.print(&json!({ "id": key, "models": models }), || {
        let which = models.map_or_else(|| "every model".to_owned(), |models| format!("{}, and nothing else", models.join(", ")));
        format!("Key {key} may call {which}. Every proxy knows within seconds.")
    })
}

async fn set_cost(key: KeyId, tells_cost: bool, output: Output, config: &Config) -> anyhow::Result<()> {
    change(key, config, async |owner| owner.set_key_cost(key, tells_cost).await).await?;
    output.print(&json!({ "id": key, "tells_cost": tells_cost }), || {
        let which = if tells_cost { "tell" } else { "do not tell" };
        format!("Answers to calls with key {key} {which} what the call cost. Every proxy knows within seconds.")
    })
}

async fn revoke(key: KeyId, output: Output, config: &Config) -> anyhow::Result<()> {
    change(key, config, async |owner| owner.revoke_key(key, Utc::now()).await).await?;
    output.print(&json!({ "id": key, "revoked": true }), || format!("Key {key} opens nothing any more."))
}
