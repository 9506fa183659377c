//! What is on the disk when a server dies, or must end while its database is away.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    commands::{add_customer, add_model},
    database::{Elsewhere, run},
    farebox::{Place, Server},
    http::{Answer, ask},
    life::wait_until,
    upstream::{self, Gate},
};

/// What the upstream's answer costs at the price of the tests: 1,000 prompt and 500 completion tokens.
const COST: &str = "0.00045";

fn call(url: &str, key: &str) -> std::io::Result<Answer> {
    let chat = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello" }] });
    ask(url, "/v1/chat/completions", key, Some(&chat))
}

pub(crate) fn receipt(url: &str, key: &str, call: &str) -> Option<Value> {
    let answer = ask(url, &format!("/v1/generation?id={call}"), key, None).ok()?;
    (answer.status == 200).then(|| answer.json()["data"].clone())
}

/// Stops a process, or lets it go on, with all that it has started.
pub(crate) fn signal_all(postgresql: Pid, signal: Signal) {
    let children = std::fs::read_dir("/proc").expect("Linux").filter_map(|entry| {
        let id = entry.ok()?.file_name().to_str()?.parse::<i32>().ok()?;
        let status = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let parent = status.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<i32>().ok()?;
        Some((id, parent))
    });
    let all: Vec<_> = children.collect();
    let mut tree = vec![postgresql.as_raw()];
    let mut next = 0;
    while let Some(parent) = tree.get(next).copied() {
        tree.extend(all.iter().filter(|(_, its)| *its == parent).map(|(id, _)| *id));
        next += 1;
    }
    for id in tree {
        let _ = kill(Pid::from_raw(id), signal); // it may have ended by itself
    }
}

/// A proxy on a database that others use too, in the middle of a call.
struct World {
    elsewhere: Elsewhere,
    place: Place,
    server: Server,
    key: String,
    calling: JoinHandle<String>,
}

impl World {
    /// The upstream that was asked answers when its gate is opened.
    fn in_a_call(upstream: &str, gate: &Gate, args: &[&str]) -> Self {
        let elsewhere = Elsewhere::start();
        let place = Place::on(&elsewhere.url);
        place.json(&["migrate"], "");
        add_model(&place, upstream);
        let key = add_customer(&place)["key"].as_str().expect("the key").to_owned();
        let server = place.serve(&[&["--only", "proxy"], args].concat());
        let (url, its_key) = (server.said("/proxy_url").to_owned(), key.clone());
        let calling = thread::spawn(move || {
            let answer = call(&url, &its_key).expect("the proxy answers");
            let (status, id) = (answer.status, answer.header("x-request-id").expect("its id").to_owned());
            let text = answer.text();
            assert!(status == 200 && text.contains("Hello"), "{status} {text}");
            id
        });
        wait_until(|| gate.asked() == 1);
        Self { elsewhere, place, server, key, calling }
    }

    /// The call is settled and its client sees the end, but it cannot be posted; then the proxy is killed. Returns the call.
    fn killed_before_it_posts(upstream: &str, gate: &Gate) -> (Elsewhere, Place, String, String) {
        let shut = gate.shut();
        let Self { elsewhere, place, server, key, calling } = Self::in_a_call(upstream, gate, &[]);
        // It holds its credit by now; from here on all accounts are locked.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut locking = runtime.block_on(PgConnection::connect(&elsewhere.url)).expect("the address works");
        runtime.block_on(locking.execute("begin; lock table heads in exclusive mode")).expect("it locks");
        drop(shut);
        let call = calling.join().expect("it has an answer");
        assert_eq!(receipt(server.said("/proxy_url"), &key, &call), None, "it is in no books");
        server.process.kill();
        runtime.block_on(locking.close()).expect("it ends");
        (elsewhere, place, key, call)
    }
}

#[test]
fn a_call_whose_end_was_seen_outlives_a_kill_although_it_could_not_be_posted() {
    let (upstream, gate) = upstream::start_gated();
    let (_elsewhere, place, key, call) = World::killed_before_it_posts(&upstream, &gate);
    let server = place.serve(&["--only", "proxy"]);
    let url = server.said("/proxy_url");
    wait_until(|| receipt(url, &key, &call).is_some());
    let found = receipt(url, &key, &call).expect("it is there");
    assert_eq!((&found["status"], &found["source"], &found["amount"]), (&json!("ok"), &json!("upstream"), &json!(COST)));
    assert_eq!(place.verify(), Vec::<Value>::new());
}

