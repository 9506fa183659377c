//! More streams from one address than there are files for.

use std::{collections::HashSet, fs, thread, time::Instant};

use nix::{
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::Signal,
    },
    unistd::Pid,
};
use serde_json::Value;

use super::{
    super::{Answered, Callers, Made, expect_exact, expect_rest, set_up},
    Memory,
};
use crate::{commands::add_account, database::Elsewhere, farebox::Place, life::wait_until};

/// What many systems allow.
const FILES: u32 = 1_024;
const STREAMS: usize = 1_500;
/// Those of the other customer, which have begun before.
const RUNNING: usize = 20;
/// What comes of it: less 256 of its own and an eighth for the console, halved, since each call takes two. Of these places an address has half.
const SHARE: usize = 160;
/// Calls that the other customer makes meanwhile.
const MEANWHILE: usize = 100;
/// This process has both ends' other halves.
const OWN_FILES: u64 = 8_192;
/// A stream is small, and nothing is kept of those that are turned away.
const MEMORY_MAX: u64 = 64;

/// Whether this process may have as many files open as it needs.
fn has_files() -> bool {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("Linux says so");
    soft >= OWN_FILES || hard >= OWN_FILES && setrlimit(Resource::RLIMIT_NOFILE, OWN_FILES, hard).is_ok()
}

fn open_files(process: Pid) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").count()
}

/// They have their share and no more: the others are told so, for nothing. Nobody else's stream breaks off, whoever has another address is served as ever,
/// and nothing else that needs a file does without.
#[test]
fn streams_of_one_address_take_its_share_of_the_files_and_leave_the_rest_to_others() {
    if !has_files() {
        return println!("skipped: this takes {OWN_FILES} open files");
    }
    let elsewhere = Elsewhere::start();
    let mut place = Place::on(&elsewhere.url);
    let (tally, key) = set_up(&place);
    let hostile = add_account(&place, "Hostile");
    place.json(&["account", "credit", "Hostile", "1000", "--reason", "For many streams"], "");
    place.have_files(FILES);
    // Of either kind of address this machine has one of its own.
    let server = place.serve_logged(&["--only", "proxy", "--proxy-addr", "[::]:0"]);
    let (_, port) = server.said("/proxy_url").rsplit_once(':').expect("a port");
    let (theirs, url, process) = (format!("http://127.0.0.1:{port}"), format!("http://[::1]:{port}"), server.process.pid());
    let (callers, at_rest) = (Callers::default(), Memory::of(process));
    thread::scope(|scope| {
        let shut = tally.gate.shut();
        let running = callers.begin(scope, (&url, &key), RUNNING, &tally);
        let streams: Vec<_> = (0..STREAMS).map(|_| scope.spawn(|| callers.call_as(&theirs, &hostile, true, Answered::Later))).collect();
        let ended = || streams.iter().filter(|call| call.is_finished()).count();
        wait_until(|| tally.gate.asked() == RUNNING + SHARE && ended() == STREAMS - SHARE);
        let open = open_files(process);
        assert!(open < usize::try_from(FILES).expect("a small number"), "{open} files are open, and the next one may be the spool's");
        let begun = Instant::now();
        for _ in 0..MEANWHILE {
            let made = callers.call(&url, &key, Answered::AtOnce);
            assert!(made.is_seen(), "{made:?}");
        }
        println!("files: {open} were open; {MEANWHILE} calls of another address took {:?} meanwhile", begun.elapsed());
        drop(shut);
        for call in running {
            let made = call.join().expect("no caller has panicked");
            assert!(made.is_seen(), "a running call ends as ever: {made:?}");
        }
        let streams: Vec<_> = streams.into_iter().map(|call| call.join().expect("no caller has panicked")).collect();
        let [seen, told] = [Made::is_seen, Made::has_no_place].map(|is_so| streams.iter().filter(|made| is_so(made)).count());
        println!("files: {seen} streams had their turn, {told} were told why not, {} were cut off", STREAMS - seen - told);
        assert!(seen == SHARE && told > 0, "{seen}");
        assert!(streams.iter().all(|made| made.is_seen() || made.has_no_place() || made.answer.is_none()), "{streams:?}");
        // Their places are free again, as soon as the calls have ended.
        wait_until(|| callers.call(&theirs, &hostile, Answered::AtOnce).is_seen());
    });
    let memory = Memory::of(process);
    println!("files: at rest {at_rest:?}, then {memory:?}");
    assert!(memory.most <= at_rest.now + MEMORY_MAX, "{memory:?}, which is more than {MEMORY_MAX} MiB above {at_rest:?}");
    expect_rest(&elsewhere.url);
    let sum = expect_exact(&elsewhere.url, &callers, &tally, &HashSet::new());
    let served = RUNNING + SHARE + MEANWHILE + 1;
    assert_eq!((sum.seen, sum.exact, tally.requests()), (served, served, served), "{sum:?}");
    assert_eq!(place.verify(), Vec::<Value>::new());
    assert!(server.process.stop(Signal::SIGTERM).success());
    let log = place.log();
    assert!(log.contains("open files allows only") && !log.contains("could not be accepted") && !log.contains("panicked"), "{log}");
    assert!(elsewhere.postgresql.stop(Signal::SIGTERM).success());
}
