//! What can be called, where it goes, and what it costs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{ModelId, PriceId, ProviderId},
    rates::Rates,
    service_tier::ServiceTier,
    tokens::Tokens,
};

/// Whether an upstream must be asked to report its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum UsageMode {
    /// Streams report only when `stream_options.include_usage` says so; it is added, and its traces are taken out if the client did not ask.
    Forced,
    /// Reports unasked, or refuses the option: nothing is added, nothing taken out.
    Native,
}

/// What happens to the upstream when the client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum DisconnectPolicy {
    /// Read on to the upstream's usage and bill that.
    Drain,
    /// Hang up on the upstream too, and bill an estimate of what was delivered: unless the answer is finished but for its usage, or the model reasons
    /// unseen ([`OutputCapField::MaxCompletionTokens`]).
    Cancel,
}

/// The request field by which a model accepts a cap on its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum OutputCapField {
    /// `max_tokens`, the older name, which most compatible servers accept.
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's reasoning models insist on.
    MaxCompletionTokens,
}

impl OutputCapField {
    /// The JSON member.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// What clients speak, and providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's completions.
    Completions,
    /// OpenAI's embeddings.
    Embeddings,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Mistral's completions of code.
    Fim,
}

impl Api {
    /// Every one.
    pub const ALL: [Self; 6] = [Self::Chat, Self::Completions, Self::Embeddings, Self::Responses, Self::Messages, Self::Fim];

    /// Its name in flags and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Fim => "fim",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.name() == name)
    }
}

/// How long a provider may take, in milliseconds; `None` is as long as the proxy waits for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TimeOuts {
    /// To be connected to: its name, TCP and TLS together. What takes longer has not seen the request.
    pub connect_ms: Option<i64>,
    /// To the first byte of its answer, which is that of its headers, connecting included. It may have worked by then, and so it may bill.
    pub first_byte_ms: Option<i64>,
    /// From one piece of its answer to the next.
    pub idle_ms: Option<i64>,
}

/// An upstream, without its credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// The provider.
    pub id: ProviderId,
    /// What operators call it.
    pub name: String,
    /// Up to and including the version segment: `https://api.openai.com/v1`.
    pub base_url: String,
    /// See [`UsageMode`].
    pub usage_mode: UsageMode,
    /// See [`DisconnectPolicy`].
    pub on_disconnect: DisconnectPolicy,
    /// Whether an operator vouched for an address on a private network.
    pub allow_private: bool,
    /// Whether customers are kept from reading what it says of cost in its answers, which is what it charges the operator.
    pub hide_cost: bool,
    /// Members of requests that pass there at any model: see [`Model::opened`].
    pub opened: Vec<String>,
    /// Whether a credential is stored.
    pub has_credential: bool,
    /// What it speaks; `None` for every API.
    pub apis: Option<Vec<Api>>,
    /// See [`TimeOuts`].
    pub time_outs: TimeOuts,
}

impl Provider {
    /// Whether calls of this API can go there.
    #[must_use]
    pub fn speaks(&self, api: Api) -> bool {
        self.apis.as_ref().is_none_or(|apis| apis.contains(&api))
    }
}

/// What a call to a model can come to beyond what its request shows. Together with the request it decides what is held, and a call never costs more
/// than that: what is too low here is the operator's loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelBounds {
    /// Prompt tokens that the provider wraps around any request.
    pub prompt_overhead: Tokens,
    /// Prompt tokens that it adds when there are tools.
    pub tools_overhead: Tokens,
    /// The most prompt tokens of one picture.
    pub picture_max: Tokens,
    /// The most prompt tokens of one recording whose bytes are in the request.
    pub sound_max: Tokens,
    /// The most prompt tokens of one PDF, in its bytes or by its address; `None` where it may fill the window, as other files may.
    pub pdf_max: Option<Tokens>,
    /// The fewest output tokens that are an answer: with credit for less, a call is refused rather than cut so short.
    pub output_min: Tokens,
    /// The most tokens that the model reasons with beside the cap on each answer's output: 0 where the cap holds them, as it does at most providers.
    pub reasoning_max: Tokens,
}

