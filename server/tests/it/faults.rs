//! Servers and databases that are killed under load, again and again: what a client has seen the end of is in the books as the upstream counted it, once.
//!
//! `FAREBOX_FAULTS` says how often (6); `make faults` does it 200 times.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};

use crate::{
    commands::{add_customer, add_model},
    farebox::Place,
    http::ask,
    life::{postmaster, wait_until},
    read_only::{number, runtime},
    upstream,
};

const CALLERS: usize = 8;

/// A call, by what its client knows of it.
#[derive(Debug, Clone, Copy)]
struct Made {
    /// The tokens that the upstream counts for it.
    prompt: i64,
    completion: i64,
    /// Its client has seen the end of its answer.
    is_seen: bool,
}

/// Those who call, and all calls that they made. A call says of whom it is: its place in the list.
#[derive(Default)]
struct Callers {
    made: Mutex<Vec<Made>>,
    answered: AtomicUsize,
}

impl Callers {
    /// Calls until the server is gone.
    fn call_until_it_dies(&self, url: &str, key: &str) {
        while self.call(url, key).is_some() {}
    }

    fn call(&self, url: &str, key: &str) -> Option<()> {
        let (place, made) = {
            let mut all = self.made.lock().expect("no caller has panicked");
            let place = all.len();
            let unlike = i64::try_from(place).expect("few calls");
            all.push(Made { prompt: 10 + unlike % 997, completion: 1 + unlike % 89, is_seen: false });
            (place, all[place])
        };
        let is_stream = place % 3 > 0;
        let prompt = format!("{} {}", made.prompt, made.completion);
        let chat = json!({
            "model": "small", "stream": is_stream, "user": format!("call-{place}"), "messages": [{ "role": "user", "content": prompt }],
        });
        let answer = ask(url, "/v1/chat/completions", key, Some(&chat)).ok()?;
        let status = answer.status;
        let text = answer.text();
        let is_whole = if is_stream { text.contains("[DONE]") } else { serde_json::from_str::<Value>(&text).is_ok() };
        self.made.lock().expect("no caller has panicked")[place].is_seen = status == 200 && is_whole;
        self.answered.fetch_add(1, Ordering::SeqCst);
        Some(())
    }
}

/// What is posted of a call.
struct Found {
    outcome: String,
    source: String,
    prompt: Option<i64>,
    completion: Option<i64>,
}

/// What is posted, by the place of each call in the list.
fn posted(url: &str) -> HashMap<usize, Vec<Found>> {
    runtime().block_on(async {
        let mut connection = PgConnection::connect(url).await.expect("the address works");
        let rows = sqlx::query("select end_user, outcome, source, prompt_tokens, completion_tokens from calls").fetch_all(&mut connection);
        let mut posted: HashMap<usize, Vec<Found>> = HashMap::new();
        for row in rows.await.expect("it has an answer") {
            let place = row.get::<&str, _>("end_user").trim_start_matches("call-").parse().expect("a place");
            let (outcome, source) = (row.get("outcome"), row.get("source"));
            posted.entry(place).or_default().push(Found {
                outcome,
                source,
                prompt: row.get("prompt_tokens"),
                completion: row.get("completion_tokens"),
            });
        }
        posted
    })
}

fn expect_exact(url: &str, callers: &Callers) {
    let posted = posted(url);
    let made = callers.made.lock().expect("no caller has panicked");
    for (place, made) in made.iter().enumerate() {
        let rows = posted.get(&place).map_or(&[][..], Vec::as_slice);
        assert!(rows.len() <= 1, "call {place} is posted {} times", rows.len());
        assert!(!made.is_seen || rows.len() == 1, "call {place}, whose end was seen, is in no books");
        let Some(row) = rows.first() else { continue };
        match row.source.as_str() {
            "upstream" => assert_eq!((row.prompt, row.completion), (Some(made.prompt), Some(made.completion)), "call {place}"),
            "none" => assert_eq!((row.prompt, row.completion), (None, None), "call {place}"),
            _ => assert_eq!(row.outcome, "interrupted", "call {place}: {}", row.source),
        }
        assert!(!made.is_seen || (row.source == "upstream" && row.outcome == "ok"), "call {place}: {} {}", row.outcome, row.source);
    }
}

#[test]
fn killed_again_and_again_under_load_nothing_is_lost_and_nothing_doubled() {
    let rounds: usize = std::env::var("FAREBOX_FAULTS").map_or(6, |text| text.parse().expect("FAREBOX_FAULTS is a number"));
    let place = Place::new();
    place.json(&["migrate"], "");
    add_model(&place, &upstream::start_counting());
    let key = add_customer(&place)["key"].as_str().expect("the key").to_owned();
    place.json(&["account", "credit", "Example", "1000", "--reason", "For many calls"], "");
    let callers = Callers::default();
    for round in 0..rounds {
        let server = place.serve(&["--only", "proxy"]);
        let (url, database) = (server.said("/proxy_url").to_owned(), server.said("/database_url").to_owned());
        // What the last round was killed in is settled, and holds nothing.
        wait_until(|| number(&database, "select (select count(*) from intents) + (select count(*) from slices)") == 0);
        thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| callers.call_until_it_dies(&url, &key));
            }
            // Never at the same moment of their lives.
            let enough = callers.answered.load(Ordering::SeqCst) + 3 + round * 37 % 61;
            wait_until(|| callers.answered.load(Ordering::SeqCst) >= enough);
            if round % 3 == 1 {
                kill(postmaster(&place), Signal::SIGKILL).expect("it runs");
            }
            server.process.kill();
        });
    }
    let server = place.serve(&["--only", "proxy"]);
    let database = server.said("/database_url");
    wait_until(|| number(database, "select (select count(*) from intents) + (select count(*) from slices)") == 0);
    expect_exact(database, &callers);
    assert_eq!(place.verify(), Vec::<Value>::new());
    let seen = callers.made.lock().expect("no caller has panicked").iter().filter(|made| made.is_seen).count();
    println!("{rounds} kills, {} calls, the end of {seen} was seen", callers.made.lock().expect("no caller has panicked").len());
    assert!(seen > rounds);
    assert!(server.process.stop(Signal::SIGTERM).success());
}
