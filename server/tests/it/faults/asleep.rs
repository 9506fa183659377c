//! A machine that stands still for so long that others take it for dead, and wakes up.

use std::{collections::HashSet, thread};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use super::{Answered, Callers, announced, expect_exact, expect_rest, is_long, set_up, take_for_dead};
use crate::{database::Elsewhere, farebox::Place, life::wait_until, read_only::number};

/// Calls that were announced.
const LONG: usize = 6;
/// Calls that had just begun.
const SHORT: usize = 4;

#[test]
fn calls_of_a_proxy_that_slept_past_its_lease_were_settled_by_another_and_are_corrected_once() {
    let elsewhere = Elsewhere::start();
    let (sleeper, other) = (Place::on(&elsewhere.url), Place::on(&elsewhere.url));
    let (tally, key) = set_up(&sleeper);
    let (sleeping, serving) = (sleeper.serve(&["--only", "proxy"]), other.serve(&["--only", "proxy"]));
    let (asleep, awake) = (sleeping.said("/proxy_url"), serving.said("/proxy_url"));
    let callers = Callers::default();
    let is_taken_for_interrupted = "select count(*) from calls where source = 'interrupted'";
    let interrupted = thread::scope(|scope| {
        let mut wanted = callers.start_at_rate(scope, (awake, &key));
        let shut = tally.gate.shut();
        let mut running = callers.begin(scope, (asleep, &key), LONG, &tally);
        wait_until(|| callers.later().is_subset(&announced(&elsewhere.url)));
        running.extend(callers.begin(scope, (asleep, &key), SHORT, &tally));
        kill(sleeping.process.pid(), Signal::SIGSTOP).expect("it runs");

        if is_long() {
            // An account that is busy when the other looks is left for its next look, a minute later.
            wanted.clear();
        }
        take_for_dead(&elsewhere.url, &sleeper);
        wanted.extend(callers.start_at_rate(scope, (awake, &key)));
        let interrupted = number(&elsewhere.url, is_taken_for_interrupted);
        assert!(interrupted >= i64::try_from(LONG).expect("few"), "{interrupted} were settled by another");
        // Whoever is awake goes on with what the sleeper had.
        callers.expect_service(3);

        drop(shut);
        kill(sleeping.process.pid(), Signal::SIGCONT).expect("it is still there");
        for call in running {
            let made = call.join().expect("no caller has panicked");
            assert!(made.is_seen(), "{made:?}");
        }
        // It learns that its lease is over, and begins another.
        wait_until(|| number(&elsewhere.url, "select count(distinct proxy) from epochs where over_at is null") == 2);
        wait_until(|| callers.call(asleep, &key, Answered::AtOnce).is_seen());
        drop(wanted);
        interrupted
    });
    expect_rest(&elsewhere.url);
    // Those that nobody knew of were nobody's to interrupt: they came late all the same, and are taken for interrupted and corrected at once.
    let late = LONG + SHORT;
    wait_until(|| usize::try_from(number(&elsewhere.url, "select count(*) from corrections")) == Ok(late));
    let sum = expect_exact(&elsewhere.url, &callers, &tally, &HashSet::new());
    println!("{interrupted} calls were settled by another: {sum:?}");
    assert_eq!((sum.corrected, sum.interrupted, sum.absent), (late, 0, 0));
    assert_eq!(other.verify(), Vec::<Value>::new());
    for server in [sleeping, serving] {
        assert!(server.process.stop(Signal::SIGTERM).success());
    }
    assert!(elsewhere.postgresql.stop(Signal::SIGTERM).success());
}
