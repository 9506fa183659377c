//! Customers that mean harm, beside one who calls as agreed: what they send is refused rightly and costs nobody anything, the memory stays within bounds,
//! and the other is served all the while.
//!
//! Each kind is short in `make test`. In `make faults` it goes on for [`LONG`], on the release, at the rate that is asked for there, and what the other customer waits
//! for is compared with what they waited before.

mod bodies;
mod files;
mod heads;
mod keys;
mod slow;
mod smuggled;
mod wire;

use std::{
    collections::HashSet,
    fs, thread,
    time::{Duration, Instant},
};

use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::{Value, json};

use super::{Callers, Made, expect_exact, expect_rest, is_long, rate, set_up};
use crate::{commands::add_account, database::Elsewhere, farebox::Place, relay::Relay};

/// For so long a kind goes on where there is time.
const LONG: Duration = Duration::from_secs(10);
/// What the other customer's calls take at most, on a machine that is busy with everything of this.
const STALLED: Duration = Duration::from_secs(20);
/// On the same machine are who attacks, the upstream, the database and the other customer's own threads: beside twice the time that a call takes without an
/// attack, its threads wait for as long as a scheduler leaves some of so many waiting.
const SCHEDULED: Duration = Duration::from_millis(40);

/// What is attacked.
struct Target<'a> {
    url: &'a str,
    /// The key of an account that has credit.
    rich: &'a str,
    /// The key of one that has none.
    poor: &'a str,
    /// What sees every statement.
    relay: &'a Relay,
}

/// How a proxy is attacked.
struct Attack {
    kind: &'static str,
    /// So much more memory than at rest it may take meanwhile, in MiB.
    memory_max: u64,
    load: fn(&Target<'_>),
}

const ATTACKS: [Attack; 6] = [slow::CRUMBS, heads::ATTACK, smuggled::ATTACK, keys::ATTACK, bodies::ATTACK, slow::ATTACK];

#[test]
fn whoever_means_harm_is_refused_for_nothing_and_keeps_nobody_else_waiting() {
    let elsewhere = Elsewhere::start();
    let relay = Relay::to(&elsewhere.url);
    let place = Place::on(&relay.url);
    let (tally, key) = set_up(&place);
    let [rich, poor] = ["Rich", "Poor"].map(|name| add_account(&place, name));
    place.json(&["account", "credit", "Rich", "1000", "--reason", "To no avail"], "");
    let server = place.serve_logged(&["--only", "proxy"]);
    let target = Target { url: server.said("/proxy_url"), rich: &rich, poor: &poor, relay: &relay };
    let callers = Callers::default();
    for attack in ATTACKS {
        attack.make(&target, server.process.pid(), &callers, &key);
        expect_rest(&elsewhere.url);
        let sum = expect_exact(&elsewhere.url, &callers, &tally, &HashSet::new());
        let all = (sum.made, sum.made, sum.made);
        assert_eq!((sum.seen, sum.exact, tally.requests()), all, "{}: nothing else was forwarded: {sum:?}", attack.kind);
        for (account, credit) in [("Rich", "1000"), ("Poor", "0")] {
            let balance = place.json(&["account", "show", account], "")["balance"].clone();
            assert_eq!(
                (&balance["balance"], &balance["reserved"]),
                (&json!(credit), &json!("0")),
                "{}: {account} pays nothing",
                attack.kind
            );
        }
        assert_eq!(place.verify(), Vec::<Value>::new(), "{}", attack.kind);
    }
    assert!(server.process.stop(Signal::SIGTERM).success());
    assert!(!place.log().contains("panicked"), "{}", place.log());
    assert!(elsewhere.postgresql.stop(Signal::SIGTERM).success());
}

impl Attack {
    /// Attacks a proxy while a customer calls it.
    fn make(&self, target: &Target<'_>, process: Pid, callers: &Callers, key: &str) {
        let Self { kind, memory_max, load } = self;
        thread::scope(|scope| {
            let _wanted = callers.start_at_rate(scope, (target.url, key));
            let enough = usize::try_from(rate()).expect("a small number") * if is_long() { 5 } else { 1 };
            callers.expect_service(enough);
            let calm = Instant::now();
            callers.expect_more(enough);
            let (before, at_rest) = (callers.since(calm), Memory::anew(process));

            let begun = Instant::now();
            load(target);
            while is_long() && begun.elapsed() < LONG {
                load(target);
            }
            callers.expect_more(1);
            let (during, took, memory) = (callers.since(begun), begun.elapsed(), Memory::of(process));
            println!("{kind}: {took:?}, from {at_rest:?} to {memory:?}");
            expect_served(kind, &before, &during);
            assert!(memory.most <= at_rest.now + memory_max, "{kind}: {memory:?}, which is more than {memory_max} MiB above {at_rest:?}");
        });
    }
}

/// That the other customer was served as agreed.
fn expect_served(kind: &str, before: &[Made], during: &[Made]) {
    for made in during {
        let took = made.answer.as_ref().map(|told| told.took);
        assert!(made.is_seen() && took.is_some_and(|took| took < STALLED), "{kind}: {made:?}");
    }
    let (calm, attacked) = (p99(before), p99(during));
    println!("{kind}: the slowest hundredth of {} calls took {calm:?}, of {} meanwhile {attacked:?}", before.len(), during.len());
    let allowed = 2 * calm + SCHEDULED;
    assert!(!is_long() || attacked <= allowed, "{kind}: {attacked:?} instead of {calm:?}, which is more than {allowed:?}");
}

/// What the slowest hundredth takes at least.
fn p99(calls: &[Made]) -> Duration {
    let mut took: Vec<_> = calls.iter().filter_map(|made| Some(made.answer.as_ref()?.took)).collect();
    took.sort_unstable();
    took[(took.len() * 99).div_ceil(100) - 1]
}

/// What a process has of the memory, in MiB.
#[derive(Debug, Clone, Copy)]
struct Memory {
    now: u64,
    /// Since that was looked at [anew](Self::anew).
    most: u64,
}

impl Memory {
    /// From now on the most is what it has from now on (proc(5), `clear_refs`).
    fn anew(process: Pid) -> Self {
        fs::write(format!("/proc/{process}/clear_refs"), "5").expect("it runs, and is ours");
        Self::of(process)
    }

    fn of(process: Pid) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux says so").trim();
        let mebibytes = |name: &str| line(name).trim_end_matches(" kB").parse::<u64>().expect("a number").div_ceil(1024);
        Self { now: mebibytes("VmRSS:"), most: mebibytes("VmHWM:") }
    }
}
