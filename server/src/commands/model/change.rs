//! What is changed of a model that is there. Proxies that run take it up within a second.

use anyhow::Context;
use chrono::Utc;
use clap::{ArgGroup, Args, value_parser};
use domain::tokens::{AbsurdTokens, Tokens};
use ledger::ModelChange;
use serde_json::json;

use super::{CapField, count};
use crate::{cli::Output, commands::without_empty_variable, config::Config, database::with_ledger};

/// The options of an edit, one of which must be there.
const CHANGES: [&str; 12] = [
    "provider",
    "upstream_name",
    "context_window",
    "default_output_hold",
    "output_cap_field",
    "prompt_overhead",
    "tools_overhead",
    "picture_max",
    "sound_max",
    "pdf_max",
    "output_min",
    "reasoning_max",
];

/// What changes; the name does not, since customers call it so and calls are in the books under it.
#[derive(Debug, Args)]
#[command(mut_args = without_empty_variable)]
#[command(group = ArgGroup::new("change").required(true).multiple(true).args(CHANGES))]
#[group(skip)]
pub(super) struct Edit {
    /// Which one
    name: String,

    /// The provider that answers it
    #[arg(long, env = "FAREBOX_MODEL_EDIT_PROVIDER", value_name = "NAME")]
    provider: Option<String>,

    /// What the provider calls it
    #[arg(long, env = "FAREBOX_MODEL_EDIT_UPSTREAM_NAME", value_name = "NAME")]
    upstream_name: Option<String>,

    /// The most tokens that a prompt and its completion can have together
    #[arg(long, env = "FAREBOX_MODEL_EDIT_CONTEXT_WINDOW", value_name = "TOKENS", value_parser = value_parser!(i64).range(1..=Tokens::MAX_PER_CALL))]
    context_window: Option<i64>,

    /// Output tokens to hold, and to cap the request at, when the client names no cap
    #[arg(long, env = "FAREBOX_MODEL_EDIT_DEFAULT_OUTPUT_HOLD", value_name = "TOKENS", value_parser = value_parser!(i64).range(1..=Tokens::MAX_PER_CALL))]
    default_output_hold: Option<i64>,

    /// The request field by which the model accepts a cap
    #[arg(long, env = "FAREBOX_MODEL_EDIT_OUTPUT_CAP_FIELD", value_name = "FIELD")]
    output_cap_field: Option<CapField>,

    /// What the provider wraps around any prompt
    #[arg(long, env = "FAREBOX_MODEL_EDIT_PROMPT_OVERHEAD", value_name = "TOKENS", value_parser = count())]
    prompt_overhead: Option<i64>,

    /// What it adds to the prompt when there are tools
    #[arg(long, env = "FAREBOX_MODEL_EDIT_TOOLS_OVERHEAD", value_name = "TOKENS", value_parser = count())]
    tools_overhead: Option<i64>,

    /// The most that one picture is
    #[arg(long, env = "FAREBOX_MODEL_EDIT_PICTURE_MAX", value_name = "TOKENS", value_parser = count())]
    picture_max: Option<i64>,

    /// The most that one recording is
    #[arg(long, env = "FAREBOX_MODEL_EDIT_SOUND_MAX", value_name = "TOKENS", value_parser = count())]
    sound_max: Option<i64>,

    /// The most that one PDF is; the context window, or more, stands for no bound of its own
    #[arg(long, env = "FAREBOX_MODEL_EDIT_PDF_MAX", value_name = "TOKENS", value_parser = count())]
    pdf_max: Option<i64>,

    /// The smallest cap that an answer is cut down to when credit is short
    #[arg(long, env = "FAREBOX_MODEL_EDIT_OUTPUT_MIN", value_name = "TOKENS", value_parser = count())]
    output_min: Option<i64>,

    /// The most that the model reasons with beside the cap on its output
    #[arg(long, env = "FAREBOX_MODEL_EDIT_REASONING_MAX", value_name = "TOKENS", value_parser = count())]
    reasoning_max: Option<i64>,
}

/// A model that is meant by its name alone.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Which one
    name: String,
}

impl Edit {
    fn change(&self) -> Result<ModelChange<'_>, AbsurdTokens> {
        let count = |count: Option<i64>| count.map(Tokens::of_call).transpose();
        Ok(ModelChange {
            provider: self.provider.as_deref(),
            upstream_name: self.upstream_name.as_deref(),
            context_window: count(self.context_window)?,
            default_output_hold: count(self.default_output_hold)?,
            output_cap_field: self.output_cap_field.map(Into::into),
            prompt_overhead: count(self.prompt_overhead)?,
            tools_overhead: count(self.tools_overhead)?,
            picture_max: count(self.picture_max)?,
            sound_max: count(self.sound_max)?,
            pdf_max: count(self.pdf_max)?,
            output_min: count(self.output_min)?,
            reasoning_max: count(self.reasoning_max)?,
        })
    }
}

/// Changes where it is answered, and what is held for its calls.
pub(super) async fn edit(args: Edit, output: Output, config: &Config) -> anyhow::Result<()> {
    let change = args.change()?;
    let what = match &args.provider {
        Some(provider) => format!("model {} or provider {provider}", args.name),
        None => format!("model {}", args.name),
    };
    with_ledger(config, async |ledger| ledger.system().change_model(&args.name, change).await.context(what)).await?;
    output.print(&json!({ "name": args.name, "changed": true }), || format!("Changed {}: new calls go by it within a second.", args.name))
}

/// Stops calls to it, or lets them go on.
pub(super) async fn set_enabled(args: Named, enabled: bool, output: Output, config: &Config) -> anyhow::Result<()> {
    let Named { name } = args;
    let since = (!enabled).then(Utc::now);
    with_ledger(config, async |ledger| ledger.system().disable_model(&name, since).await.with_context(|| format!("model {name}"))).await?;
    output.print(&json!({ "name": name, "enabled": enabled }), || {
        let what = if enabled { "can be called again" } else { "cannot be called any more; calls that run go on" };
        format!("{name} {what}.")
    })
}

/// Removes one that never had a price.
pub(super) async fn remove(args: Named, output: Output, config: &Config) -> anyhow::Result<()> {
    let Named { name } = args;
    with_ledger(config, async |ledger| ledger.system().remove_model(&name).await.with_context(|| format!("model {name}"))).await?;
    output.print(&json!({ "name": name, "removed": true }), || format!("Removed {name}."))
}
