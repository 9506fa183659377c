//! Servers and databases that are killed, again and again.

use std::{collections::HashSet, sync::atomic::Ordering, thread};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use super::{Callers, expect_exact, expect_rest, rounds, set_up};
use crate::{
    farebox::Place,
    life::{postmaster, wait_until},
};

const CALLERS: usize = 8;

#[test]
fn killed_again_and_again_under_load_nothing_is_lost_and_nothing_doubled() {
    let rounds = rounds(6);
    let place = Place::new();
    let (tally, key) = set_up(&place);
    let callers = Callers::default();
    for round in 0..rounds {
        let server = place.serve(&["--only", "proxy"]);
        let (url, database) = (server.said("/proxy_url").to_owned(), server.said("/database_url").to_owned());
        // What the last round was killed in is settled, and holds nothing.
        expect_rest(&database);
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
    expect_rest(database);
    let sum = expect_exact(database, &callers, &tally, &HashSet::new());
    println!("{rounds} kills: {sum:?}");
    assert_eq!(place.verify(), Vec::<Value>::new());
    assert!(sum.seen > rounds);
    assert!(server.process.stop(Signal::SIGTERM).success());
}
