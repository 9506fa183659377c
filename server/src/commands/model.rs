//! `farebox model`: what customers can call.

use anyhow::Context;
use chrono::Utc;
use clap::{Args, Subcommand, ValueEnum};
use domain::{catalog::OutputCapField, id::ModelId, tokens::Tokens};
use ledger::NewModel;
use serde_json::json;

use super::table;
use crate::{cli::Output, config::Config, database::with_ledger};

/// The models that customers can call.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a model; it is refused to customers until it has a price
    Add(Add),
    /// List the models
    List,
}

#[derive(Debug, Args)]
struct Add {
    /// What customers call it
    name: String,

    /// The provider that answers it
    #[arg(long, env = "FAREBOX_MODEL_PROVIDER", value_name = "NAME")]
    provider: String,

    /// What the provider calls it [default: the same]
    #[arg(long, env = "FAREBOX_MODEL_UPSTREAM_NAME", value_name = "NAME")]
    upstream_name: Option<String>,

    /// The most tokens that a prompt and its completion can have together
    #[arg(long, env = "FAREBOX_MODEL_CONTEXT_WINDOW", value_name = "TOKENS", value_parser = clap::value_parser!(i64).range(1..=Tokens::MAX_PER_CALL))]
    context_window: i64,

    /// Output tokens to hold, and to cap the request at, when the client names no cap
    #[arg(long, env = "FAREBOX_MODEL_DEFAULT_OUTPUT_HOLD", value_name = "TOKENS", value_parser = clap::value_parser!(i64).range(1..=Tokens::MAX_PER_CALL))]
    default_output_hold: i64,

    /// The request field by which the model accepts a cap
    #[arg(long, env = "FAREBOX_MODEL_OUTPUT_CAP_FIELD", value_name = "FIELD", default_value = "max_tokens")]
    output_cap_field: CapField,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum CapField {
    /// The older name, which most compatible servers accept
    MaxTokens,
    /// What OpenAI's reasoning models insist on
    MaxCompletionTokens,
}

/// Does what was asked for.
pub(super) async fn run(args: ModelArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Add(add) => self::add(add, args.output, config).await,
        Action::List => list(args.output, config).await,
    }
}

async fn add(args: Add, output: Output, config: &Config) -> anyhow::Result<()> {
    let now = Utc::now();
    let new = NewModel {
        id: ModelId::new(now, rand::random()),
        name: &args.name,
        provider: &args.provider,
        upstream_name: args.upstream_name.as_deref().unwrap_or(&args.name),
        context_window: Tokens::of_call(args.context_window)?,
        default_output_hold: Tokens::of_call(args.default_output_hold)?,
        output_cap_field: match args.output_cap_field {
            CapField::MaxTokens => OutputCapField::MaxTokens,
            CapField::MaxCompletionTokens => OutputCapField::MaxCompletionTokens,
        },
        now,
    };
    let (id, upstream_name) = (new.id, new.upstream_name);
    with_ledger(config, async |ledger| {
        ledger.system().add_model(new).await.with_context(|| format!("model {} of provider {}", args.name, args.provider))
    })
    .await?;
    output.print(&json!({ "id": id, "name": args.name, "provider": args.provider, "upstream_name": upstream_name }), || {
        format!("Added {}. Customers can call it once it has a price: farebox price set {} --input … --output …", args.name, args.name)
    })
}

async fn list(output: Output, config: &Config) -> anyhow::Result<()> {
    let priced = with_ledger(config, async |ledger| Ok(ledger.system().operator().priced_models(Utc::now()).await?)).await?;
    output.print(&priced, || {
        let rows = priced.iter().map(|priced| {
            let rate = |side: fn(&domain::rates::Rates) -> String| {
                priced.sale.as_ref().map_or_else(|| "no price".to_owned(), |sale| side(&sale.rates))
            };
            let model = &priced.model;
            [
                model.name.clone(),
                model.provider.clone(),
                model.upstream_name.clone(),
                model.context_window.to_string(),
                rate(|rates| rates.base.input.to_string()),
                rate(|rates| rates.base.output.to_string()),
            ]
        });
        table(["NAME", "PROVIDER", "UPSTREAM NAME", "CONTEXT WINDOW", "PROMPT PER 1K", "COMPLETION PER 1K"], rows)
    })
}
