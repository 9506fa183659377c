//! A machine that is lost with its disk.

use std::{collections::HashSet, fs, thread};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{Callers, announced, expect_exact, expect_rest, is_long, posted, set_up, take_for_dead};
use crate::{database::Elsewhere, farebox::Place, life::wait_until};

/// Calls that were announced.
const LONG: usize = 6;
/// Calls that had just begun.
const SHORT: usize = 4;

#[test]
fn of_a_machine_that_is_lost_with_its_spool_the_announced_calls_are_interrupted_and_the_others_cost_nothing() {
    let elsewhere = Elsewhere::start();
    let (lost, other) = (Place::on(&elsewhere.url), Place::on(&elsewhere.url));
    let (tally, key) = set_up(&lost);
    let (dying, serving) = (lost.serve(&["--only", "proxy"]), other.serve(&["--only", "proxy"]));
    let (there, here) = (dying.said("/proxy_url").to_owned(), serving.said("/proxy_url").to_owned());
    let callers = Callers::default();
    let (announced, gone) = thread::scope(|scope| {
        let mut wanted = callers.start_at_rate(scope, (&here, &key));
        let shut = tally.gate.shut();
        let mut running = callers.begin(scope, (&there, &key), LONG, &tally);
        wait_until(|| callers.later().is_subset(&announced(&elsewhere.url)));
        running.extend(callers.begin(scope, (&there, &key), SHORT, &tally));
        dying.process.kill();
        fs::remove_dir_all(lost.data().join("spool")).expect("it is there");
        drop(shut);
        let gone: HashSet<usize> = running.into_iter().map(|call| call.join().expect("no caller has panicked").place).collect();
        let announced: HashSet<_> = announced(&elsewhere.url).intersection(&gone).copied().collect();

        if is_long() {
            // An account that is busy when the other looks is left for its next look, a minute later.
            wanted.clear();
        }
        take_for_dead(&elsewhere.url, &lost);
        wanted.extend(callers.start_at_rate(scope, (&here, &key)));
        callers.expect_service(3);
        drop(wanted);
        (announced, gone)
    });
    expect_rest(&elsewhere.url);
    let sum = expect_exact(&elsewhere.url, &callers, &tally, &gone);
    println!("{} of {} calls were announced: {sum:?}", announced.len(), gone.len());
    let posted = posted(&elsewhere.url);
    for place in &gone {
        let outcome = posted.get(place).map(|rows| rows[0].outcome.as_str());
        assert_eq!(outcome, announced.contains(place).then_some("interrupted"), "call {place}");
    }
    assert!(announced.len() >= LONG);
    assert_eq!((sum.interrupted, sum.absent), (announced.len(), gone.len() - announced.len()));
    assert_eq!(other.verify(), Vec::<Value>::new());
    assert!(serving.process.stop(Signal::SIGTERM).success());
    assert!(elsewhere.postgresql.stop(Signal::SIGTERM).success());
}
