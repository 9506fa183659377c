//! A COMMIT whose answer is lost: whoever sent it cannot know whether it was done.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::{Callers, expect_exact, expect_rest, rounds, set_up, size};
use crate::{
    database::Elsewhere,
    farebox::Place,
    life::wait_until,
    relay::{Fate, Relay, Work},
    spool::signal_all,
};

const CALLERS: u32 = 8;
/// How often each of them calls at most.
const EVERY: Duration = Duration::from_millis(40);

/// What happens to the COMMIT, and to PostgreSQL with it.
const FAULTS: [(Fate, bool); 3] = [(Fate::Unheard, false), (Fate::Unheard, true), (Fate::Undone, false)];
/// Whose COMMIT it is.
const WORKS: [Option<Work>; 3] = [Some(Work::Posting), Some(Work::Leasing), None];

#[test]
fn when_the_answer_to_a_commit_is_lost_each_call_is_in_the_books_once_whether_it_was_done_or_not() {
    let rounds = rounds(9);
    let seed = size("FAREBOX_FAULTS_SEED", 1);
    let mut random = StdRng::seed_from_u64(seed.into());
    let mut elsewhere = Elsewhere::start();
    let relay = Relay::to(&elsewhere.url);
    let place = Place::on(&relay.url);
    let (tally, key) = set_up(&place);
    let server = place.serve_logged(&["--only", "proxy"]);
    let url = server.said("/proxy_url");
    let (callers, begun) = (Callers::default(), Instant::now());
    thread::scope(|scope| {
        let wanted = callers.start(scope, (url, &key), CALLERS, EVERY);
        for round in 0..rounds {
            callers.expect_service(1);
            // Each kind with each fault, and never at the same moment.
            let (of, (fate, dies)) = (WORKS[round % 3], FAULTS[round / 3 % 3]);
            let cluster = dies.then(|| elsewhere.postmaster());
            relay.lose(of, random.random_range(0..4), fate, move || {
                if let Some(cluster) = cluster {
                    signal_all(cluster, Signal::SIGKILL);
                }
            });
            wait_until(|| relay.lost().len() > round);
            if dies {
                elsewhere.start_again();
            }
        }
        callers.expect_service(10);
        drop(wanted);
    });
    expect_rest(&elsewhere.url);
    let lost = relay.lost();
    let of = |work| lost.iter().filter(|lost| **lost == work).count();
    let (posting, leasing) = (of(Work::Posting), of(Work::Leasing));
    let sum = expect_exact(&elsewhere.url, &callers, &tally, &HashSet::new());
    println!("seed {seed}: {rounds} COMMITs were lost, {posting} of postings and {leasing} of leases, in {:?}: {sum:?}", begun.elapsed());
    assert_eq!((sum.interrupted, sum.absent, sum.exact + sum.refused), (0, 0, sum.made), "all that was forwarded has landed");
    assert_eq!(place.verify(), Vec::<Value>::new());
    assert!(server.process.stop(Signal::SIGTERM).success());
    assert!(!place.log().contains("quarantine"), "what was posted is known when it comes again: {}", place.log());
    assert!(elsewhere.postgresql.stop(Signal::SIGTERM).success());
}
