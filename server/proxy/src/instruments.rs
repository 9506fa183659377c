//! Every metric of a proxy: its name, what it counts, and what its series are told apart by.
//!
//! Where OpenTelemetry's conventions for generative AI have a name (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>) it is theirs, as
//! Prometheus spells it (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>); the others begin with `farebox_`. No label
//! names a customer, a user, a key or anything that a client sends: a model and a provider are those of the catalog, so that there are no more series than
//! it has entries.

mod instrument;
pub(crate) mod meters;
pub(crate) mod posting;
pub(crate) mod refusals;

pub use self::instrument::{Instrument, Kind};
use self::instrument::{counter, gauge, histogram};

/// The operation, the provider and the model as OpenTelemetry calls them, as far as every one of its metrics has them.
const OF_GEN_AI: [&str; 3] = ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"];
const PER_ENTRY: &[&str] = &["provider", "model"];
const PER_OUTCOME: &[&str] = &["operation", "provider", "model", "outcome"];

/// What OpenTelemetry advises for a call's duration, and half as much again for models that think for minutes.
const DURATIONS_S: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68];
/// What it advises for the first token.
const FIRST_S: &[f64] = &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// What it advises for tokens, up to what a window holds today.
const TOKENS: &[f64] = &[1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0];
/// From what posting takes on a quiet day to a database that was away over night.
const LAGS_S: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3_600.0, 36_000.0];

pub(crate) static OPERATION_DURATION: Instrument = histogram(
    "gen_ai_client_operation_duration_seconds",
    "seconds",
    "From a call's admission to the end of its answer; error_type is how it ended, where that is not well.",
    &[OF_GEN_AI[0], OF_GEN_AI[1], OF_GEN_AI[2], "error_type"],
    DURATIONS_S,
);
pub(crate) static TOKEN_USAGE: Instrument = histogram(
    "gen_ai_client_token_usage",
    "tokens",
    "Tokens of a call's prompt (input) and of its completion (output).",
    &[OF_GEN_AI[0], OF_GEN_AI[1], OF_GEN_AI[2], "gen_ai_token_type"],
    TOKENS,
);
pub(crate) static TIME_TO_FIRST_TOKEN: Instrument = histogram(
    "gen_ai_server_time_to_first_token_seconds",
    "seconds",
    "From a call's admission to the first piece of its answer, of streams that ended well.",
    &OF_GEN_AI,
    FIRST_S,
);
pub(crate) static FIRST_BYTE: Instrument = histogram(
    "farebox_first_byte_seconds",
    "seconds",
    "From a call's admission to the first byte of its answer's body, of every call that has one.",
    PER_OUTCOME,
    DURATIONS_S,
);
pub(crate) static CALLS: Instrument = counter("farebox_calls_total", "calls", "Calls that were forwarded and have ended.", PER_OUTCOME);
pub(crate) static TOKENS_USED: Instrument =
    counter("farebox_tokens_total", "tokens", "Tokens that calls used, each in one bucket.", &["provider", "model", "bucket"]);
pub(crate) static CHARGED: Instrument =
    counter("farebox_charged_nanos_total", "nanos", "What calls cost that are paid in money, in billionths of the currency.", PER_ENTRY);
pub(crate) static ESTIMATED: Instrument = counter(
    "farebox_estimated_calls_total",
    "calls",
    "Calls whose usage was estimated, since their upstream did not report all of it.",
    PER_ENTRY,
);
pub(crate) static WRITTEN_OFF_CALLS: Instrument =
    counter("farebox_written_off_calls_total", "calls", "Calls that came to more than was held for them, in money or tokens.", PER_ENTRY);
pub(crate) static WRITTEN_OFF: Instrument = counter(
    "farebox_written_off_nanos_total",
    "nanos",
    "What calls came to over what was held for them, which the operator bears, in billionths of the currency.",
    PER_ENTRY,
);
pub(crate) static REFUSALS: Instrument =
    counter("farebox_refusals_total", "requests", "Requests that were refused, by the code that their client was told.", &["code"]);
pub(crate) static UPSTREAM_REFUSALS: Instrument = counter(
    "farebox_upstream_refusals_total",
    "calls",
    "Calls that an upstream refused for what it has against the operator.",
    &["provider", "reason"],
);
pub(crate) static PROVIDER_WARNINGS: Instrument = counter(
    "farebox_provider_warnings_total",
    "calls",
    "What calls found amiss at a provider; the log says the same of a model once a minute.",
    &["provider", "reason"],
);
pub(crate) static FALLBACKS: Instrument = counter(
    "farebox_fallbacks_total",
    "calls",
    "Calls that went on from this provider to another, which it cost nobody anything: why it was given up, or ejected where it was not even asked.",
    &["provider", "reason"],
);
pub(crate) static PROVIDER_EJECTED: Instrument = gauge(
    "farebox_provider_ejected",
    "",
    "1 where a provider keeps failing, so that calls that another can answer pass it over, else 0.",
    &["provider"],
);
pub(crate) static RUNNING_CALLS: Instrument = gauge("farebox_running_calls", "calls", "Calls that have begun and are not settled.", &[]);

