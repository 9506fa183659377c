//! Starting, being killed, starting again, stopping.

use std::{net::TcpListener, sync::mpsc::channel, thread};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    farebox::{Place, Process},
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
        for _ in 0..8 {
            begun.recv().expect("every stream begins");
        }
        nix::sys::signal::kill(server.process.pid(), Signal::SIGKILL).expect("it runs");
    });
    let before = server.ready.clone();
    server.process.kill();
    assert!(!place.is_quiet(), "its PostgreSQL outlives it");

    let server = place.serve(&["--demo"]);
    assert_eq!(server.ready["customer"], before["customer"], "sign-ins and keys outlive it too");
    assert_eq!(server.ready["database_url"], before["database_url"], "the cluster that was left running is joined");
    assert_eq!(place.verify(), Vec::<Value>::new());
    let account = place.json(&["account", "show", server.said("/customer/email")], "");
    assert_eq!(account["balance"]["reserved"], "0", "the calls that were cut off are settled");
    assert_eq!(chat(&server.ready, "demo-mini", true).expect("the proxy answers").status, 200);

    let (code, said) = place.refusal(&["serve", "--demo"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("another farebox serves the data folder"), "{said}");

    assert!(server.process.stop(Signal::SIGTERM).success());
    assert!(place.is_quiet(), "stopped in order, it leaves no PostgreSQL behind");
    let ready_file = std::fs::read(place.folder().join("ready.json")).unwrap_or_default();
    assert!(ready_file.is_empty(), "it does not say any more that it answers");

    // Its customers' made-up credit is not to be spent at a real provider.
    let (code, said) = place.refusal(&["serve"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("this database holds a demo"), "{said}");
}

#[test]
fn a_machine_that_lost_its_power_comes_up_by_itself() {
    let place = Place::new();
    let server = place.serve(&["--only", "proxy"]);
    let lock = place.data().join("postgres/data/postmaster.pid");
    let postmaster: i32 = std::fs::read_to_string(&lock).ok().and_then(|lock| lock.lines().next()?.parse().ok()).expect("its process id");
    server.process.kill();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(postmaster), Signal::SIGKILL).expect("it runs");
    assert!(lock.exists(), "what it left behind says that it runs");

    let server = place.serve(&["--only", "proxy"]);
    assert_eq!(ask(server.said("/proxy_url"), "/readyz", "", None).expect("the proxy answers").status, 200);
    assert_eq!(place.verify(), Vec::<Value>::new());
    assert!(server.process.stop(Signal::SIGTERM).success());
    assert!(place.is_quiet());
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
fn what_is_counted_can_be_watched_and_names_nobody() {
    let place = Place::new();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").to_string();
    let server = place.serve(&["--only", "proxy", "--metrics-addr", &free]);
    assert_eq!(ask(server.said("/proxy_url"), "/v1/models", "sk-fb_nobody", None).expect("the proxy answers").status, 401);
    let metrics = ask(&free, "/metrics", "", None).expect("the metrics answer").text();
    assert!(metrics.contains("farebox_refusals_total{code=\"invalid_api_key\"} 1"), "{metrics}");
    assert!(!metrics.contains("nobody"), "{metrics}");
    assert!(server.process.stop(Signal::SIGTERM).success());
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
