//! Calls that nobody saw end.

use domain::{
    call::{Outcome, UsageSource},
    money::Amount,
    pricing,
    rates::Rates,
    tokens::CallUsage,
};
use ledger::{Admitted, SettledCall};

/// The settlement of a call whose proxy died in the middle of it: its prompt, as it was estimated before. What was delivered nobody knows any more.
#[must_use]
pub(crate) fn settlement(admitted: Admitted, rates: &Rates, latency_ms: i64) -> SettledCall {
    let usage = CallUsage::of_totals(Some(admitted.input_estimate), None, None);
    let charge = pricing::charge(&usage, rates, admitted.discount, admitted.held, admitted.excess);
    SettledCall {
        admitted,
        upstream_model: None,
        outcome: Outcome::Interrupted,
        source: UsageSource::Interrupted,
        usage,
        amount: charge.amount,
        written_off: charge.written_off,
        http_status: None,
        latency_ms,
        first_byte_ms: None,
        raw_usage: None,
        attempts: Vec::new(),
        served_tier: None,
    }
}

/// The same of a call that is known not to have been forwarded: it costs nothing.
#[must_use]
pub(crate) fn before_it_was_forwarded(call: SettledCall) -> SettledCall {
    SettledCall { source: UsageSource::None, usage: CallUsage::default(), amount: Amount::ZERO, written_off: Amount::ZERO, ..call }
}
