//! `farebox project`: the parts of an account.

use anyhow::Context;
use chrono::Utc;
use clap::{Args, Subcommand};
use domain::{
    account::Project,
    id::{KeyId, ProjectId},
};
use ledger::{AccountReader, NewProject};
use serde_json::json;

use super::{account, parse_key_id, table};
use crate::{cli::Output, config::Config, database::with_ledger};

/// The parts of an account, each with keys and limits of its own.
#[derive(Debug, Args)]
pub(crate) struct ProjectArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a project to an account, which has one from the beginning
    Add {
        /// The account: its name, its id, or its owner's address
        account: String,
        /// What to call it
        name: String,
    },
    /// List an account's projects
    List {
        /// The account: its name, its id, or its owner's address
        account: String,
    },
    /// Put a key into another project; the calls that were made with it stay where they are
    MoveKey {
        /// The key's id, as `farebox account show` lists it
        #[arg(value_parser = parse_key_id)]
        key: KeyId,
        /// The project, of the key's account: its name, or its id as `farebox project list` shows it
        project: String,
    },
}

/// Does what was asked for.
pub(super) async fn run(args: ProjectArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Add { account, name } => add(&account, name.trim(), args.output, config).await,
        Action::List { account } => list(&account, args.output, config).await,
        Action::MoveKey { key, project } => move_key(key, &project, args.output, config).await,
    }
}

async fn add(account: &str, name: &str, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let id = ProjectId::new(now, rand::random());
    let account = with_ledger(config, async |ledger| {
        let account = account::find(ledger, account).await?;
        ledger.system().account(account.id).add_project(NewProject { id, name, now }).await?;
        Ok(account)
    })
    .await?;
    output.print(&json!({ "id": id, "account": account.id, "name": name }), || {
        format!(
            "Added the project {name} ({id}) to {}. Keys for it: farebox key create … --project, or farebox project move-key",
            account.name
        )
    })
}

async fn list(account: &str, output: Output, config: &Config) -> anyhow::Result<()> {
    let projects = with_ledger(config, async |ledger| {
        let account = account::find(ledger, account).await?;
        Ok(ledger.system().account(account.id).projects().await?)
    })
    .await?;
    output.print(&projects, || {
        let rows =
            projects.iter().map(|project| [project.name.clone(), project.created_at.date_naive().to_string(), project.id.to_string()]);
        table(["NAME", "SINCE", "ID"], rows)
    })
}

async fn move_key(key: KeyId, project: &str, output: Output, config: &Config) -> anyhow::Result<()> {
    let project = with_ledger(config, async |ledger| {
        let system = ledger.system();
        let account = system.account(system.account_of_key(key).await.with_context(|| format!("key {key}"))?);
        let project = find(&account, project).await?;
        account.move_key(key, project.id).await.with_context(|| format!("key {key}"))?;
        Ok(project)
    })
    .await?;
    output.print(&json!({ "key": key, "project": project.id }), || {
        format!("Key {key} is in the project {} from now on. The calls that were made with it stay where they are.", project.name)
    })
}

/// The account's project of this id, else of this name, in whatever case. A name that looks like another project's id must not stand for it.
pub(super) async fn find(account: &AccountReader, text: &str) -> anyhow::Result<Project> {
    let mut projects = account.projects().await?.into_iter();
    let found = match text.parse::<ProjectId>() {
        Ok(id) => projects.find(|project| project.id == id),
        Err(_) => {
            let name = text.trim();
            let is_alike = |project: &Project| project.name.to_lowercase() == name.to_lowercase();
            // What differs in case alone may be two names to a PostgreSQL that knows no letters but ASCII's, as the embedded one.
            projects.filter(is_alike).min_by_key(|project| project.name != name)
        }
    };
    found.with_context(|| format!("project {text}: not found; `farebox project list` shows those of the account"))
}