/// What holds for the models that most people call.
impl Default for ModelBounds {
    fn default() -> Self {
        Self {
            // "hi" is two bytes and about eight tokens.
            prompt_overhead: Tokens::from_sum(64),
            // Anthropic documents up to 530 tokens.
            tools_overhead: Tokens::from_sum(640),
            // OpenAI documents 48,169 for a large picture to gpt-4o-mini.
            picture_max: Tokens::from_sum(50_000),
            sound_max: Tokens::from_sum(50_000),
            pdf_max: None,
            output_min: Tokens::from_sum(16),
            reasoning_max: Tokens::ZERO,
        }
    }
}

/// A model that customers can call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The model.
    pub id: ModelId,
    /// What customers call it.
    pub name: String,
    /// Who answers it.
    pub provider_id: ProviderId,
    /// That provider's name.
    pub provider: String,
    /// What the provider calls it.
    pub upstream_name: String,
    /// The most tokens that a prompt and its completion can have together.
    pub context_window: Tokens,
    /// Output tokens to hold, and to cap the request at, when the client names no cap.
    pub default_output_hold: Tokens,
    /// See [`OutputCapField`].
    pub output_cap_field: OutputCapField,
    /// See [`ModelBounds`].
    pub bounds: ModelBounds,
    /// Members of requests, or `member.kind` of their items, that an operator lets pass although nothing bounds what they cost.
    pub opened: Vec<String>,
}

impl Model {
    /// Whether an operator lets this member pass.
    #[must_use]
    pub fn opens(&self, member: &str) -> bool {
        self.opened.iter().any(|opened| opened == member)
    }
}

/// A further provider of a model, asked where those before it failed before they billed anything. The customer pays the model's price, whoever answers;
/// what the provider charges is the operator's cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// Who answers then.
    pub provider: String,
    /// What it calls the model.
    pub upstream_name: String,
    /// The member by which it takes a cap on the output; `None` for the model's.
    pub output_cap_field: Option<OutputCapField>,
    /// Members of requests that an operator lets pass there: see [`Model::opened`].
    pub opened: Vec<String>,
}

impl Fallback {
    /// The most of one model.
    pub const MAX: usize = 7;
}

/// Which side of a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum PriceKind {
    /// What the customer pays.
    Sale,
    /// What the provider charges.
    Cost,
}

impl PriceKind {
    /// Its name in forms and flags.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Cost => "cost",
        }
    }

    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Sale => Self::Cost,
            Self::Cost => Self::Sale,
        }
    }
}

/// One immutable version of a model's price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceVersion {
    /// The version.
    pub id: PriceId,
    /// The model it prices.
    pub model_id: ModelId,
    /// See [`PriceKind`].
    pub kind: PriceKind,
    /// The tier whose calls it prices.
    pub service_tier: ServiceTier,
    /// Calls admitted from this instant on use it, until a later version begins.
    pub effective_from: DateTime<Utc>,
    /// The rates.
    pub rates: Rates,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// Who wrote it.
    pub created_by: String,
}

/// A model with its price, as the public page and the operator's table show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedModel {
    /// The model.
    pub model: Model,
    /// The sale price in force; without one the model is refused.
    pub sale: Option<PriceVersion>,
    /// The cost in force, for operators only.
    pub cost: Option<PriceVersion>,
    /// Sale prices that are written but not yet in force, soonest first.
    pub scheduled: Vec<PriceVersion>,
    /// What the model costs at other service tiers, as far as that is known.
    pub service_tiers: Vec<PricedTier>,
}

/// What a model costs at a service tier that is not the default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedTier {
    /// Which.
    pub service_tier: ServiceTier,
    /// The sale price in force; without one, calls that ask for it are refused.
    pub sale: Option<PriceVersion>,
    /// The cost in force, for operators only.
    pub cost: Option<PriceVersion>,
    /// Sale prices that are written but not yet in force, soonest first.
    pub scheduled: Vec<PriceVersion>,
}
