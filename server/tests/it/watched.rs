//! What a server tells whoever watches it.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    net::TcpListener,
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    commands::{add_customer, add_model, add_model_of},
    farebox::Place,
    http::ask,
    life::wait_until,
    upstream,
};

/// Of what has not happened where one call went well, two were refused and three reached nobody, there is no series.
const HAVE_NOT_HAPPENED: [&str; 2] = ["farebox_fallbacks_total", "farebox_upstream_refusals_total"];

/// An address of this machine where nobody listens.
fn nobodys() -> String {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").to_string()
}

fn scrape(address: &str) -> String {
    ask(address, "/metrics", "", None).expect("the metrics answer").text()
}

/// What Prometheus' own tool has against it, where it is installed (Debian calls the package `prometheus`).
fn expect_promtool_is_silent(scrape: &str) {
    let started = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut promtool) = started else { return eprintln!("promtool is not there") };
    promtool.stdin.take().expect("its input").write_all(scrape.as_bytes()).expect("it reads");
    let said = promtool.wait_with_output().expect("it ends");
    assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn a_scrape_under_traffic_is_sound_and_names_nobody() {
    let place = Place::new();
    place.json(&["migrate"], "");
    add_model(&place, &upstream::start());
    let key = add_customer(&place)["key"].as_str().expect("the key").to_owned();
    add_model_of(&place, "away", &format!("http://{}/v1", nobodys()), "large");
    let free = nobodys();
    let server = place.serve_logged(&["--only", "proxy", "--metrics-addr", &free]);
    let url = server.said("/proxy_url");
    let call = |key: &str, model: &str| {
        let body = json!({ "model": model, "user": "somebody", "messages": [{ "role": "user", "content": "a prompt" }] });
        ask(url, "/v1/chat/completions", key, Some(&body)).expect("the proxy answers")
    };
    assert_eq!(call(&key, "small").status, 200);
    assert_eq!((call("sk-fb_nobody", "small").status, call(&key, "made-up").status), (401, 404));
    for _ in 0..3 {
        assert_eq!(call(&key, "large").status, 502);
    }
    wait_until(|| scrape(&free).contains("farebox_posted_calls_total 4\n"));

    let said = scrape(&free);
    for line in [
        r#"farebox_calls_total{operation="chat",provider="acme",model="small",outcome="ok"} 1"#,
        r#"farebox_tokens_total{provider="acme",model="small",bucket="output"} 500"#,
        r#"farebox_charged_nanos_total{provider="acme",model="small"} 450000"#,
        r#"farebox_refusals_total{code="invalid_api_key"} 1"#,
        r#"farebox_refusals_total{code="model_not_found"} 1"#,
        r#"farebox_provider_warnings_total{provider="away",reason="unreachable"} 3"#,
        r#"farebox_posting_lag_seconds_count 4"#,
        r#"farebox_first_byte_seconds_bucket{operation="chat",provider="acme",model="small",outcome="ok",le="+Inf"} 1"#,
    ] {
        assert!(said.lines().any(|told| told == line), "{line} is not in\n{said}");
    }
    for nobodys in ["nobody", "made-up", "somebody", "a prompt", "Example", key.as_str()] {
        assert!(!said.contains(nobodys), "{nobodys}: {said}");
    }
    let listed = place.json(&["metrics", "list"], "");
    let listed: BTreeSet<_> = listed.as_array().expect("a list").iter().filter_map(|metric| metric["name"].as_str()).collect();
    let told: BTreeSet<_> = said.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let shown: BTreeSet<_> = told.iter().copied().chain(HAVE_NOT_HAPPENED).collect();
    assert_eq!(shown, listed, "what is listed, and shown on the dashboard, is really told");
    assert!(HAVE_NOT_HAPPENED.iter().all(|name| !told.contains(name)), "{told:?}");
    expect_promtool_is_silent(&said);
    assert!(server.process.stop(Signal::SIGTERM).success());
    let log = place.log();
    assert_eq!(log.matches("the upstream could not be reached").count(), 1, "of three calls the log says it once: {log}");
}

/// That Prometheus' own tool can read what the dashboard asks, where it is installed.
fn expect_promtool_reads(dashboard: &Value, place: &Place) {
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let rules: Vec<_> =
        targets.enumerate().map(|(number, target)| json!({ "record": format!("query:{number}"), "expr": chosen(target) })).collect();
    assert!(rules.len() > 30, "{}", rules.len());
    // All JSON is YAML.
    let (file, groups) = (place.folder().join("rules.yml"), json!({ "groups": [{ "name": "dashboard", "rules": rules }] }));
    fs::write(&file, groups.to_string()).expect("the folder is ours");
    let Ok(said) = Command::new("promtool").args(["check", "rules"]).arg(file).output() else { return eprintln!("promtool is not there") };
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// What is asked, as Grafana asks it when everything is chosen.
fn chosen(target: &Value) -> String {
    let expression = target["expr"].as_str().expect("a query");
    let expression = expression.replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$model", ".*");
    assert!(!expression.contains('$'), "{expression}");
    expression
}

#[test]
fn the_dashboard_needs_no_server() {
    let place = Place::new();
    let dashboard = place.json(&["metrics", "dashboard"], "");
    assert_eq!(dashboard["uid"], "farebox");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 20), "{dashboard}");
    expect_promtool_reads(&dashboard, &place);
    assert!(place.is_quiet());
}
