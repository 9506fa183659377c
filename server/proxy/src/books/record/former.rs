//! What earlier versions wrote, in the order of their fields.

use domain::{
    call::{Outcome, UsageSource},
    money::Amount,
    tokens::CallUsage,
};
use ledger::Admitted;
use serde::Deserialize;

/// A settlement of version 2.
#[derive(Deserialize)]
pub(super) struct SettledCall {
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

impl From<SettledCall> for ledger::SettledCall {
    fn from(former: SettledCall) -> Self {
        Self {
            admitted: former.admitted,
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
        }
    }
}
