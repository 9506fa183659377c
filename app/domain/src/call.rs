//! A call as the log, the receipt and the account routes show it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    account::Project,
    attribution::Attribution,
    billing::{GrantKind, PostingNumber},
    credit::{Quantity, Unit},
    id::{CallId, GrantId, KeyId, PriceId},
    money::Amount,
    pricing::{Excess, Receipt},
    service_tier::ServiceTier,
    tokens::{CallUsage, Tokens},
};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The upstream answered and the client received it all.
    Ok,
    /// The upstream refused or failed. Without output it costs nothing.
    UpstreamError,
    /// The client left before the end; it pays for what the upstream counted, or else for what was delivered.
    ClientLeft,
    /// The proxy itself died in the middle.
    Interrupted,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Ok, Self::UpstreamError, Self::ClientLeft, Self::Interrupted];

    /// Its name in a query string, in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::UpstreamError => "upstream_error",
            Self::ClientLeft => "client_left",
            Self::Interrupted => "interrupted",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::UpstreamError => "Upstream error",
            Self::ClientLeft => "Client left",
            Self::Interrupted => "Interrupted",
        }
    }
}

/// Where a call's token counts come from. An estimate is never shown without saying so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The upstream's own `usage`.
    Upstream,
    /// A tokenizer's count of what was sent and delivered, because the upstream gave none.
    Estimated,
    /// A tokenizer's count of the prompt, because the proxy died before the end.
    Interrupted,
    /// There was nothing to count: the upstream failed before any output.
    None,
}

impl UsageSource {
    /// Its name in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Estimated => "estimated",
            Self::Interrupted => "interrupted",
            Self::None => "none",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Upstream => "reported by the upstream",
            Self::Estimated => "estimated: the upstream did not report all of it",
            Self::Interrupted => "estimated: the call was interrupted",
            Self::None => "none: the upstream failed before any output",
        }
    }
}

/// Why a provider was given up for another. In each case it surely did not bill: it had not seen the request, or refused it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// No connection could be made.
    Unreachable,
    /// None was made in time.
    ConnectTimeout,
    /// Its certificate is not trusted.
    Untrusted,
    /// It answered 429: the operator asks it too much, or has no credit left there.
    RateLimited,
    /// It answered 503, or 529 as Anthropic does.
    Overloaded,
}

impl Failure {
    /// Its name in JSON, in metrics and in seals.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::Untrusted => "untrusted",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
        }
    }

    /// What an answer of this status is; `None` where the provider may have billed, or another would say the same.
    #[must_use]
    pub const fn of_status(status: u16) -> Option<Self> {
        match status {
            429 => Some(Self::RateLimited),
            503 | 529 => Some(Self::Overloaded),
            _ => None,
        }
    }
}

/// A provider that was asked before the one that a call's receipt names, and failed before it billed anything: neither the customer nor the operator pays
/// for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its name.
    pub provider: String,
    /// Why it was given up.
    pub failure: Failure,
    /// What it answered, if it did.
    pub http_status: Option<i32>,
    /// How long it had taken by then.
    pub took_ms: i64,
}

impl Attempt {
    /// What happened, as a page says it: `503`, `not reached`.
    #[must_use]
    pub fn what(&self) -> String {
        match (self.failure, self.http_status) {
            (_, Some(status)) => status.to_string(),
            (Failure::ConnectTimeout, None) => "not reached in time".to_owned(),
            (Failure::Untrusted, None) => "its certificate is not trusted".to_owned(),
            (Failure::Unreachable | Failure::RateLimited | Failure::Overloaded, None) => "not reached".to_owned(),
        }
    }
}

/// Why a call's figures were changed after it was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum CorrectionKind {
    /// Its settlement came when it had been posted as interrupted.
    LateUsage,
    /// An operator gave it back, in whole or in part.
    Credit,
    /// It was charged anew, by another version of its price.
    Reprice,
}

impl CorrectionKind {
    /// Its name in JSON and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LateUsage => "late_usage",
            Self::Credit => "credit",
            Self::Reprice => "reprice",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::LateUsage => "Late usage",
            Self::Credit => "Credit",
            Self::Reprice => "Charged anew",
        }
    }
}

