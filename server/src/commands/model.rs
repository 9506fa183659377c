//! `farebox model`: what customers can call.

mod change;
mod fallback;

use anyhow::Context;
use chrono::Utc;
use clap::{Args, Subcommand, ValueEnum, builder::RangedI64ValueParser, value_parser};
use domain::{
    catalog::{Fallback, ModelBounds, OutputCapField, PricedModel},
    id::ModelId,
    rates::Rates,
    tokens::{AbsurdTokens, Tokens},
};
use ledger::NewModel;
use serde::Serialize;
use serde_json::json;

use super::{
    members::{self, Members},
    table,
};
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
    /// Change where a model is answered, and what is held for its calls
    Edit(change::Edit),
    /// Let members of requests pass that nothing bounds the cost of, or kinds of their items, as a refusal names them
    Allow(Members),
    /// Refuse them again, where the provider does not allow them itself
    Refuse(Members),
    /// Say where a model is answered when its provider is out of reach, or answers 429 or 503
    Fallback(fallback::FallbackArgs),
    /// Stop calls to a model, as if it did not exist
    Disable(change::Named),
    /// Let them go on
    Enable(change::Named),
    /// Remove a model that never had a price
    Remove(change::Named),
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
    #[arg(long, env = "FAREBOX_MODEL_CONTEXT_WINDOW", value_name = "TOKENS", value_parser = value_parser!(i64).range(1..=Tokens::MAX_PER_CALL))]
    context_window: i64,

    /// Output tokens to hold, and to cap the request at, when the client names no cap
    #[arg(long, env = "FAREBOX_MODEL_DEFAULT_OUTPUT_HOLD", value_name = "TOKENS", value_parser = value_parser!(i64).range(1..=Tokens::MAX_PER_CALL))]
    default_output_hold: i64,

    /// The request field by which the model accepts a cap
    #[arg(long, env = "FAREBOX_MODEL_OUTPUT_CAP_FIELD", value_name = "FIELD", default_value = "max_tokens")]
    output_cap_field: CapField,

    #[command(flatten)]
    bounds: BoundsArgs,
}

/// What a call can come to beyond what its request shows. Holds rest on it, and a call never costs more than was held: what is too low here is the
/// operator's loss, and is written off.
#[derive(Debug, Args)]
#[command(next_help_heading = "ModelBounds of a call, in tokens")]
struct BoundsArgs {
    /// What the provider wraps around any prompt
    #[arg(long, env = "FAREBOX_MODEL_PROMPT_OVERHEAD", value_name = "TOKENS", default_value_t = ModelBounds::default().prompt_overhead.get(), value_parser = count())]
    prompt_overhead: i64,

    /// What it adds to the prompt when there are tools
    #[arg(long, env = "FAREBOX_MODEL_TOOLS_OVERHEAD", value_name = "TOKENS", default_value_t = ModelBounds::default().tools_overhead.get(), value_parser = count())]
    tools_overhead: i64,

    /// The most that one picture is
    #[arg(long, env = "FAREBOX_MODEL_PICTURE_MAX", value_name = "TOKENS", default_value_t = ModelBounds::default().picture_max.get(), value_parser = count())]
    picture_max: i64,

    /// The most that one recording is
    #[arg(long, env = "FAREBOX_MODEL_SOUND_MAX", value_name = "TOKENS", default_value_t = ModelBounds::default().sound_max.get(), value_parser = count())]
    sound_max: i64,

    /// The most that one PDF is; other files may fill the window, as a PDF may where nothing is said of it [default: the context window]
    #[arg(long, env = "FAREBOX_MODEL_PDF_MAX", value_name = "TOKENS", value_parser = count())]
    pdf_max: Option<i64>,

    /// The smallest cap that an answer is cut down to when credit is short
    #[arg(long, env = "FAREBOX_MODEL_OUTPUT_MIN", value_name = "TOKENS", default_value_t = ModelBounds::default().output_min.get(), value_parser = count())]
    output_min: i64,

    /// The most that the model reasons with beside the cap on its output
    #[arg(long, env = "FAREBOX_MODEL_REASONING_MAX", value_name = "TOKENS", default_value_t = ModelBounds::default().reasoning_max.get(), value_parser = count())]
    reasoning_max: i64,
}

/// A number of tokens that one call can have.
fn count() -> RangedI64ValueParser<i64> {
    value_parser!(i64).range(0..=Tokens::MAX_PER_CALL)
}

