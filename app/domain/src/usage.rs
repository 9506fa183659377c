//! Usage over time. Cards, chart and tables all come from one [`UsageReport`], so that they cannot disagree.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    account::Project,
    attribution::Label,
    id::KeyId,
    money::Amount,
    period::{Range, Step},
    tokens::Tokens,
};

/// Sums over calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Calls.
    pub requests: i64,
    /// Prompt tokens.
    pub prompt_tokens: Tokens,
    /// Completion tokens.
    pub completion_tokens: Tokens,
    /// Total tokens.
    pub total_tokens: Tokens,
    /// Cost.
    pub amount: Amount,
}

impl Totals {
    /// The sum of two, `None` if the money overflows.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            requests: self.requests.checked_add(other.requests)?,
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_add(other.completion_tokens),
            total_tokens: self.total_tokens.saturating_add(other.total_tokens),
            amount: self.amount.checked_add(other.amount)?,
        })
    }
}

/// What usage is told apart by, for programs; by nothing at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dimensions {
    /// The key that called.
    pub key: bool,
    /// The project of the calls.
    pub project: bool,
    /// The model that was called.
    pub model: bool,
}

/// What a report's figures are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// See [`Range::compared`].
    pub range: Range,
    /// What was used in it, under the same filters.
    pub totals: Totals,
}

/// What one key, one project, one model, or everything used, in all and step by step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSeries {
    /// The key's or the project's id, or the model's name: what a filter link needs. Empty when nothing is split.
    pub id: String,
    /// Its name on the page.
    pub label: String,
    /// How many of its kind the account had before it, whatever the range: by it one series is told from another, always in the same way.
    pub place: usize,
    /// Its sums over the whole range.
    pub totals: Totals,
    /// Its sums per step, as many as [`UsageReport::steps`].
    pub per_step: Vec<Totals>,
}

/// One row of a breakdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The key's or the project's id, or the model's name.
    pub id: String,
    /// Its name on the page.
    pub label: String,
    /// Its sums.
    pub totals: Totals,
}

/// Everything that the usage page shows. `totals`, `series` and what it is split by are sums of the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageReport {
    /// When it was read.
    pub now: DateTime<Utc>,
    /// What it covers.
    pub range: Range,
    /// How long a step is.
    pub step: Step,
    /// The start of each step.
    pub steps: Vec<DateTime<Utc>>,
    /// Everything.
    pub totals: Totals,
    /// Everything in the time before; nothing where the account is younger than that.
    pub before: Option<Before>,
    /// The chosen split, dearest first. Together they are `totals`.
    pub series: Vec<UsageSeries>,
    /// Per key, dearest first. Together they are `totals`.
    pub by_key: Vec<UsageRow>,
    /// Per model, dearest first. Together they are `totals`.
    pub by_model: Vec<UsageRow>,
    /// Per project, dearest first. Together they are `totals`.
    pub by_project: Vec<UsageRow>,
    /// What filters can be set to.
    pub choices: FilterChoices,
}

/// What the filters of an account's pages can be set to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FilterChoices {
    /// Every key of the account.
    pub keys: Vec<(KeyId, String)>,
    /// Every project of the account, the first one first.
    pub projects: Vec<Project>,
    /// Every model that it ever called, by when it first did.
    pub models: Vec<String>,
    /// Every client that ever called.
    pub clients: Vec<Label>,
    /// End users of its latest calls, by name: there can be any number of them in all.
    pub end_users: Vec<Label>,
    /// Tags of its latest calls, by name, with their values.
    pub tags: Vec<(Label, Vec<Label>)>,
}
