//! Starting, being killed, starting again, stopping.

use std::{
    fs,
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    farebox::{PATIENCE, Place, Process},
    http::{Answer, ask},
};

fn chat(ready: &Value, model: &str, stream: bool) -> std::io::Result<Answer> {
    let said = |name: &str| ready.pointer(name).and_then(Value::as_str).expect("the ready file says it");
    let body = json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "Tell me about long prompts" }] });
    ask(said("/proxy_url"), "/v1/chat/completions", said("/customer/key"), Some(&body))
}

#[test]
fn killed_under_load_it_comes_up_by_itself_and_every_figure_holds() {
    let place = Place::new();
    let server = place.serve(&["--demo"]);
    assert_eq!(ask(server.said("/console_url"), "/readyz", "", None).expect("the console answers").status, 200);
    let answer = chat(&server.ready, "demo-mini", false).expect("the proxy answers");
    assert_eq!(answer.status, 200);
    assert!(answer.json()["usage"]["completion_tokens"].as_i64() > Some(0));

    // Eight streams are in their middle when the process dies.
    let (sender, begun) = channel();
    thread::scope(|scope| {
        for _ in 0..8 {
            let (sender, ready) = (sender.clone(), &server.ready);
            scope.spawn(move || {
                let mut answer = chat(ready, "demo-large", true).expect("the proxy answers");
                for _ in 0..5 {
                    answer.line().expect("the stream has begun");
                }
                sender.send(()).expect("the test waits for it");
                drop(answer.text());
            });
        }
        drop(sender);
        for _ in 0..8 {
            begun.recv().expect("every stream begins");
        }
        kill(server.process.pid(), Signal::SIGKILL).expect("it runs");
    });
    let before = server.ready.clone();
    server.process.kill();
    assert!(!place.is_quiet(), "its PostgreSQL outlives it");

    let server = place.serve(&["--demo"]);
    assert_eq!(server.ready["customer"], before["customer"], "sign-ins and keys outlive it too");
    assert_eq!(server.ready["database_url"], before["database_url"], "the cluster that was left running is joined");
    assert_eq!(place.verify(), Vec::<Value>::new());
    let reserved = || place.json(&["account", "show", server.said("/customer/email")], "")["balance"]["reserved"].clone();
    wait_until(|| reserved() == "0"); // the calls that were cut off are settled
    assert_eq!(chat(&server.ready, "demo-mini", true).expect("the proxy answers").status, 200);

    let ready_file = place.folder().join("ready.json");
    let (code, said) = place.refusal(&["serve", "--demo", "--ready-file", &ready_file.to_string_lossy()]);
    assert_eq!(code, Some(1));
    assert!(said.contains("another farebox serves the data folder"), "{said}");
    let still: Value = serde_json::from_slice(&fs::read(&ready_file).expect("it is still there")).expect("and whole");
    assert_eq!(still, server.ready, "the ready file of the server that runs is left alone");

    assert!(server.process.stop(Signal::SIGTERM).success());
    assert!(place.is_quiet(), "stopped in order, it leaves no PostgreSQL behind");
    assert!(fs::read(ready_file).unwrap_or_default().is_empty(), "it does not say any more that it answers");

    // Its customers' made-up credit is not to be spent at a real provider.
    let (code, said) = place.refusal(&["serve"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("this database holds a demo"), "{said}");
}

#[test]
fn a_machine_that_lost_its_power_comes_up_by_itself() {
    let place = Place::new();
    let server = place.serve(&["--only", "proxy"]);
    let postmaster = postmaster(&place);
    server.process.kill();
    kill(postmaster, Signal::SIGKILL).expect("it runs");
    assert!(!place.is_quiet(), "what it left behind says that it runs");

    let server = place.serve(&["--only", "proxy"]);
    assert_eq!(ask(server.said("/proxy_url"), "/readyz", "", None).expect("the proxy answers").status, 200);
    assert_eq!(place.verify(), Vec::<Value>::new());
    assert!(server.process.stop(Signal::SIGTERM).success());
    assert!(place.is_quiet());
}

#[test]
fn a_postgresql_that_dies_under_a_server_is_started_again() {
    let place = Place::new();
    let server = place.serve(&["--only", "proxy"]);
    let before = postmaster(&place);
    kill(before, Signal::SIGKILL).expect("it runs");
    wait_until(|| fs::read_to_string(place.postmaster_pid()).is_ok_and(|text| text.lines().next() != Some(&before.to_string())));
    wait_until(|| ask(server.said("/proxy_url"), "/readyz", "", None).is_ok_and(|answer| answer.status == 200));
    assert!(server.process.stop(Signal::SIGTERM).success());
    assert!(place.is_quiet());
}

/// The server process of a place's cluster.
pub(crate) fn postmaster(place: &Place) -> Pid {
    let text = fs::read_to_string(place.postmaster_pid()).expect("the cluster runs");
    Pid::from_raw(text.lines().next().and_then(|line| line.parse().ok()).expect("its process id"))
}

pub(crate) fn wait_until(it_is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !it_is_so() {
        assert!(Instant::now() < deadline, "it takes too long");
        thread::park_timeout(Duration::from_millis(100));
    }
}

#[test]
fn the_demo_refuses_real_data() {
    let customer = ["account", "create", "Real", "--email", "real@example.com", "--password-env", "SECRET"];
    let operator = ["admin", "create", "operator@example.com", "--password-env", "SECRET"];
    for real in [&customer[..], &operator[..]] {
        let place = Place::new();
        place.json(real, "a long password");
        let (code, said) = place.refusal(&["serve", "--demo"]);
        assert_eq!(code, Some(1));
        assert!(said.contains("--demo refuses this database"), "{said}");
        assert!(place.is_quiet());
    }
}

#[test]
fn each_part_runs_alone() {
    let place = Place::new();
    let server = place.serve(&["--only", "proxy"]);
    assert!(server.ready.get("console_url").is_none() && server.ready.get("customer").is_none());
    assert_eq!(ask(server.said("/proxy_url"), "/readyz", "", None).expect("the proxy answers").status, 200);
    assert!(server.process.stop(Signal::SIGINT).success());

    let server = place.serve(&["--only", "console", "--console-url", "https://console.example.com/"]);
    assert!(server.ready.get("proxy_url").is_none());
    assert_eq!(server.said("/console_url"), "https://console.example.com");
    assert!(server.process.stop(Signal::SIGINT).success());
}

#[test]
fn the_cluster_runs_alone_until_it_is_told_to_stop() {
    let place = Place::new();
    let process = Process::start(place.command(&["postgres"]));
    let url = process.wait_for_line(|line| line.starts_with("postgres://"));
    // A subcommand joins it, and leaves it running.
    place.json(&["migrate"], "");
    assert!(!place.is_quiet());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.expect("the printed address works");
        sqlx::query("create database another").execute(&mut connection).await.expect("its role may create databases");
    });
    assert!(process.stop(Signal::SIGTERM).success());
    assert!(place.is_quiet());
}
