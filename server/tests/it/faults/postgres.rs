//! A PostgreSQL that stands still, and then dies.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{Answered, Callers, expect_exact, expect_rest, rate, set_up, size};
use crate::{
    commands::add_account,
    farebox::Place,
    http::ask,
    life::{postmaster, wait_until},
    spool::signal_all,
};

/// Calls that are in their middle when it happens.
const RUNNING: usize = 6;
/// A call waits for 10 seconds at most to be leased something, and a key for 10 to be looked up. Whatever else is done takes less than half of it.
const REFUSED_WITHIN: Duration = Duration::from_secs(15);

/// Makes an account that has paid, and returns a key of it.
fn another_customer(place: &Place, name: &str) -> String {
    let key = add_account(place, name);
    place.json(&["account", "credit", name, "10", "--reason", "First payment"], "");
    key
}

#[test]
fn while_the_database_stands_still_and_then_dies_calls_go_on_or_are_refused_and_none_is_lost() {
    let lasts = Duration::from_secs(size("FAREBOX_FAULTS_SECONDS", 8).into());
    let place = Place::new();
    let (tally, key) = set_up(&place);
    let server = place.serve(&["--only", "proxy"]);
    let (url, database) = (server.said("/proxy_url"), server.said("/database_url"));
    let callers = Callers::default();
    // One whose key is known and that has nothing leased, and one that nobody knows yet.
    let (idle, stranger) = (another_customer(&place, "Idle"), another_customer(&place, "Stranger"));
    thread::scope(|scope| {
        let wanted = callers.start_at_rate(scope, (url, &key));
        callers.expect_service(2 * usize::try_from(rate()).expect("a small number"));
        assert_eq!(ask(url, "/v1/credits", &idle, None).expect("the proxy answers").status, 200);
        let shut = tally.gate.shut();
        let running = callers.begin(scope, (url, &key), RUNNING, &tally);

        let stopped = Instant::now();
        let cluster = postmaster(&place);
        signal_all(cluster, Signal::SIGSTOP);
        drop(shut);
        let newcomers = [&idle, &stranger].map(|key| scope.spawn(|| callers.call(url, key, Answered::AtOnce)));
        for call in running {
            let made = call.join().expect("no caller has panicked");
            assert!(made.is_seen(), "the end of a running call does not wait for the database: {made:?}");
        }
        let newcomers = newcomers.map(|call| call.join().expect("no caller has panicked"));
        for made in &newcomers {
            assert!(made.is_refused(), "{made:?}");
        }
        // Once the catalog is stale and the lease is over, nobody is served.
        wait_until(|| stopped.elapsed() >= lasts && callers.since(stopped).iter().any(|made| made.is_refused()));
        signal_all(cluster, Signal::SIGKILL);
        let killed = Instant::now();

        wait_until(|| ask(url, "/readyz", "", None).is_ok_and(|answer| answer.status == 200));
        callers.expect_service(usize::try_from(rate()).expect("a small number"));
        let back = killed.elapsed();
        drop(wanted);
        let meanwhile = callers.since(stopped);
        let other = meanwhile.iter().find(|made| !made.is_seen() && !made.is_refused());
        assert!(other.is_none(), "{other:?}");
        assert!(meanwhile.iter().any(|made| made.is_seen() && made.begun < killed), "some had room in what was leased");
        let slowest = meanwhile.iter().filter(|made| made.is_refused()).filter_map(|made| made.answer.as_ref()).map(|told| told.took).max();
        let newcomers = newcomers.map(|made| made.answer.map(|told| told.took));
        println!("the one with nothing leased and the one that nobody knew were refused after {newcomers:?}");
        println!("away for {:?}, back {back:?} later; the slowest of the refusals took {slowest:?}", killed - stopped);
        assert!(slowest.is_some_and(|slowest| slowest < REFUSED_WITHIN), "{slowest:?}");
    });
    expect_rest(database);
    let sum = expect_exact(database, &callers, &tally, &HashSet::new());
    println!("{sum:?}");
    assert_eq!((sum.interrupted, sum.absent, sum.exact + sum.refused), (0, 0, sum.made), "all that was forwarded has landed");
    assert_eq!(place.verify(), Vec::<Value>::new());
    assert!(server.process.stop(Signal::SIGTERM).success());
}
