//! Customers that mean harm, beside one who calls as agreed: what they send is refused rightly and costs nobody anything, the memory stays within bounds,
//! and the other is served all the while.
//!
//! Each kind is short in `make test`. In `make faults` it goes on for [`LONG`], on the release, at the rate that is asked for there. What the other customer waits
//! for is then compared with what they wait for at a second proxy, which nobody attacks, on the same machine in the same moments: who attacks, the upstream, the
//! database and whatever else the machine is busy with keep both waiting.

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
/// A machine that is busy with other things as well may leave one process waiting at a time, and not the other. What an attack does, it does each time.
const TRIES: usize = 3;

/// What is attacked.
struct Target<'a> {
    url: &'a str,
    /// A second proxy on the same books, which is left alone.
    left_alone: &'a str,
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
    let (server, beside) = (place.serve_logged(&["--only", "proxy"]), Place::on(&relay.url));
    let another = beside.serve_logged(&["--only", "proxy"]);
    let target = Target { url: server.said("/proxy_url"), left_alone: another.said("/proxy_url"), rich: &rich, poor: &poor, relay: &relay };
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
    assert!(server.process.stop(Signal::SIGTERM).success() && another.process.stop(Signal::SIGTERM).success());
    assert!(!place.log().contains("panicked"), "{}", place.log());
    assert!(elsewhere.postgresql.stop(Signal::SIGTERM).success());
}

impl Attack {
    /// Attacks a proxy while a customer calls it, and the one beside it.
    fn make(&self, target: &Target<'_>, process: Pid, callers: &Callers, key: &str) {
        thread::scope(|scope| {
            let _wanted = [target.url, target.left_alone].map(|url| callers.start_at_rate(scope, (url, key)));
            callers.expect_service(usize::try_from(rate()).expect("a small number"));
            let is_borne = (0..TRIES).any(|_| self.is_borne(target, process, callers));
            assert!(is_borne, "{}: each time others waited for more than twice as long as beside it", self.kind);
        });
    }

    /// Whether others wait there at most twice as long as beside it.
    fn is_borne(&self, target: &Target<'_>, process: Pid, callers: &Callers) -> bool {
        let Self { kind, memory_max, load } = self;
        let (at_rest, begun) = (Memory::anew(process), Instant::now());
        load(target);
        while is_long() && begun.elapsed() < LONG {
            load(target);
        }
        callers.expect_more(1);
        let (made, took, memory) = (callers.since(begun), begun.elapsed(), Memory::of(process));
        println!("{kind}: {took:?}, from {at_rest:?} to {memory:?}");
        assert!(memory.most <= at_rest.now + memory_max, "{kind}: {memory:?}, which is more than {memory_max} MiB above {at_rest:?}");
        for made in &made {
            let took = made.answer.as_ref().map(|told| told.took);
            assert!(made.is_seen() && took.is_some_and(|took| took < STALLED), "{kind}: {made:?}");
        }
        let [attacked, left_alone] = [target.url, target.left_alone].map(|url| p99(made.iter().filter(|made| made.url == url)));
        println!(
            "{kind}: of {} calls the slowest hundredth took {attacked:?} there, and {left_alone:?} at the proxy beside it",
            made.len()
        );
        !is_long() || attacked <= left_alone.map(|left_alone| 2 * left_alone)
    }
}

/// What the slowest hundredth takes at least.
fn p99<'a>(calls: impl Iterator<Item = &'a Made>) -> Option<Duration> {
    let mut took: Vec<_> = calls.filter_map(|made| Some(made.answer.as_ref()?.took)).collect();
    took.sort_unstable();
    took.get((took.len() * 99).div_ceil(100).checked_sub(1)?).copied()
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
