//! A database that changes under a proxy at work: for a while it takes no writes, or it has columns that are not ours.

use std::{
    sync::{Arc, Mutex, Weak},
    thread::{self, Scope},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use tokio::runtime::Runtime;

use crate::{
    commands::{add_customer, add_model, add_model_of},
    database::{Elsewhere, run},
    farebox::Place,
    http::{ask, browse},
    life::wait_until,
    upstream::{self, ANSWER_TOKENS, Gate},
};

const CALLERS: usize = 8;
/// Calls that are in their middle when the database changes.
const RUNNING: usize = 4;
/// So many answers one after another show how it is now.
const ANSWERS: usize = 100;
/// A refusal that takes longer was not made at once: something was waited for.
const AT_ONCE: Duration = Duration::from_secs(5);

/// What became of a call.
#[derive(Debug, Clone, Copy)]
struct Answered {
    begun: Instant,
    took: Duration,
    status: u16,
}

/// Those who call a proxy, with one key, and what they were answered.
struct Callers<'a> {
    url: &'a str,
    key: &'a str,
    answers: Mutex<Vec<Answered>>,
}

impl<'a> Callers<'a> {
    fn of(url: &'a str, key: &'a str) -> Self {
        Self { url, key, answers: Mutex::default() }
    }

    fn call(&self, model: &str) -> Answered {
        let begun = Instant::now();
        let chat = json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] });
        let answer = ask(self.url, "/v1/chat/completions", self.key, Some(&chat)).expect("the proxy answers");
        let status = answer.status;
        drop(answer.text()); // to its end
        let answered = Answered { begun, took: begun.elapsed(), status };
        self.answers.lock().expect("no caller has panicked").push(answered);
        answered
    }

    /// Calls without pause, while there is somebody who wants it.
    fn keep_calling(&self, wanted: &Weak<()>) {
        while wanted.strong_count() > 0 {
            self.call("small");
        }
    }

    /// Several call, for as long as somebody keeps what this returns: also when a test fails they end.
    fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Arc<()> {
        let wanted = Arc::new(());
        for _ in 0..CALLERS {
            let wanted = Arc::downgrade(&wanted);
            scope.spawn(move || self.keep_calling(&wanted));
        }
        wanted
    }

    fn all(&self) -> Vec<Answered> {
        self.answers.lock().expect("no caller has panicked").clone()
    }

    /// What calls that begin from now on are answered, once there are enough of them.
    fn next(&self) -> Vec<Answered> {
        let now = Instant::now();
        let since = || self.all().into_iter().filter(|answered| answered.begun >= now).collect::<Vec<_>>();
        wait_until(|| since().len() >= ANSWERS);
        since()
    }

    /// From now on every call is served.
    fn expect_service(&self, when: &str) {
        let other = self.next().into_iter().find(|answered| answered.status != 200);
        assert!(other.is_none(), "{when}: {other:?}");
    }
}

