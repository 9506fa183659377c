//! A proxy that is asked to stop with a crowd in the middle of its calls.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

use super::{ENDED_AFTER_DRAIN, expect_rest};
use crate::{
    commands::{add_customer, add_model},
    farebox::Place,
    http::{Answer, ask},
    life::wait_until,
    read_only::number,
    spool::receipt,
    upstream,
};

const DRAIN: Duration = Duration::from_secs(1);
const STREAMS: usize = 200;
/// Callers that wait for their upstream's first byte.
const WAITING: usize = 20;
/// What a stream delivers before it stops.
const WORDS: usize = 5;

/// Streams in their middle break off; whoever waits for an answer is told that none comes. None of them has left, and who got nothing pays nothing.
#[test]
fn asked_to_stop_it_gives_everybody_an_answer_and_takes_nobody_for_gone() {
    let place = Place::new();
    place.json(&["migrate"], "");
    let (upstream, gate) = upstream::start_slow();
    add_model(&place, &upstream);
    let key = add_customer(&place)["key"].as_str().expect("the key").to_owned();
    let server = place.serve(&["--only", "proxy", "--drain-seconds", &DRAIN.as_secs().to_string()]);
    let url = server.said("/proxy_url").to_owned();
    let chat = |stream: bool| {
        let body = json!({ "model": "small", "stream": stream, "messages": [{ "role": "user", "content": "Hello" }] });
        ask(&url, "/v1/chat/completions", &key, Some(&body)).expect("the proxy answers")
    };
    let delivered = AtomicUsize::new(0);
    let told = |mut answer: Answer| {
        let id = answer.header("x-request-id").expect("its id").to_owned();
        let mut text = String::new();
        while answer.status == 200 && text.matches("word").count() < WORDS {
            text += &answer.line().expect("it delivers what its upstream has sent");
        }
        delivered.fetch_add(usize::from(answer.status == 200), Ordering::SeqCst);
        (answer.status, id, text + &answer.text())
    };
    let shut = gate.shut();
    let (streams, waiting, asked) = thread::scope(|scope| {
        let streams: Vec<_> = (0..STREAMS).map(|_| scope.spawn(|| told(chat(true)))).collect();
        let waiting: Vec<_> = (0..WAITING).map(|_| scope.spawn(|| told(chat(false)))).collect();
        wait_until(|| gate.asked() == STREAMS + WAITING && delivered.load(Ordering::SeqCst) == STREAMS);
        let asked = Instant::now();
        kill(server.process.pid(), Signal::SIGTERM).expect("it runs");
        let joined = |handle: ScopedJoinHandle<'_, (u16, String, String)>| handle.join().expect("it has an answer");
        (streams.into_iter().map(joined).collect::<Vec<_>>(), waiting.into_iter().map(joined).collect::<Vec<_>>(), asked)
    });
    assert!(server.process.ended().success());
    let took = asked.elapsed();
    println!("it ended within {took:?}");
    assert!(took < DRAIN + ENDED_AFTER_DRAIN, "{took:?}");
    drop(shut);

    let server = place.serve(&["--only", "proxy"]);
    let url = server.said("/proxy_url");
    let database = server.said("/database_url");
    expect_rest(database);
    assert_eq!(
        usize::try_from(number(database, "select count(*) from calls")),
        Ok(gate.asked()),
        "each that the upstream was asked for, once"
    );
    for (status, id, text) in &streams {
        assert!(*status == 200 && text.contains("word") && !text.contains("[DONE]"), "{status} {text}");
        let found = receipt(url, &key, id).expect("it is posted");
        // A tokenizer's count of the words that were delivered, with the blank behind the last.
        assert_eq!((&found["status"], &found["usage"]["completion_tokens"]), (&json!("interrupted"), &json!(6)), "{found}");
    }
    for (status, id, text) in &waiting {
        assert!(*status == 503 && text.contains("gateway_restarted"), "{status} {text}");
        let found = receipt(url, &key, id).expect("it is posted");
        assert_eq!((&found["status"], &found["amount"]), (&json!("interrupted"), &json!("0")), "{found}");
    }
    assert_eq!(place.verify(), Vec::<Value>::new());
}
