//! What metering costs: Farebox measured against nginx as a plain proxy, in the same run: `make bench-proxy`, or, after `make build` and with `DATABASE_URL`
//! set, `cargo run --release -p bench`. `FAREBOX` names the binary, where that is not the release's (`target/release/farebox`).
//!
//! The gateway under test has one core; load, upstream and PostgreSQL share the others. Rounds are interleaved (direct, nginx, a gateway of Farebox's
//! libraries that meters nothing, Farebox), and each ratio is of one round; medians are printed with the least and the most. Farebox does all that it does
//! for a customer: it reads the key and the prompt of 1 KiB, leases, keeps its spool, posts. A call's processor time is that of the whole process, from the
//! first call until the last one is posted; PostgreSQL's own is counted apart. nginx keeps connections to its upstream, buffers nothing, logs nothing.
//!
//! In the end the load's own count of calls must be that of the books, `farebox verify` must find no problem, and nothing may have been
//! refused.
//!
//! Knobs, by environment: `ROUNDS` (5), `SECONDS` of each measurement (3), `CONNECTIONS` of the closed loops (16), `ACCOUNTS` (1,000),
//! `STREAMS` that are open at once (1,000), and `PARTS`, of `memory,closed,rates,streams` those that are wanted.
//!
//! 28 November 2026, two shared cores, PostgreSQL 15 with fsync: nginx 14.7 µs of CPU a call and 64,100 calls a second; the gateway that meters nothing
//! 15.2 µs (1.0 × nginx's) and 64,600; Farebox 37 µs of one account (2.5 ×) and 23,000, 44 µs of a thousand (3.0 ×) and 21,300, and PostgreSQL 16 and 37 µs
//! more. Of one account's 37 µs about 6 are posting and 16 its own work on the core that serves, no function of which takes 1. At 1,000 calls a second it
//! takes 1.8 to 2.4 × nginx's CPU a call, at 20,000 events of streams a second 1.3 × an event. 1,000 open streams: 36 MiB over idle (nginx 20, the gateway
//! that meters nothing 27).
//!
//! The same day, when the machine gave half as much: a release laid out by its profile (`make build-tuned`) 2.2 to 2.5 × nginx's CPU a call of one account
//! where the plain one took 3.1 to 3.2 ×, and 13,100 calls a second instead of 9,500. The rest is spread thin: of the tuned one's time 44 in 100 are the
//! kernel's, for two sends, two receives and a quarter of a write to the spool a call, which is what nginx takes altogether; no function of its own has 5.
#![expect(clippy::unwrap_used, clippy::float_arithmetic, reason = "a benchmark fails by panicking, and divides what it measured")]

mod cores;
mod database;
mod farebox;
mod figures;
mod forwarder;
mod http;
mod load;
mod nginx;
mod process;
mod prompts;
mod upstream;