impl BoundsArgs {
    fn into_bounds(self) -> Result<ModelBounds, AbsurdTokens> {
        Ok(ModelBounds {
            prompt_overhead: Tokens::of_call(self.prompt_overhead)?,
            tools_overhead: Tokens::of_call(self.tools_overhead)?,
            picture_max: Tokens::of_call(self.picture_max)?,
            sound_max: Tokens::of_call(self.sound_max)?,
            pdf_max: self.pdf_max.map(Tokens::of_call).transpose()?,
            output_min: Tokens::of_call(self.output_min)?,
            reasoning_max: Tokens::of_call(self.reasoning_max)?,
        })
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum CapField {
    /// The older name, which most compatible servers accept
    MaxTokens,
    /// What OpenAI's reasoning models insist on
    MaxCompletionTokens,
}

impl From<CapField> for OutputCapField {
    fn from(field: CapField) -> Self {
        match field {
            CapField::MaxTokens => Self::MaxTokens,
            CapField::MaxCompletionTokens => Self::MaxCompletionTokens,
        }
    }
}

/// Does what was asked for.
pub(super) async fn run(args: ModelArgs, config: &Config) -> anyhow::Result<()> {
    match args.action {
        Action::Add(add) => self::add(add, args.output, config).await,
        Action::List => list(args.output, config).await,
        Action::Allow(Members { name, members }) => open(&name, &members, &[], args.output, config).await,
        Action::Refuse(Members { name, members }) => open(&name, &[], &members, args.output, config).await,
        Action::Edit(edit) => change::edit(edit, args.output, config).await,
        Action::Fallback(fallback) => fallback::run(fallback, args.output, config).await,
        Action::Disable(named) => change::set_enabled(named, false, args.output, config).await,
        Action::Enable(named) => change::set_enabled(named, true, args.output, config).await,
        Action::Remove(named) => change::remove(named, args.output, config).await,
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
        output_cap_field: args.output_cap_field.into(),
        bounds: args.bounds.into_bounds()?,
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

async fn open(model: &str, opened: &[String], closed: &[String], output: Output, config: &Config) -> anyhow::Result<()> {
    let now = with_ledger(config, async |ledger| {
        ledger.system().open_members(model, opened, closed).await.with_context(|| format!("model {model}"))
    })
    .await?;
    members::print(model, &now, output)
}

async fn list(output: Output, config: &Config) -> anyhow::Result<()> {
    let (priced, disabled, mut fallbacks) = with_ledger(config, async |ledger| {
        let system = ledger.system();
        Ok((system.operator().priced_models(Utc::now()).await?, system.disabled().await?, system.fallbacks().await?))
    })
    .await?;
    let listed: Vec<_> = priced
        .into_iter()
        .map(|priced| {
            let fallbacks = fallbacks.remove(&priced.model.name).unwrap_or_default();
            let is_called = |provider: &String| !disabled.providers.contains(provider);
            let is_answered = is_called(&priced.model.provider) || fallbacks.iter().any(|fallback| is_called(&fallback.provider));
            let enabled = is_answered && !disabled.models.contains(&priced.model.name);
            Listed { priced, fallbacks, enabled }
        })
        .collect();
    output.print(&listed, || {
        let rows = listed.iter().map(Listed::row);
        table(["NAME", "PROVIDER", "UPSTREAM NAME", "FALL-BACK", "CONTEXT WINDOW", "PROMPT PER 1K", "COMPLETION PER 1K", "STATUS"], rows)
    })
}

/// A model, and whether it is called.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    priced: PricedModel,
    /// In the order in which they are asked.
    fallbacks: Vec<Fallback>,
    enabled: bool,
}

impl Listed {
    fn row(&self) -> [String; 8] {
        let (model, sale) = (&self.priced.model, self.priced.sale.as_ref());
        let rate = |side: fn(&Rates) -> String| sale.map_or_else(|| "no price".to_owned(), |sale| side(&sale.rates));
        [
            model.name.clone(),
            model.provider.clone(),
            model.upstream_name.clone(),
            match self.fallbacks.as_slice() {
                [] => "none".to_owned(),
                some => some.iter().map(|fallback| fallback.provider.as_str()).collect::<Vec<_>>().join(", "),
            },
            model.context_window.to_string(),
            rate(|rates| rates.base.input.to_string()),
            rate(|rates| rates.base.output.to_string()),
            if self.enabled { "enabled" } else { "disabled" }.to_owned(),
        ]
    }
}
