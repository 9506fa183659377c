//! What is asked of Prometheus (<https://prometheus.io/docs/prometheus/latest/querying/basics/>), by the choices at the top of the dashboard.

/// Of the proxies that are chosen.
pub(super) const ALL: &str = r#"instance=~"$instance""#;
/// And of the models.
pub(super) const OF_MODEL: &str = r#"instance=~"$instance", model=~"$model""#;
/// The same, as OpenTelemetry's metrics call it.
pub(super) const GEN_AI: &str = r#"instance=~"$instance", gen_ai_request_model=~"$model""#;

/// Of those the ones of which this is so, too.
pub(super) fn and(chosen: &str, more: &str) -> String {
    format!("{chosen}, {more}")
}

pub(super) fn per_second(counter: &str, by: &str, chosen: &str) -> String {
    format!("sum by ({by}) (rate({counter}{{{chosen}}}[$__rate_interval]))")
}

pub(super) fn quantile(quantile: &str, histogram: &str, by: &str, chosen: &str) -> String {
    format!("histogram_quantile({quantile}, {})", per_second(&format!("{histogram}_bucket"), by, chosen))
}

/// The median, and what the slow ones take.
pub(super) fn quantiles(histogram: &str, chosen: &str) -> [(String, &'static str); 3] {
    [("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99")].map(|(of, name)| (quantile(of, histogram, "le", chosen), name))
}

/// Of each proxy.
pub(super) fn summed(gauge: &str, chosen: &str) -> String {
    format!("sum by (instance) ({gauge}{{{chosen}}})")
}

/// Of each proxy.
pub(super) fn worst(gauge: &str, chosen: &str) -> String {
    format!("max by (instance) ({gauge}{{{chosen}}})")
}
