//! What earlier versions wrote, in the order of their fields.

use domain::{
    attribution::Attribution,
    call::{Attempt, Outcome, UsageSource},
    credit::Split,
    id::{AccountId, CallId, EpochId, KeyId, PriceId, ProjectId, UserId},
    money::Amount,
    pricing::{Discount, Excess},
    service_tier::ServiceTier,
    tokens::{CallUsage, Tokens},
};
use serde::Deserialize;

/// An intent of versions 2 and 3.
#[derive(Deserialize)]
pub(super) struct Admitted {
    account_id: AccountId,
    call_id: CallId,
    key_id: KeyId,
    project_id: ProjectId,
    member: Option<UserId>,
    attribution: Attribution,
    model: String,
    provider: String,
    price_id: PriceId,
    discount: Discount,
    stream: bool,
    excess: Excess,
    input_estimate: Tokens,
    held: Amount,
    tokens_held: Tokens,
    epoch: Option<EpochId>,
    split: Split,
}

/// A settlement of version 2.
#[derive(Deserialize)]
pub(super) struct WithoutAttempts {
    admitted: Admitted,
    upstream_model: Option<String>,
    outcome: Outcome,
    source: UsageSource,
    usage: CallUsage,
    amount: Amount,
    written_off: Amount,
    http_status: Option<i32>,
    latency_ms: i64,
    first_byte_ms: Option<i64>,
    raw_usage: Option<String>,
}

/// A settlement of version 3: one of version 2, and the attempts.
#[derive(Deserialize)]
pub(super) struct WithoutServiceTiers {
    settled: WithoutAttempts,
    attempts: Vec<Attempt>,
}

impl From<Admitted> for ledger::Admitted {
    fn from(former: Admitted) -> Self {
        Self {
            account_id: former.account_id,
            call_id: former.call_id,
            key_id: former.key_id,
            project_id: former.project_id,
            member: former.member,
            attribution: former.attribution,
            model: former.model,
            provider: former.provider,
            price_id: former.price_id,
            discount: former.discount,
            stream: former.stream,
            excess: former.excess,
            input_estimate: former.input_estimate,
            held: former.held,
            tokens_held: former.tokens_held,
            epoch: former.epoch,
            split: former.split,
            asked_tier: ServiceTier::Default,
        }
    }
}

impl From<WithoutAttempts> for ledger::SettledCall {
    fn from(former: WithoutAttempts) -> Self {
        Self {
            admitted: former.admitted.into(),
            upstream_model: former.upstream_model,
            outcome: former.outcome,
            source: former.source,
            usage: former.usage,
            amount: former.amount,
            written_off: former.written_off,
            http_status: former.http_status,
            latency_ms: former.latency_ms,
            first_byte_ms: former.first_byte_ms,
            raw_usage: former.raw_usage,
            attempts: Vec::new(),
            served_tier: None,
        }
    }
}

impl From<WithoutServiceTiers> for ledger::SettledCall {
    fn from(former: WithoutServiceTiers) -> Self {
        Self { attempts: former.attempts, ..former.settled.into() }
    }
}