use std::{env, process::ExitCode, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use crate::{
    cores::{Cores, Stat, memory_kib},
    database::Database,
    farebox::Place,
    figures::{Compared, Figures, Who},
    forwarder::Forwarder,
    load::{Answers, Requests, Streams},
    nginx::{Nginx, Task},
    process::{Folder, Process},
    upstream::{Shape, Upstream},
};

/// Calls a second that come at a constant rate, and what their figures are called.
const RATES: [(u32, [&str; 3]); 2] = [
    (200, ["p50 at 200/s, µs", "p99 at 200/s, µs", "µs of CPU a call at 200/s"]),
    (1_000, ["p50 at 1,000/s, µs", "p99 at 1,000/s, µs", "µs of CPU a call at 1,000/s"]),
];
/// How long a gateway is left alone before its memory is read.
const REST: Duration = Duration::from_secs(1);

fn setting(name: &str, default: usize) -> usize {
    env::var(name).ok().and_then(|text| text.replace('_', "").parse().ok()).unwrap_or(default)
}

/// Everything that runs. What is named first ends first.
struct World {
    farebox: Process,
    farebox_port: u16,
    gateway: Nginx,
    forwarder: Forwarder,
    answers: Nginx,
    streams: Upstream,
    database: Database,
    place: Place,
    cores: Cores,
    /// Of one account, and of many.
    requests: [Requests; 2],
    key: String,
    span: Duration,
    /// What became of all calls.
    all: Answers,
    /// The same of those through Farebox.
    metered: Answers,
    _folder: Folder,
}

/// Which upstream.
#[derive(Debug, Clone, Copy)]
enum Answering {
    AtOnce,
    InStreams,
}

/// Processor time at an instant, in microseconds.
struct Spent {
    gateway: u64,
    postgres: Option<u64>,
}

impl World {
    async fn make(database_url: &str) -> Self {
        let cores = Cores::split();
        let folder = Folder::new();
        let answers = Nginx::start("answers", &[Task::Answer], folder.path(), None);
        let streams = Upstream::start();
        let tasks = [Task::PassOn(answers.ports[0]), Task::PassOn(streams.port)];
        let gateway = Nginx::start("gateway", &tasks, folder.path(), Some(&cores));
        let forwarder = Forwarder::start(&[answers.ports[0], streams.port], folder.path(), &cores);
        let mut database = Database::make(database_url, &cores).await;
        let place = Place::new(folder.path().to_owned(), database.url.clone());
        place.prepare(&[("small", answers.ports[0]), ("stream", streams.port)]);
        let key = place.customer();
        let keys = database.customers(setting("ACCOUNTS", 1_000).max(1)).await;
        let requests = [prompts::requests(std::slice::from_ref(&key)), prompts::requests(&keys)];
        let (farebox, farebox_port) = place.serve(&cores);
        println!("farebox is process {}, nginx {}, the unmetered gateway {}.", farebox.pid(), gateway.pid(), forwarder.pid());
        let span = Duration::from_secs(u64::try_from(setting("SECONDS", 3)).unwrap());
        let (all, metered) = Default::default();
        Self {
            farebox,
            farebox_port,
            gateway,
            forwarder,
            answers,
            streams,
            database,
            place,
            cores,
            requests,
            key,
            span,
            all,
            metered,
            _folder: folder,
        }
    }

    fn port(&self, who: Who, answering: Answering) -> u16 {
        match (who, answering) {
            (Who::Direct, Answering::AtOnce) => self.answers.ports[0],
            (Who::Direct, Answering::InStreams) => self.streams.port,
            (Who::Nginx, answering) => self.gateway.ports[answering as usize],
            (Who::Bare, answering) => self.forwarder.ports[answering as usize],
            (Who::One | Who::Many, _) => self.farebox_port,
        }
    }

    /// The gateway's process.
    fn pid(&self, who: Who) -> Option<u32> {
        match who {
            Who::Direct => None,
            Who::Nginx => Some(self.gateway.pid()),
            Who::Bare => Some(self.forwarder.pid()),
            Who::One | Who::Many => Some(self.farebox.pid()),
        }
    }

    fn spent(&self, who: Who) -> Spent {
        let gateway = self.pid(who).map_or(0, |pid| Stat::of(pid).expect("it runs").cpu_us);
        Spent { gateway, postgres: self.database.cpu_us().filter(|_| who.is_farebox()) }
    }

    /// Counts calls that have ended, and waits until they are posted.
    async fn settle(&mut self, who: Who, answers: Answers) {
        self.all.add(answers);
        let Answers { refused, refusal, broken, .. } = answers;
        if refused + broken > 0 {
            println!("{who:?}: {refused} calls refused ({refusal}), {broken} broken off");
        }
        if who.is_farebox() {
            self.metered.add(answers);
            self.database.posted(self.metered.answered).await;
        }
    }

    /// What many streams that are open at once take of a gateway's memory, in KiB over what it has when it is idle.
    async fn memory(&mut self, figures: &mut Figures, count: usize) {
        let row = figures.row("KiB over idle, all streams open", Compared::Whole, "(≤ 32 MiB for 1,000)");
        let idle = figures.row("KiB idle, after a few calls", Compared::Alone, "");
        for who in [Who::Nginx, Who::Bare, Who::One] {
            let (port, pid) = (self.port(who, Answering::InStreams), self.pid(who).expect("a gateway"));
            let shape = Shape { events: 2, gap: Duration::from_millis(1), is_held: true };
            let warm = load::streams(port, &self.key, Shape { is_held: false, ..shape }, 4, Duration::from_millis(100)).await;
            self.settle(who, warm.answers).await;
            sleep(REST).await;
            let before = memory_kib(pid);
            let (open, others) = load::open_streams(port, &http::request(&self.key, &shape.request()), count).await;
            sleep(REST).await;
            figures.note(row, who, memory_kib(pid).saturating_sub(before) as f64);
            figures.note(idle, who, before as f64);
            self.streams.release();
            let mut answers = load::end_streams(open).await;
            answers.add(others);
            self.settle(who, answers).await;
        }
    }

    /// As many calls as can be made over a few connections: how many, and what each takes.
    async fn closed(&mut self, figures: &mut Figures, rounds: usize) {
        let rate = figures.row("calls a second, closed loop", Compared::Whole, "≥ 0.75");
        let cpu = figures.row("µs of CPU a call", Compared::Whole, "≤ 1.3");
        let postgres = figures.row("µs of PostgreSQL's CPU a call", Compared::Alone, "");
        let connections = setting("CONNECTIONS", 16);
        for round in 0..rounds {
            for who in in_turn(round, &Who::ALL) {
                let requests = &self.requests[usize::from(who == Who::Many)];
                let before = self.spent(who);
                let (measured, answers) = load::closed(self.port(who, Answering::AtOnce), requests, connections, self.span).await;
                self.settle(who, answers).await;
                let after = self.spent(who);
                let calls = answers.answered.max(1) as f64;
                figures.note(rate, who, measured);
                if who != Who::Direct {
                    figures.note(cpu, who, (after.gateway - before.gateway) as f64 / calls);
                }
                if let (Some(before), Some(after)) = (before.postgres, after.postgres) {
                    figures.note(postgres, who, (after - before) as f64 / calls);
                }
            }
        }
    }

    /// Calls at a constant rate: how long each takes from when it was due.
    async fn rates(&mut self, figures: &mut Figures, rounds: usize) {
        for (rate, [half, most, spent]) in RATES {
            let p50 = figures.row(half, Compared::Added, "≤ 1.2 of what nginx adds");
            let p99 = figures.row(most, Compared::Added, "≤ 1.5 of what nginx adds");
            let cpu = figures.row(spent, Compared::Whole, "");
            for round in 0..rounds {
                for who in in_turn(round, &[Who::Direct, Who::Nginx, Who::Bare, Who::One]) {
                    let before = self.spent(who);
                    let (spans, answers) = load::constant(self.port(who, Answering::AtOnce), &self.requests[0], rate, self.span).await;
                    figures.note(p50, who, percentile_us(&spans, 50));
                    figures.note(p99, who, percentile_us(&spans, 99));
                    self.settle(who, answers).await;
                    if who != Who::Direct {
                        figures.note(cpu, who, (self.spent(who).gateway - before.gateway) as f64 / answers.answered.max(1) as f64);
                    }
                }
            }
        }
    }

    /// Streams: a few short ones for how late their events are, many long ones for what an event takes.
    async fn streams(&mut self, figures: &mut Figures, rounds: usize) {
        let first = figures.row("first event, p50, µs", Compared::Whole, "≤ 1.2");
        let [p50, p99] =
            ["delay of an event, p50, µs", "delay of an event, p99, µs"].map(|what| figures.row(what, Compared::Whole, "≤ 1.2"));
        let cpu = figures.row("µs of CPU an event, 20,000/s", Compared::Whole, "≤ 1.2");
        let few = Shape { events: 10, gap: Duration::from_millis(20), is_held: false };
        let events = u64::try_from(self.span.as_millis()).unwrap() / 5;
        let many = Shape { events: events.max(2), gap: Duration::from_millis(5), is_held: false };
        for round in 0..rounds {
            for who in in_turn(round, &[Who::Direct, Who::Nginx, Who::Bare, Who::One]) {
                let port = self.port(who, Answering::InStreams);
                let streams = load::streams(port, &self.key, few, 20, self.span).await;
                figures.note(first, who, percentile_us(&streams.first, 50));
                figures.note(p50, who, percentile_us(&streams.delays, 50));
                figures.note(p99, who, percentile_us(&streams.delays, 99));
                self.settle(who, streams.answers).await;
                if who == Who::Direct {
                    continue;
                }
                let before = self.spent(who);
                let Streams { first: firsts, delays, answers } = load::streams(port, &self.key, many, 100, REST).await;
                self.settle(who, answers).await;
                let spent = self.spent(who).gateway - before.gateway;
                figures.note(cpu, who, spent as f64 / (firsts.len() + delays.len()).max(1) as f64);
            }
        }
    }

    /// That each call is in the books, once, that they hold, and that all were answered. Ends what runs, and returns whether it is so.
    async fn end(mut self) -> bool {
        let Answers { answered, refused, broken, .. } = self.all;
        let posted = self.database.posted(self.metered.answered).await;
        let calls = self.database.calls().await;
        drop(self.farebox);
        let (proved, faults) = self.place.verify();
        let metered = self.metered.answered;
        println!("\n{answered} calls answered, {refused} refused, {broken} broken off; of those through Farebox {metered} answered.");
        println!("In the books: {calls} calls, {posted} in the sums of days, {proved} proved; {faults} problems.");
        self.database.remove(&self.cores).await;
        refused == 0 && broken == 0 && faults == 0 && [posted, calls, proved] == [metered; 3]
    }
}

/// The other way round in every other round: who comes first has no advantage.
fn in_turn(round: usize, all: &[Who]) -> Vec<Who> {
    let mut all = all.to_vec();
    if round % 2 == 1 {
        all.reverse();
    }
    all
}

/// Of sorted spans, in microseconds.
fn percentile_us(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(place).map_or(f64::NAN, |span| span.as_secs_f64() * 1e6)
}

async fn measure(database_url: &str) -> bool {
    let rounds = setting("ROUNDS", 5);
    let parts = env::var("PARTS").unwrap_or_else(|_| "memory,closed,rates,streams".to_owned());
    let is_wanted = |part: &str| parts.split(',').any(|wanted| wanted == part);
    let (mut world, mut figures) = (World::make(database_url).await, Figures::default());
    if is_wanted("memory") {
        world.memory(&mut figures, setting("STREAMS", 1_000)).await;
    }
    if is_wanted("closed") {
        world.closed(&mut figures, rounds).await;
    }
    if is_wanted("rates") {
        world.rates(&mut figures, rounds).await;
    }
    if is_wanted("streams") {
        world.streams(&mut figures, rounds).await;
    }
    figures.print();
    world.end().await
}

fn main() -> ExitCode {
    forwarder::run_if_wanted();
    let Ok(url) = env::var("DATABASE_URL") else {
        println!("skipped: DATABASE_URL is not set");
        return ExitCode::SUCCESS;
    };
    if !nginx::is_there() {
        return ExitCode::FAILURE;
    }
    cores::prepare(4 * setting("STREAMS", 1_000) + 1_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let holds = runtime.block_on(async {
        let [mut interrupt, mut terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).unwrap());
        tokio::select! {
            holds = measure(&url) => holds,
            _ = interrupt.recv() => false,
            _ = terminate.recv() => false,
        }
    });
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
