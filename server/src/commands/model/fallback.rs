//! Further providers of a model, in the order in which they are asked. Proxies that run take it up within a second.

use anyhow::Context;
use clap::{Args, Subcommand};
use domain::catalog::Fallback;
use serde_json::json;

use super::CapField;
use crate::{cli::Output, config::Config, database::with_ledger};

/// Where a model is answered when its provider cannot be reached, or answers 429 or 503: nothing else is sure not to be billed twice. What members are
/// opened for the model at its own provider says nothing of another; a call with a member that is opened neither there nor at all of that provider passes
/// it over.
#[derive(Debug, Args)]
pub(super) struct FallbackArgs {
    /// What customers call the model, who pay its price whoever answers
    model: String,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a provider behind those that the model has
    Add(Add),
    /// Take one away
    Remove(Remove),
}

#[derive(Debug, Args)]
struct Add {
    /// The provider
    provider: String,

    /// What it calls the model [default: the same as customers]
    #[arg(long, env = "FAREBOX_MODEL_FALLBACK_UPSTREAM_MODEL", value_name = "NAME")]
    upstream_model: Option<String>,

    /// The request field by which it accepts a cap [default: the model's]
    #[arg(long, env = "FAREBOX_MODEL_FALLBACK_OUTPUT_CAP_FIELD", value_name = "FIELD")]
    output_cap_field: Option<CapField>,

    /// Let a member of requests pass there that nothing bounds the cost of, as `farebox model allow` does at the model's own provider
    #[arg(long, env = "FAREBOX_MODEL_FALLBACK_ALLOW", value_name = "MEMBER", value_delimiter = ',')]
    allow: Vec<String>,
}

#[derive(Debug, Args)]
struct Remove {
    /// The provider
    provider: String,
}

/// Does what was asked for.
pub(super) async fn run(args: FallbackArgs, output: Output, config: &Config) -> anyhow::Result<()> {
    let FallbackArgs { model, action } = args;
    match action {
        Action::Add(add) => self::add(&model, add, output, config).await,
        Action::Remove(Remove { provider }) => remove(&model, &provider, output, config).await,
    }
}

async fn add(model: &str, args: Add, output: Output, config: &Config) -> anyhow::Result<()> {
    let new = Fallback {
        upstream_name: args.upstream_model.filter(|name| !name.is_empty()).unwrap_or_else(|| model.to_owned()),
        provider: args.provider,
        output_cap_field: args.output_cap_field.map(Into::into),
        opened: args.allow,
    };
    with_ledger(config, async |ledger| {
        ledger.system().add_fallback(model, &new).await.with_context(|| format!("model {model}, provider {}", new.provider))
    })
    .await?;
    output.print(&json!({ "name": model, "fallback": new }), || {
        format!(
            "{model} is answered by {} where those before it cannot be reached, or answer 429 or 503. Proxies know within a second.",
            new.provider
        )
    })
}

async fn remove(model: &str, provider: &str, output: Output, config: &Config) -> anyhow::Result<()> {
    with_ledger(config, async |ledger| {
        ledger.system().remove_fallback(model, provider).await.with_context(|| format!("model {model}, fall-back {provider}"))
    })
    .await?;
    output.print(&json!({ "name": model, "removed": provider }), || format!("{model} is not answered by {provider} any more."))
}