fn readyz(url: &str) -> u16 {
    ask(url, "/readyz", "", None).map_or(0, |answer| answer.status)
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

pub(crate) fn number(url: &str, question: &'static str) -> i64 {
    runtime().block_on(async {
        let mut connection = PgConnection::connect(url).await.expect("the address works");
        sqlx::query_scalar(question).fetch_one(&mut connection).await.expect("it has an answer")
    })
}

/// What was served is what the upstreams were asked, is in the books once, to the token, and nothing is held any more.
fn expect_all_posted(place: &Place, url: &str, callers: &Callers, upstreams: &[&Gate]) {
    let served = callers.all().iter().filter(|answered| answered.status == 200).count();
    assert_eq!(upstreams.iter().map(|upstream| upstream.asked()).sum::<usize>(), served, "what is refused is not forwarded");
    wait_until(|| number(url, "select (select count(*) from intents) + (select count(*) from slices)") == 0);
    let proof = place.json(&["verify"], "");
    assert_eq!((&proof["faults"], &proof["calls"]), (&json!([]), &json!(served)));
    let tokens = number(url, "select coalesce(sum(total_tokens), 0)::bigint from calls where source = 'upstream' and outcome = 'ok'");
    assert_eq!(usize::try_from(tokens), Ok(served * ANSWER_TOKENS));
    assert_eq!(place.json(&["account", "show", "Example"], "")["balance"]["reserved"], "0");
}

/// Those within what is leased go on for a while, where nobody asked for anything else.
#[test]
fn while_the_database_takes_no_writes_calls_that_have_nothing_leased_are_refused_at_once_and_none_that_was_served_is_lost() {
    no_writes_for_a_while(&[]);
}

#[test]
fn while_the_database_takes_no_writes_every_call_is_refused_if_that_was_asked_for() {
    no_writes_for_a_while(&["--when-database-away", "refuse"]);
}

fn no_writes_for_a_while(options: &[&str]) {
    let elsewhere = Elsewhere::start();
    let (proxy, console) = (Place::on(&elsewhere.url), Place::on(&elsewhere.url));
    proxy.json(&["migrate"], "");
    let ((small, small_gate), (long, long_gate)) = (upstream::start_gated(), upstream::start_gated());
    add_model(&proxy, &small);
    add_model_of(&proxy, "patient", &long, "long");
    let key = add_customer(&proxy);
    proxy.json(&["account", "credit", "Example", "1000", "--reason", "For many calls"], "");

    let serving = proxy.serve(&[&["--only", "proxy"], options].concat());
    let showing = console.serve(&["--only", "console"]);
    let (proxy_url, console_url) = (serving.said("/proxy_url"), showing.said("/console_url"));
    let callers = Callers::of(proxy_url, key["key"].as_str().expect("a key"));
    thread::scope(|scope| {
        let _wanted = callers.start(scope);
        callers.expect_service("at first");
        let shut = long_gate.shut();
        let running: Vec<_> = (0..RUNNING).map(|_| scope.spawn(|| callers.call("long"))).collect();
        wait_until(|| long_gate.asked() == RUNNING);

        // The connections are cut while the account's books are locked: something of it waits for them, and what was running has ended.
        let locking = runtime();
        let mut lock = locking.block_on(PgConnection::connect(&elsewhere.url)).expect("the address works");
        locking.block_on(lock.execute("begin; select from heads for update")).expect("the owner may lock them");
        drop(shut);
        let waiting = "select count(*) from pg_stat_activity where datname = 'metering' and wait_event_type = 'Lock'";
        wait_until(|| number(&elsewhere.administrator, waiting) > 0);
        elsewhere.take_no_writes();

        wait_until(|| readyz(proxy_url) == 503 && readyz(console_url) == 503);
        // What is leased is used up, or it is known that the database is away.
        wait_until(|| callers.next().iter().all(|answered| answered.status == 503 && answered.took < AT_ONCE));
        assert_eq!((readyz(proxy_url), readyz(console_url)), (503, 503), "all the while");
        assert!(callers.all().iter().all(|answered| [200, 503].contains(&answered.status)), "nothing else is answered");
        assert_eq!(browse(console_url, "/pricing", "", None).expect("the console answers").status, 200, "reading goes on");
        for call in running {
            assert_eq!(call.join().expect("it is answered").status, 200, "its answer does not wait for the database");
        }
        assert_eq!(number(&elsewhere.url, "select count(*) from calls where model = 'long'"), 0);

        elsewhere.take_writes_again();
        wait_until(|| readyz(proxy_url) == 200 && readyz(console_url) == 200);
        callers.expect_service("afterwards");
    });

    expect_all_posted(&proxy, &elsewhere.url, &callers, &[&small_gate, &long_gate]);
    assert!(serving.process.stop(Signal::SIGTERM).success() && showing.process.stop(Signal::SIGTERM).success());
    assert!(elsewhere.postgresql.stop(Signal::SIGTERM).success());
}

#[test]
fn a_column_that_somebody_adds_while_calls_go_on_is_left_alone() {
    let place = Place::new();
    let (small, gate) = upstream::start_gated();
    add_model(&place, &small);
    let key = add_customer(&place);
    place.json(&["account", "credit", "Example", "1000", "--reason", "For many calls"], "");
    let server = place.serve(&["--only", "proxy"]);
    let (url, owner) = (server.said("/proxy_url"), server.said("/database_url"));
    let callers = Callers::of(url, key["key"].as_str().expect("a key"));
    thread::scope(|scope| {
        let _wanted = callers.start(scope);
        callers.expect_service("at first");
        for column in
            ["calls add note text", "calls add n bigint not null default 0", "intents add note text", "grants add n bigint default 1"]
        {
            run(owner, &[&format!("alter table {column}")]);
            callers.expect_service(column);
            assert_eq!(readyz(url), 200, "{column}");
        }
    });
    assert!(callers.all().iter().all(|answered| answered.status == 200), "nor was any refused in the middle of it");
    expect_all_posted(&place, owner, &callers, &[&gate]);
    assert!(server.process.stop(Signal::SIGTERM).success());
}
