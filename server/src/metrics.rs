//! What the proxy counts, in Prometheus' text format, on a listener of its own: how busy a gateway is concerns its operator alone.

use std::time::Duration;

use anyhow::Context;
use axum::{Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use proxy::{INSTRUMENTS, Instrument, Kind};
use tokio::{net::TcpListener, time::interval};
use tokio_util::sync::CancellationToken;

use crate::http;

/// What was recorded since is put into its buckets this often, whether anybody asks or not.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Connections of whoever asks at once.
const SCRAPERS_MAX: usize = 32;

/// Begins to record. Without it, counting costs nothing and is forgotten.
pub(crate) fn record() -> anyhow::Result<PrometheusHandle> {
    let mut recorder = PrometheusBuilder::new();
    for Instrument { name, kind, .. } in INSTRUMENTS {
        if let Kind::Histogram(buckets) = kind {
            recorder = recorder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)?;
        }
    }
    let recorded = recorder.install_recorder().context("cannot record metrics")?;
    proxy::describe();
    Ok(recorded)
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
