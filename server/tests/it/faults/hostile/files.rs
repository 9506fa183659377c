//! More streams than there are files for.

use std::{
    collections::HashSet,
    fs, thread,
    time::{Duration, Instant},
};

use nix::{
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::Signal,
    },
    unistd::Pid,
};
use serde_json::Value;

use super::{
    super::{Answered, Callers, expect_exact, expect_rest, set_up},
    Memory,
};
use crate::{commands::add_account, database::Elsewhere, farebox::Place, life::wait_until};

/// What many systems allow.
const FILES: u32 = 1_024;
const STREAMS: usize = 1_500;
/// Those of the other customer, which have begun before.
const RUNNING: usize = 20;
/// What comes of it: less 256 of its own and an eighth for the console, halved, since each call takes two.
const AT_ONCE: usize = 320;
/// This process has both ends' other halves.
const OWN_FILES: u64 = 8_192;
/// A stream is small, and those that wait are the system's.
const MEMORY_MAX: u64 = 64;
/// All of them have ended so long after they may.
const ENDED: Duration = Duration::from_secs(120);

/// Whether this process may have as many files open as it needs.
fn has_files() -> bool {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("Linux says so");
    soft >= OWN_FILES || hard >= OWN_FILES && setrlimit(Resource::RLIMIT_NOFILE, OWN_FILES, hard).is_ok()
}

fn open_files(process: Pid) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").count()
}

/// They wait where they cost nothing, until others have ended; nobody's stream breaks off, and nothing else that needs a file does without.
#[test]
fn streams_that_there_are_no_files_for_wait_their_turn_and_break_nobody_elses() {
    if !has_files() {
        return println!("skipped: this takes {OWN_FILES} open files");
    }
    let elsewhere = Elsewhere::start();
    let mut place = Place::on(&elsewhere.url);
    let (tally, key) = set_up(&place);
    let hostile = add_account(&place, "Hostile");
    place.json(&["account", "credit", "Hostile", "1000", "--reason", "For many streams"], "");
    place.have_files(FILES);
    let server = place.serve_logged(&["--only", "proxy"]);
    let (url, process) = (server.said("/proxy_url"), server.process.pid());
    let (callers, at_rest) = (Callers::default(), Memory::of(process));
    thread::scope(|scope| {
        let shut = tally.gate.shut();
        let running = callers.begin(scope, (url, &key), RUNNING, &tally);
        let streams: Vec<_> = (0..STREAMS).map(|_| scope.spawn(|| callers.call_as(url, &hostile, true, Answered::Later))).collect();
        wait_until(|| tally.gate.asked() == AT_ONCE && callers.len() == RUNNING + STREAMS);
        let open = open_files(process);
        assert!(open < usize::try_from(FILES).expect("a small number"), "{open} files are open, and the next one may be the spool's");
        let opened = Instant::now();
        drop(shut);
        for call in running {
            let made = call.join().expect("no caller has panicked");
            assert!(made.is_seen(), "a running call ends as ever: {made:?}");
        }
        for call in streams {
            let made = call.join().expect("no caller has panicked");
            assert!(made.is_seen(), "it had its turn: {made:?}");
        }
        println!("files: {open} were open with {AT_ONCE} calls; all {STREAMS} have ended after {:?}", opened.elapsed());
        assert!(opened.elapsed() < ENDED);
        assert!(callers.call(url, &key, Answered::AtOnce).is_seen());
    });
    let memory = Memory::of(process);
    println!("files: at rest {at_rest:?}, then {memory:?}");
    assert!(memory.most <= at_rest.now + MEMORY_MAX, "{memory:?}, which is more than {MEMORY_MAX} MiB above {at_rest:?}");
    expect_rest(&elsewhere.url);
    let sum = expect_exact(&elsewhere.url, &callers, &tally, &HashSet::new());
    assert_eq!((sum.seen, sum.exact, tally.requests()), (sum.made, sum.made, sum.made), "{sum:?}");
    assert_eq!(place.verify(), Vec::<Value>::new());
    assert!(server.process.stop(Signal::SIGTERM).success());
    let log = place.log();
    assert!(log.contains("open files allows only") && !log.contains("could not be accepted") && !log.contains("panicked"), "{log}");
    assert!(elsewhere.postgresql.stop(Signal::SIGTERM).success());
}
