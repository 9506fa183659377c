//! What the dashboard shows.

use super::query::{ALL, GEN_AI, OF_MODEL, and, per_second, quantile, quantiles, summed, worst};

/// A chart.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    /// One of Grafana's units (<https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts>).
    pub(super) unit: &'static str,
    /// What is asked of Prometheus, and what its series are called.
    pub(super) queries: Vec<(String, &'static str)>,
}

impl Panel {
    const fn new(title: &'static str, unit: &'static str, description: &'static str) -> Self {
        Self { title, description, unit, queries: Vec::new() }
    }

    fn line(mut self, query: String, name: &'static str) -> Self {
        self.queries.push((query, name));
        self
    }

    fn lines(mut self, lines: impl IntoIterator<Item = (String, &'static str)>) -> Self {
        self.queries.extend(lines);
        self
    }
}

/// A model, where one metric has several.
const ENTRY: &str = "{{model}} at {{provider}}";
const PER_ENTRY: &str = "provider, model";
const INSTANCE: &str = "{{instance}}";

/// By their titles.
pub(super) fn sections() -> [(&'static str, Vec<Panel>); 7] {
    [
        ("Traffic", traffic()),
        ("Latency", latency()),
        ("Tokens and money", tokens_and_money()),
        ("Refusals", refusals()),
        ("Leases", leases()),
        ("Spool and posting", spool_and_posting()),
        ("Estimates and losses", losses()),
    ]
}

fn traffic() -> Vec<Panel> {
    vec![
        Panel::new("Calls by outcome", "reqps", "Calls that were forwarded and have ended.")
            .line(per_second("farebox_calls_total", "outcome", OF_MODEL), "{{outcome}}"),
        Panel::new("Calls by model", "reqps", "Calls that were forwarded and have ended.")
            .line(per_second("farebox_calls_total", PER_ENTRY, OF_MODEL), ENTRY),
        Panel::new("Running calls", "short", "Calls that have begun and are not settled.")
            .line(summed("farebox_running_calls", ALL), INSTANCE),
    ]
}

fn latency() -> Vec<Panel> {
    let (ok, operation) = (and(OF_MODEL, r#"outcome="ok""#), "le, gen_ai_provider_name, gen_ai_request_model");
    vec![
        Panel::new("Whole calls", "s", "From admission to the end of the answer, however it ended.")
            .lines(quantiles("gen_ai_client_operation_duration_seconds", GEN_AI)),
        Panel::new("First byte", "s", "From admission to the first byte of the answer's body, of calls that ended well.")
            .lines(quantiles("farebox_first_byte_seconds", &ok)),
        Panel::new("First token by model, p95", "s", "From admission to the first piece, of streams that ended well.").line(
            quantile("0.95", "gen_ai_server_time_to_first_token_seconds", operation, GEN_AI),
            "{{gen_ai_request_model}} at {{gen_ai_provider_name}}",
        ),
    ]
}

fn tokens_and_money() -> Vec<Panel> {
    vec![
        Panel::new("Tokens by bucket", "short", "Tokens a second, each in the bucket that has a price.")
            .line(per_second("farebox_tokens_total", "bucket", OF_MODEL), "{{bucket}}"),
        Panel::new("Tokens of a call, p95", "short", "Of its prompt (input) and of its completion (output).")
            .line(quantile("0.95", "gen_ai_client_token_usage", "le, gen_ai_token_type", GEN_AI), "{{gen_ai_token_type}}"),
        Panel::new("Charged an hour", "short", "In the currency, at the pace of each moment; without what tokens pay.")
            .line(an_hour("farebox_charged_nanos_total"), ENTRY),
    ]
}

fn refusals() -> Vec<Panel> {
    let failed = and(OF_MODEL, r#"outcome="upstream_error""#);
    vec![
        Panel::new("Refused requests", "reqps", "By the code that the client was told.")
            .line(per_second("farebox_refusals_total", "code", ALL), "{{code}}"),
        Panel::new(
            "What upstreams have against the operator",
            "reqps",
            "The credential, the credit there, or what metering asks for: to be mended.",
        )
        .line(per_second("farebox_upstream_refusals_total", "provider, reason", ALL), "{{reason}} at {{provider}}"),
        Panel::new("What is amiss at providers", "reqps", "What the log tells of once a minute, however many calls it was.")
            .line(per_second("farebox_provider_warnings_total", "provider, reason", ALL), "{{reason}} at {{provider}}"),
        Panel::new(
            "Calls that went on to another provider",
            "reqps",
            "From this one, which they cost nobody anything: why it was given up.",
        )
        .line(per_second("farebox_fallbacks_total", "provider, reason", ALL), "{{reason}} at {{provider}}"),
        Panel::new("Providers that are passed over", "short", "Those that keep failing, until a probe succeeds: 1 on any proxy.")
            .line(format!("max by (provider) (farebox_provider_ejected{{{ALL}}})"), "{{provider}}"),
        Panel::new("Calls that an upstream failed", "percentunit", "Their share of a provider's calls.").line(
            share(&per_second("farebox_calls_total", "provider", &failed), &per_second("farebox_calls_total", "provider", OF_MODEL)),
            "{{provider}}",
        ),
    ]
}

fn leases() -> Vec<Panel> {
    let money = and(ALL, r#"unit="nanos""#);
    vec![
        Panel::new("Leased money", "short", "In the currency: what no call holds, and what running calls do.")
            .line(format!("{} / 1e9", summed("farebox_lease_free", &money)), "free: {{instance}}")
            .line(format!("{} / 1e9", summed("farebox_lease_held", &money)), "held: {{instance}}"),
        Panel::new("Accounts with leases", "short", "Of which a proxy has leased something.")
            .line(summed("farebox_lease_accounts", ALL), INSTANCE),
        Panel::new("Changes of leases", "short", "A second. Asks are refused where an account or a limit has no more.")
            .line(per_second("farebox_lease_changes_total", "instance", ALL), "sent: {{instance}}")
            .line(per_second("farebox_lease_refusals_total", "instance", ALL), "refused: {{instance}}"),
    ]
}

fn spool_and_posting() -> Vec<Panel> {
    vec![
        Panel::new("Posting lag", "s", "From a call's settlement in the spool to the books.")
            .lines(quantiles("farebox_posting_lag_seconds", ALL)),
        Panel::new("Oldest call that is not posted", "s", "How long ago it began. It grows while the database is away.")
            .line(worst("farebox_spool_oldest_unposted_seconds", ALL), INSTANCE),
        Panel::new("Calls that are not posted", "short", "They are settled, and in the spool.")
            .line(summed("farebox_spool_unposted_calls", ALL), INSTANCE),
        Panel::new("Settled and posted", "reqps", "A gap that stays is a backlog that grows.")
            .line(per_second("farebox_calls_total", "instance", ALL), "settled: {{instance}}")
            .line(per_second("farebox_posted_calls_total", "instance", ALL), "posted: {{instance}}"),
        Panel::new("Spool on disk", "bytes", "Segments that hold what is not posted, or will.")
            .line(summed("farebox_spool_bytes", ALL), INSTANCE),
        Panel::new("Spool in trouble", "short", "Anything but zero is for the operator to look into: the log says why.")
            .line(worst("farebox_spool_is_full", ALL), "full: {{instance}}")
            .line(worst("farebox_spool_damaged_records", ALL), "damaged records: {{instance}}"),
    ]
}

fn losses() -> Vec<Panel> {
    vec![
        Panel::new(
            "Calls whose usage was estimated",
            "percentunit",
            "Their share of a model's calls: the upstream did not report all of it.",
        )
        .line(
            share(
                &per_second("farebox_estimated_calls_total", PER_ENTRY, OF_MODEL),
                &per_second("farebox_calls_total", PER_ENTRY, OF_MODEL),
            ),
            ENTRY,
        ),
        Panel::new("Calls over what was held", "reqps", "To be mended: a model's bounds, or an upstream that cannot count.")
            .line(per_second("farebox_written_off_calls_total", PER_ENTRY, OF_MODEL), ENTRY),
        Panel::new("Written off an hour", "short", "In the currency, at the pace of each moment: the operator bears it.")
            .line(an_hour("farebox_written_off_nanos_total"), ENTRY),
    ]
}

/// Money, in the currency.
fn an_hour(nanos: &str) -> String {
    format!("{} * 3600 / 1e9", per_second(nanos, PER_ENTRY, OF_MODEL))
}

fn share(part: &str, whole: &str) -> String {
    format!("{part} / {whole}")
}
