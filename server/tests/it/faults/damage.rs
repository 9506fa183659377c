//! A spool whose bytes have changed while its proxy was down.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::Write,
    thread,
    time::Instant,
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Callers, Locked, expect_exact, expect_rest, rounds, set_up};
use crate::{farebox::Place, life::wait_until};

const CALLERS: usize = 8;
/// Places of a segment at which something changes.
const CHANGES: usize = 4;
/// Calls that are in the spool and not posted, at least.
const UNPOSTED: usize = 12;
/// Each segment begins with what it is.
const HEADER: usize = 64;
/// Each record begins with its length and its checksum.
const PREFIX: usize = 8;

/// Numbers that look random: SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from(mixed ^ (mixed >> 31)).expect("64 bits") % bound
    }
}

/// Where a record is, and of which call.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    lane: u64,
    segment: u64,
    offset: u64,
    user: String,
}

/// All records of a spool that nobody writes.
fn records(place: &Place) -> Vec<Record> {
    let shown = place.command(&["spool", "show", "--records"]).output().expect("farebox runs");
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let lines: Vec<Value> = shown.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let number = |line: &Value, of: &str| line[of].as_u64().expect("a number");
    // Intents and settlements alike say whose they are.
    let user = |line: &Value| {
        let body = &line["body"];
        let said = [&body["attribution"]["end_user"], &body["admitted"]["attribution"]["end_user"]];
        said.into_iter().find_map(Value::as_str).unwrap_or_else(|| panic!("no end user in {line}")).to_owned()
    };
    let record = |line: &Value| Record {
        lane: number(line, "lane"),
        segment: number(line, "segment"),
        offset: number(line, "offset"),
        user: user(line),
    };
    lines.iter().map(record).collect()
}

/// Where each lane is posted up to, as the spool says.
fn checkpoints(place: &Place) -> HashMap<u64, (u64, u64)> {
    let shown = place.json(&["spool", "show"], "");
    let lanes = shown["lanes"].as_array().expect("lanes").iter();
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    lanes.map(|lane| (number(&lane["lane"]), (number(&lane["checkpoint"]["segment"]), number(&lane["checkpoint"]["offset"])))).collect()
}

/// Changes bytes of each lane's last segment, and every other time tears its end. Returns the records in which something is another byte now.
fn damage(place: &Place, dice: &mut Dice) -> Vec<Record> {
    let spool = place.data().join("spool");
    let mut last: HashMap<u64, Vec<Record>> = HashMap::new();
    for record in records(place) {
        let of_lane = last.entry(record.lane).or_default();
        of_lane.retain(|other| other.segment == record.segment);
        of_lane.push(record);
    }
    let mut damaged = Vec::new();
    for (lane, records) in last {
        let path = spool.join(format!("lane-{lane}/{:08}.log", records[0].segment));
        let before = fs::read(&path).expect("the segment is there");
        let mut after = before.clone();
        let frame = |record: &Record| {
            let start = usize::try_from(record.offset).expect("it is small");
            let length = u32::from_le_bytes(before[start..start + 4].try_into().expect("four bytes"));
            start..start + PREFIX + usize::try_from(length).expect("it is small")
        };
        let end = frame(records.last().expect("a record")).end;
        for _ in 0..CHANGES {
            let at = HEADER + dice.below(end - HEADER);
            after[at] ^= 1 << dice.below(8);
        }
        if dice.below(2) == 0 {
            // Of what was written last only a part was.
            let whole = frame(records.last().expect("a record"));
            let from = whole.start + PREFIX + dice.below(whole.len() - PREFIX);
            after[from..whole.end].fill(0);
        }
        damaged.extend(records.into_iter().filter(|record| before[frame(record)] != after[frame(record)]));
        // In its place, as its owner's.
        let mut file = fs::File::options().write(true).open(&path).expect("it can be written");
        file.write_all(&after).expect("it can be written");
    }
    damaged
}

/// That a record was set aside at the start after it, and that this was told.
fn expect_told(place: &Place, log: &str, record: &Record) {
    let entries = fs::read_dir(place.data().join("spool/damaged")).expect("something is damaged");
    let kept = entries.map(|entry| entry.expect("it can be read")).find_map(|entry| {
        let name = entry.file_name().into_string().expect("a name of ours");
        let mut parts = name.trim_end_matches(".torn").split('-').map(|part| part.parse::<u64>().expect("a number"));
        let (lane, segment, offset) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = entry.metadata().expect("it is there").len();
        let is_here = (lane, segment) == (record.lane, record.segment) && (offset..offset + bytes).contains(&record.offset);
        is_here.then_some(offset)
    });
    let kept = kept.unwrap_or_else(|| panic!("it is not kept: {record:?}"));
    let at = format!("at={}:{kept} ", record.segment);
    assert!(plain(log).lines().any(|line| line.contains("the spool: ") && line.contains(&at)), "{record:?} is not in the log: {log}");
}

/// Without colours.
fn plain(log: &str) -> String {
    let mut parts = log.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn of_a_spool_whose_bytes_have_changed_only_the_damaged_records_are_lost_and_each_is_told() {
    let rounds = rounds(20).div_ceil(10);
    let seed = std::process::id().into();
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let place = Place::new();
    let (tally, key) = set_up(&place);
    // The cap is far above what they come to: so much is leased that no call waits for more.
    let callers = Callers { more: [("max_tokens".to_owned(), json!(100_000))].into_iter().collect(), ..Callers::default() };
    let mut excused = HashSet::new();
    let mut damaged: Vec<Record> = Vec::new();
    let mut told = 0;
    for round in 0..=rounds {
        let server = place.serve_logged(&["--only", "proxy"]);
        let (url, database) = (server.said("/proxy_url").to_owned(), server.said("/database_url").to_owned());
        expect_rest(&database);
        let log = place.log();
        damaged.iter().for_each(|record| expect_told(&place, &log, record));
        told += damaged.len();
        let sum = expect_exact(&database, &callers, &tally, &excused);
        println!("round {round}: {told} damaged records so far: {sum:?}");
        assert_eq!(place.verify(), Vec::<Value>::new());
        if round == rounds {
            assert!(server.process.stop(Signal::SIGTERM).success());
            break;
        }
        let locked = thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| callers.call_until_it_dies(&url, &key));
            }
            callers.expect_more(30);
            let locked = Locked::all_accounts(&database);
            let begun = Instant::now();
            wait_until(|| callers.since(begun).iter().filter(|made| made.is_seen()).count() >= UNPOSTED);
            server.process.kill();
            locked
        });
        drop(locked);
        let posted = checkpoints(&place);
        damaged = damage(&place, &mut dice);
        excused.extend(damaged.iter().map(|record| record.user.trim_start_matches("call-").parse::<usize>().expect("a place")));
        // What is posted nobody reads again.
        damaged.retain(|record| (record.segment, record.offset) >= posted[&record.lane]);
    }
    assert!(told > 0, "nothing of what was not posted was hit");
}