/// What a call was counted at, and what that comes to by which price: as it was posted, or by a settlement that came late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reckoning {
    /// Where the counts come from.
    pub source: UsageSource,
    /// What was counted.
    pub usage: CallUsage,
    /// Recomputed from the counts and the price version, each time it is shown.
    pub receipt: Receipt,
    /// The price version it was priced by.
    pub price_id: PriceId,
    /// Since when that version is in force.
    pub price_effective_from: DateTime<Utc>,
    /// The service tier whose price that is.
    pub price_tier: ServiceTier,
    /// The service tier that served the call, as far as its answer said, else that which was asked for.
    pub service_tier: ServiceTier,
    /// The model name that the upstream answered with.
    pub upstream_model: Option<String>,
    /// The `usage` object as the upstream sent it; without what it said of cost, where that was taken out of the answer, too.
    pub raw_usage: Option<String>,
    /// What it comes to in money: the receipt's amount, at most what was held where the account is strict, and nothing of a call that is paid in tokens.
    pub amount: Amount,
    /// The tokens that it comes to, of a call that is paid in tokens.
    pub tokens: Option<Tokens>,
    /// What of the receipt's amount exceeds what was held: not charged. See [`crate::pricing::charge`].
    pub written_off: Amount,
}

impl Reckoning {
    /// Tokens in the upstream's total that neither its prompt nor its completion explains: shown, never charged.
    #[must_use]
    pub fn unexplained_tokens(&self) -> Option<Tokens> {
        let parts = self.usage.prompt_tokens?.saturating_add(self.usage.completion_tokens?);
        let rest = self.usage.total_tokens?.get() - parts.get();
        (rest > 0).then(|| Tokens::from_sum(rest))
    }
}

/// A row beside a call that changes its figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// The posting of the journal that says so.
    pub posting: PostingNumber,
    /// Why it was made.
    pub kind: CorrectionKind,
    /// What the call came to after all, of late usage.
    pub late: Option<Reckoning>,
    /// What it adds to the call's charge; below zero it was given back.
    pub amount: Amount,
    /// What it adds to the tokens that were paid, of a call that was paid in tokens.
    pub tokens_paid: Option<i64>,
    /// What of it nobody pays: the credit that was held for it had been spent.
    pub written_off: Amount,
    /// An operator's reason.
    pub memo: String,
    /// Who made it; empty for the meter.
    pub actor: String,
    /// When it was posted.
    pub posted_at: DateTime<Utc>,
}

/// What all corrections of a call add to it; below zero they take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Corrected {
    /// Prompt tokens.
    pub prompt_tokens: i64,
    /// Completion tokens.
    pub completion_tokens: i64,
    /// Total tokens.
    pub total_tokens: i64,
    /// Its charge.
    pub amount: Amount,
}

/// One line of the call log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRow {
    /// The call; also its `x-request-id`.
    pub id: CallId,
    /// When it was admitted.
    pub started_at: DateTime<Utc>,
    /// The key it was made with.
    pub key_id: KeyId,
    /// That key's name.
    pub key_name: String,
    /// The model the client asked for, which is the one that is priced.
    pub model: String,
    /// Whether the answer was a stream.
    pub stream: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// Where its counts come from.
    pub source: UsageSource,
    /// Its usage, as it was posted.
    pub usage: CallUsage,
    /// What it cost, as it was posted.
    pub amount: Amount,
    /// What a token grant paid, if one did: then it costs no money, and its receipt says what it would have cost.
    pub tokens_paid: Option<Tokens>,
    /// What was changed since, if anything was.
    pub corrected: Option<Corrected>,
    /// From admission to the last byte.
    pub latency_ms: i64,
    /// From admission to the first byte of the answer's body.
    pub first_byte_ms: Option<i64>,
}

impl CallRow {
    /// What it costs by now: its charge and its corrections.
    #[must_use]
    pub fn cost(&self) -> Amount {
        self.corrected.map_or(self.amount, |corrected| self.amount.checked_add(corrected.amount).unwrap_or(self.amount))
    }

    /// Its prompt tokens by now.
    #[must_use]
    pub fn prompt_tokens(&self) -> Option<Tokens> {
        changed(self.usage.prompt_tokens, self.corrected.map(|corrected| corrected.prompt_tokens))
    }

    /// Its completion tokens by now.
    #[must_use]
    pub fn completion_tokens(&self) -> Option<Tokens> {
        changed(self.usage.completion_tokens, self.corrected.map(|corrected| corrected.completion_tokens))
    }

    /// Its total tokens by now.
    #[must_use]
    pub fn total_tokens(&self) -> Option<Tokens> {
        changed(self.usage.total_tokens, self.corrected.map(|corrected| corrected.total_tokens))
    }
}

