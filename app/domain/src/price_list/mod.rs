//! Price lists: those that others publish, and our own. What each says of a model is read exactly, or refused by name with the reason.
//!
//! Nothing is rounded and nothing is guessed: a number that does not fit nine decimals per 1,000 tokens refuses its model, and a price of something
//! that has no [`Bucket`](crate::tokens::Bucket) here is named beside what was read ([`Offer::unmapped`]). One model that cannot be read harms no other.

mod compare;
mod genai;
mod glob;
mod import;
mod json;
mod litellm;
mod markup;
mod models_dev;
mod number;
mod own;
mod plan;
mod select;
mod sheet;
mod suspicion;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use self::{
    compare::{Compared, Of, compared, differing, same_price, spelled_out},
    glob::Glob,
    import::{Import, Imported, ListedAs, NotSold, Side, Sides, TierNotListed, Verdict, Wish, import, side_name},
    markup::{MARKUP_MAX, marked_up},
    number::{NumberProblem, Unit, exact},
    own::{Export, ExportedModel, standing},
    plan::{Change, Conflict, Plan, Start, plan},
    select::{Found, Names, Rule},
    suspicion::{SLIP_FACTOR, Slip, Suspicion, suspect},
};
use self::{json::Value, own::VERSION_MEMBER};
use crate::{catalog::PriceKind, rates::Rates, service_tier::ServiceTier};

/// The currency of every list that is read here, and of our own.
pub const CURRENCY: &str = "USD";

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// LiteLLM's `model_prices_and_context_window.json`: US dollars per token.
    #[serde(rename = "litellm")]
    LiteLlm,
    /// The `api.json` of models.dev: US dollars per million tokens.
    #[serde(rename = "models.dev")]
    ModelsDev,
    /// The `data.json` of pydantic's genai-prices: US dollars per million tokens, with dates.
    GenaiPrices,
    /// What `farebox prices export` writes.
    Farebox,
}

impl Format {
    /// Its name in flags.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LiteLlm => "litellm",
            Self::ModelsDev => "models.dev",
            Self::GenaiPrices => "genai-prices",
            Self::Farebox => "farebox",
        }
    }
}

/// Why a whole list is of no use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is no JSON.
    #[error("is not JSON: {0}")]
    NotJson(String),
    /// It has another shape than lists of its format have.
    #[error("is not a list in the format {}", .0.name())]
    WrongShape(Format),
    /// It looks like no list that is known here.
    #[error("is in no format that is known here")]
    UnknownFormat,
    /// Our own format, in a version that is not known.
    #[error("is of version {0} of this format, and this Farebox reads version 1")]
    UnknownVersion(String),
    /// Our own format, with prices in something else.
    #[error("has prices in another currency or unit than {CURRENCY} per 1,000 tokens")]
    UnknownUnit,
}

/// Why what a list says of one model is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// One member's value is no price.
    #[error("{member} {problem}")]
    Number {
        /// Which, as the list names it.
        member: String,
        /// What is wrong with it.
        problem: NumberProblem,
    },
    /// A price that every model must have is not there; that is not the same as zero.
    #[error("{0} is not there: the price is not known")]
    Absent(String),
    /// A member, or the whole model, is there twice.
    #[error("{0} is there twice")]
    Twice(String),
    /// A member has another shape than the format gives it.
    #[error("{0} is not what this format has there")]
    Shape(String),
    /// A price is counted in something that is not known.
    #[error("{0} is in a unit that is not known")]
    UnknownUnit(String),
    /// The price depends on something that prices here do not depend on.
    #[error("its price depends on {0}, and prices here do not")]
    Depends(&'static str),
    /// A tier leaves out a rate that the rest of the model has, and the format does not say what it is then.
    #[error("its tier from {from} prompt tokens on does not say {member}")]
    TierGap {
        /// From how many prompt tokens on.
        from: i64,
        /// What it does not say.
        member: String,
    },
    /// What was read is not a set of rates.
    #[error("{0}")]
    Rates(String),
}

/// A price from an instant on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `None`: always until the next step.
    pub from: Option<DateTime<Utc>>,
    /// What it is then.
    pub rates: Rates,
}

/// One side of a model's price at a service tier, step by step, in order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Which side.
    pub kind: PriceKind,
    /// Which service tier.
    pub service_tier: ServiceTier,
    /// At least one.
    pub steps: Vec<Step>,
}

impl Timeline {
    /// What is in force at this instant.
    #[must_use]
    pub fn at(&self, instant: DateTime<Utc>) -> Option<&Rates> {
        self.steps.iter().rev().find(|step| step.from.is_none_or(|from| from <= instant)).map(|step| &step.rates)
    }
}

/// What a list says of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its sides, at each service tier: the cost alone in the lists of others, in which a price is what the provider charges.
    pub sides: Vec<Timeline>,
    /// Prices of what has no bucket here, as the list names them. They are not imported.
    pub unmapped: Vec<String>,
}

/// A model of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who charges for it, as the list names them.
    pub provider: String,
    /// What the list calls it.
    pub name: String,
    /// What else it is called.
    pub names: Names,
    /// What the list says of it.
    pub says: Result<Offer, Refusal>,
}

/// A list, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceList {
    /// How it was written.
    pub format: Format,
    /// Its models, in its order.
    pub entries: Vec<Entry>,
}

impl PriceList {
    /// Reads a list; `None` finds its format out.
    ///
    /// # Errors
    /// See [`ListError`]. What is wrong with a single model is told there: [`Entry::says`].
    pub fn read(text: &str, format: Option<Format>) -> Result<Self, ListError> {
        let text = json::with_quoted_nan(text.trim_start_matches('\u{feff}'));
        let raw = serde_json::from_str(&text).map_err(|error| ListError::NotJson(error.to_string()))?;
        let value = json::open(raw);
        let format = format.or_else(|| detect(&value)).ok_or(ListError::UnknownFormat)?;
        let mut entries = match (format, value) {
            (Format::GenaiPrices, Value::List(providers)) => genai::read(&providers),
            (Format::LiteLlm, Value::Members(models)) => litellm::read(&models),
            (Format::ModelsDev, Value::Members(providers)) => models_dev::read(&providers),
            (Format::Farebox, Value::Members(list)) => own::read(&list)?,
            _ => return Err(ListError::WrongShape(format)),
        };
        refuse_twins(&mut entries);
        Ok(Self { format, entries })
    }
}

fn detect(list: &Value<'_>) -> Option<Format> {
    let members = match list {
        Value::List(_) => return Some(Format::GenaiPrices),
        Value::Members(members) => members,
        _ => return None,
    };
    if members.has(VERSION_MEMBER) {
        return Some(Format::Farebox);
    }
    members.iter().find_map(|(_, raw)| match json::open(raw) {
        Value::Members(inner) if inner.has("models") => Some(Format::ModelsDev),
        Value::Members(inner) if inner.has("litellm_provider") => Some(Format::LiteLlm),
        _ => None,
    })
}

/// Of a model that is there twice nobody knows which one counts.
fn refuse_twins(entries: &mut [Entry]) {
    let mut seen: HashMap<(String, String), usize> = HashMap::new();
    let key = |entry: &Entry| (entry.provider.clone(), entry.name.clone());
    for entry in entries.iter() {
        *seen.entry(key(entry)).or_default() += 1;
    }
    for entry in entries {
        if seen.get(&key(entry)).is_some_and(|times| *times > 1) {
            entry.says = Err(Refusal::Twice(entry.name.clone()));
        }
    }
}