#[test]
fn the_spool_of_a_machine_that_is_gone_is_posted_by_another() {
    let (upstream, gate) = upstream::start_gated();
    let (elsewhere, place, key, call) = World::killed_before_it_posts(&upstream, &gate);
    let folder = place.data().join("spool").display().to_string();
    let another = Place::on(&elsewhere.url);
    let shown = another.json(&["spool", "show", &folder], "");
    let sum = |of: &str| shown["lanes"].as_array().expect("lanes").iter().map(|lane| lane[of].as_u64().unwrap_or(0)).sum::<u64>();
    assert_eq!((sum("unposted"), sum("unsettled")), (1, 0), "{shown}");
    assert_eq!(another.json(&["spool", "post", &folder], ""), json!({ "posted": 1, "interrupted": 0, "left": 0 }));
    assert_eq!(another.json(&["spool", "post", &folder], ""), json!({ "posted": 0, "interrupted": 0, "left": 0 }));

    let server = another.serve(&["--only", "proxy"]);
    assert_eq!(receipt(server.said("/proxy_url"), &key, &call).expect("it is there")["amount"], COST);
    // A database that fell back is told again, also by a spool that is in use; one that did not hears nothing new.
    let (server_url, _) = elsewhere.administrator.rsplit_once('/').expect("an address");
    run(&format!("{server_url}/metering"), &["delete from calls"]);
    assert_eq!(receipt(server.said("/proxy_url"), &key, &call), None);
    let said = another.json(&["spool", "post-again", &folder], "");
    assert_eq!((&said["posted"], &said["known"]), (&json!(1), &json!(0)), "{said}");
    // What was leased for it has gone back long ago: it is charged by a correction.
    assert_eq!(receipt(server.said("/proxy_url"), &key, &call).expect("it is there again")["cost"], COST);
    let said = another.json(&["spool", "post-again", &folder], "");
    assert_eq!((&said["posted"], &said["known"]), (&json!(0), &json!(1)), "{said}");

    let (code, said) = another.refusal(&["spool", "post"]);
    assert!(code == Some(1) && said.contains("another process has it open"), "{said}");
    let (code, said) = Place::new().refusal(&["spool", "post", &folder]);
    assert!(code == Some(1) && said.contains("is posted to that database alone"), "{said}");
}

#[test]
fn asked_to_stop_while_the_database_hangs_it_ends_in_time_and_the_next_run_posts_what_it_left() {
    let (upstream, gate) = upstream::start_gated();
    let shut = gate.shut();
    let World { elsewhere, place, server, key, calling } = World::in_a_call(&upstream, &gate, &["--drain-seconds", "10"]);
    signal_all(elsewhere.postgresql.pid(), Signal::SIGSTOP);
    drop(shut);
    let asked = Instant::now();
    let ended = server.process.stop(Signal::SIGTERM);
    let took = asked.elapsed();
    signal_all(elsewhere.postgresql.pid(), Signal::SIGCONT);
    assert!(ended.success() && took < Duration::from_secs(10 + 15), "it took {took:?}");
    let call = calling.join().expect("it has an answer");

    let server = place.serve(&["--only", "proxy"]);
    let url = server.said("/proxy_url");
    wait_until(|| receipt(url, &key, &call).is_some());
    assert_eq!(receipt(url, &key, &call).expect("it is there")["amount"], COST);
    assert_eq!(place.verify(), Vec::<Value>::new());
}

/// What was damaged is set aside whole, and the call that it was of is taken for one whose end nobody knows.
#[test]
fn a_damaged_record_keeps_no_other_from_being_posted() {
    let (upstream, gate) = upstream::start_gated();
    let (_elsewhere, place, key, call) = World::killed_before_it_posts(&upstream, &gate);
    let folder = place.data().join("spool");
    let shown = place.command(&["spool", "show", "--records"]).output().expect("farebox runs");
    let records: Vec<Value> = shown.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let settled = records.iter().find(|record| record["kind"] == "settlement" && record["call"] == call).expect("it is settled");
    let segment = format!("lane-{}/{:08}.log", settled["lane"], settled["segment"].as_u64().expect("a number"));
    let (path, at) = (folder.join(segment), usize::try_from(settled["offset"].as_u64().expect("a number")).expect("a small one"));
    let mut bytes = std::fs::read(&path).expect("the segment is there");
    bytes[at + 100] ^= 1;
    std::fs::write(&path, bytes).expect("the segment can be written");

    let server = place.serve(&["--only", "proxy"]);
    let url = server.said("/proxy_url");
    wait_until(|| receipt(url, &key, &call).is_some());
    let found = receipt(url, &key, &call).expect("it is there");
    assert_eq!((&found["status"], &found["source"]), (&json!("interrupted"), &json!("interrupted")));
    assert!(std::fs::read_dir(folder.join("damaged")).expect("the folder is made").count() > 0, "it is kept");
    assert_eq!(place.verify(), Vec::<Value>::new());
}