/// A count that nobody had reported is one once a correction brings it.
fn changed(count: Option<Tokens>, by: Option<i64>) -> Option<Tokens> {
    match by.filter(|by| *by != 0) {
        Some(by) => Some(Tokens::from_sum(count.unwrap_or_default().get().saturating_add(by))),
        None => count,
    }
}

/// A page of the call log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPage {
    /// Newest first.
    pub calls: Vec<CallRow>,
    /// Where the next page begins, if there is one.
    pub next: Option<CallId>,
}

/// A share of a charge, taken from one grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidBy {
    /// The grant.
    pub grant: GrantId,
    /// What kind of grant it is.
    pub kind: GrantKind,
    /// How much it paid: money, or tokens where the call was paid in tokens.
    pub quantity: Quantity,
}

/// Everything about one call: its receipt, and what the receipt rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallDetail {
    /// What the log shows.
    pub row: CallRow,
    /// The project that its key was in.
    pub project: Project,
    /// What its client said of it.
    pub attribution: Attribution,
    /// The upstream that answered.
    pub provider: String,
    /// Those that were asked before it and failed, in order. Nobody pays for them.
    pub attempts: Vec<Attempt>,
    /// The model name that the upstream answered with.
    pub upstream_model: Option<String>,
    /// The upstream's HTTP status, if it answered.
    pub http_status: Option<i32>,
    /// Of what was posted: recomputed from the counts and the price version, each time it is shown.
    pub receipt: Receipt,
    /// The price version that was priced by.
    pub price_id: PriceId,
    /// Since when that version is in force.
    pub price_effective_from: DateTime<Utc>,
    /// The service tier whose price that is.
    pub price_tier: ServiceTier,
    /// The service tier that served it, as far as was known when it was posted, else that which was asked for.
    pub service_tier: ServiceTier,
    /// The service tier that was asked for.
    pub asked_tier: ServiceTier,
    /// The most that it could cost: reserved while it ran, unless it was paid in tokens.
    pub held: Amount,
    /// The most tokens that it could take: reserved while it ran, if it was paid in tokens.
    pub tokens_held: Tokens,
    /// Who bears what it costs beyond that.
    pub excess: Excess,
    /// What of its price exceeds that: not charged. See [`crate::pricing::charge`].
    pub written_off: Amount,
    /// Who paid. Empty when nothing was charged.
    pub paid_by: Vec<PaidBy>,
    /// When the charge was posted: it is in the journal's usage of that hour.
    pub posted_at: DateTime<Utc>,
    /// Whether that hour is open still: it gets its posting when it has ended.
    pub hour_is_open: bool,
    /// The `usage` object as the upstream sent it; without what it said of cost, where that was taken out of the answer, too.
    pub raw_usage: Option<String>,
    /// What was changed since, oldest first.
    pub corrections: Vec<Correction>,
}

impl CallDetail {
    /// What it is paid in.
    #[must_use]
    pub const fn paid_in(&self) -> Unit {
        if self.row.tokens_paid.is_some() { Unit::Tokens } else { Unit::Money }
    }

    /// What was paid for it, as it was posted, in what it is paid in.
    #[must_use]
    pub fn paid(&self) -> Quantity {
        self.row.tokens_paid.map_or_else(|| self.row.amount.into(), Quantity::from)
    }

    /// What is paid for it by now, its corrections included.
    #[must_use]
    pub fn cost(&self) -> Quantity {
        match self.row.tokens_paid {
            None => self.row.cost().into(),
            Some(tokens) => {
                let corrected = self.corrections.iter().filter_map(|correction| correction.tokens_paid);
                Quantity::from_count(corrected.fold(tokens.get(), i64::saturating_add))
            }
        }
    }

    /// What it was counted at and came to as it was posted.
    #[must_use]
    pub fn first(&self) -> Reckoning {
        Reckoning {
            source: self.row.source,
            usage: self.row.usage,
            receipt: self.receipt.clone(),
            price_id: self.price_id,
            price_effective_from: self.price_effective_from,
            price_tier: self.price_tier,
            service_tier: self.service_tier,
            upstream_model: self.upstream_model.clone(),
            raw_usage: self.raw_usage.clone(),
            amount: self.row.amount,
            tokens: self.row.tokens_paid,
            written_off: self.written_off,
        }
    }

    /// What its settlement brought later, of one that was posted as interrupted.
    #[must_use]
    pub fn late(&self) -> Option<&Reckoning> {
        self.corrections.iter().rev().find_map(|correction| correction.late.as_ref())
    }
}