pub(crate) static POSTED: Instrument = counter("farebox_posted_calls_total", "calls", "Calls that were posted to the books.", &[]);
pub(crate) static POSTING_LAG: Instrument =
    histogram("farebox_posting_lag_seconds", "seconds", "From a call's settlement in the spool to the books.", &[], LAGS_S);
pub(crate) static SPOOL_UNPOSTED: Instrument =
    gauge("farebox_spool_unposted_calls", "calls", "Settled calls in the spool that are not posted.", &[]);
pub(crate) static SPOOL_OLDEST: Instrument = gauge(
    "farebox_spool_oldest_unposted_seconds",
    "seconds",
    "How long ago the first call began that is settled and not posted, at most; 0 where all are posted.",
    &[],
);
pub(crate) static SPOOL_BYTES: Instrument =
    gauge("farebox_spool_bytes", "bytes", "What the spool's segments take on disk that hold what is not posted, or will.", &[]);
pub(crate) static SPOOL_DAMAGED: Instrument =
    gauge("farebox_spool_damaged_records", "records", "Records of the spool that could not be read and are set aside.", &[]);
pub(crate) static SPOOL_FULL: Instrument =
    gauge("farebox_spool_is_full", "", "1 where calls are refused since the spool has no room or cannot be written, else 0.", &[]);

pub(crate) static LEASE_FREE: Instrument = gauge(
    "farebox_lease_free",
    "unit",
    "What this proxy has leased and no call holds: nanos (billionths of the currency), tokens, requests.",
    &["unit"],
);
pub(crate) static LEASE_HELD: Instrument = gauge(
    "farebox_lease_held",
    "unit",
    "What running calls hold of what is leased: nanos (billionths of the currency), tokens, requests.",
    &["unit"],
);
pub(crate) static LEASE_ACCOUNTS: Instrument = gauge("farebox_lease_accounts", "accounts", "Accounts of which something is leased.", &[]);
pub(crate) static LEASE_CHANGES: Instrument =
    counter("farebox_lease_changes_total", "changes", "Changes of leases that were sent to the database.", &[]);
pub(crate) static LEASE_REFUSALS: Instrument =
    counter("farebox_lease_refusals_total", "changes", "Asks for more that the database refused, since there was no more.", &[]);

/// All of them.
pub static INSTRUMENTS: [&Instrument; 28] = [
    &OPERATION_DURATION,
    &TOKEN_USAGE,
    &TIME_TO_FIRST_TOKEN,
    &FIRST_BYTE,
    &CALLS,
    &TOKENS_USED,
    &CHARGED,
    &ESTIMATED,
    &WRITTEN_OFF_CALLS,
    &WRITTEN_OFF,
    &REFUSALS,
    &UPSTREAM_REFUSALS,
    &PROVIDER_WARNINGS,
    &FALLBACKS,
    &PROVIDER_EJECTED,
    &RUNNING_CALLS,
    &POSTED,
    &POSTING_LAG,
    &SPOOL_UNPOSTED,
    &SPOOL_OLDEST,
    &SPOOL_BYTES,
    &SPOOL_DAMAGED,
    &SPOOL_FULL,
    &LEASE_FREE,
    &LEASE_HELD,
    &LEASE_ACCOUNTS,
    &LEASE_CHANGES,
    &LEASE_REFUSALS,
];

/// Tells the recorder what each is. That is done once, when it is installed and before anything is counted.
pub fn describe() {
    INSTRUMENTS.into_iter().for_each(Instrument::describe);
}

/// A count as a gauge has it. What does not fit is more than there is.
pub(crate) fn gauged(count: impl TryInto<i64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is for people, and exact up to nine million billion")]
    let count = count.try_into().unwrap_or(i64::MAX) as f64;
    count
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_says_what_is_counted_as_prometheus_wants_it() {
        for Instrument { name, kind, unit, help, labels } in INSTRUMENTS {
            assert_eq!(name.ends_with("_total"), matches!(kind, Kind::Counter), "{name}: a counter, and nothing else, is a total");
            assert!(name.starts_with("farebox_") || name.starts_with("gen_ai_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            // What people measure in other units as well says so in its name.
            let says_its_unit = !matches!(*unit, "seconds" | "bytes" | "nanos") || name.trim_end_matches("_total").ends_with(unit);
            assert!(says_its_unit && !["milliseconds", "mebibytes"].iter().any(|derived| name.contains(derived)), "{name}: {unit}");
            assert!(help.ends_with('.') && !help.contains('\n'), "{name}: {help}");
            assert!(!labels.iter().any(|label| matches!(*label, "le" | "quantile" | "job" | "instance")), "{name}: {labels:?}");
        }
    }

    #[test]
    fn no_label_names_anybody() {
        let known = ["bucket", "code", "error_type", "gen_ai_token_type", "model", "operation", "outcome", "provider", "reason", "unit"];
        let known: BTreeSet<_> = known.into_iter().chain(OF_GEN_AI).collect();
        let used: BTreeSet<_> = INSTRUMENTS.into_iter().flat_map(|instrument| instrument.labels).copied().collect();
        assert_eq!(used, known);
    }

    #[test]
    fn each_has_one_name_and_each_name_is_of_one() {
        let names: BTreeSet<_> = INSTRUMENTS.into_iter().map(|instrument| instrument.name).collect();
        assert_eq!(names.len(), INSTRUMENTS.len());
    }
}
