//! What the proxy counts, in Prometheus' text format, on a listener of its own: how busy a gateway is concerns its operator alone.

use std::time::Duration;

use anyhow::Context;
use axum::{Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{net::TcpListener, time::interval};
use tokio_util::sync::CancellationToken;

use crate::http;

/// What OpenTelemetry's conventions for generative AI advise for `gen_ai.client.operation.duration`, in seconds.
const DURATIONS_S: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// What was recorded since is put into its buckets this often, whether anybody asks or not.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Connections of whoever asks at once.
const SCRAPERS_MAX: usize = 32;

/// Begins to record. Without it, counting costs nothing and is forgotten.
pub(crate) fn record() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("duration".to_owned()), &DURATIONS_S)
        .and_then(PrometheusBuilder::install_recorder)
        .context("cannot record metrics")
}

/// Answers `GET /metrics` until it is told to stop.
pub(crate) async fn serve(listener: TcpListener, recorded: PrometheusHandle, stop: &CancellationToken) {
    let router = Router::new().route("/metrics", get(metrics)).with_state(recorded.clone());
    let upkeep = async {
        let mut times = interval(UPKEEP_EVERY);
        loop {
            times.tick().await;
            recorded.run_upkeep();
        }
    };
    tokio::select! {
        // Whoever is in the middle of asking will ask again: no scraper keeps the process from ending.
        () = http::serve(listener, router, SCRAPERS_MAX, stop, Duration::ZERO) => {}
        () = upkeep => {}
    }
}

async fn metrics(State(recorded): State<PrometheusHandle>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], recorded.render())
}
