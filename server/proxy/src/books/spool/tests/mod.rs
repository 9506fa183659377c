//! The spool as its users see it, on a disk.

mod damage;
mod durability;
mod fresh;
mod inspection;
mod model;
mod opening;
mod posting;
mod reading;
mod room;
mod together;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    attribution::Attribution,
    credit::Split,
    id::{AccountId, CallId, KeyId, PriceId, ProjectId},
    money::Amount,
    pricing::{Discount, Excess},
    rates::Rates,
    service_tier::ServiceTier,
    tokens::Tokens,
};
use ledger::{Admitted, SettledCall};
use uuid::Uuid;

use super::{Begun, Durability, Entry, Identity, Lane, Options, Position, Reader, Spool, Unsettled};
use crate::books::interrupted;

/// The smallest that there is.
const SEGMENT_BYTES: u64 = 16 * 1024;
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder that is gone when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("farebox-spool-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a temporary folder");
        Self(folder)
    }

    fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    /// One lane, as little room as there can be, and no bound.
    fn options(&self) -> Options {
        Options {
            folder: self.spool(),
            identity: Identity { database: Uuid::from_u128(1), proxy: Uuid::from_u128(2) },
            lanes: 1,
            segment_bytes: SEGMENT_BYTES,
            bytes_max: None,
            free_min: 0,
            durability: Durability::Os,
            keep: KEEP,
            fresh_max: 3,
        }
    }

    fn open(&self) -> (Spool, Arc<Lane>) {
        let (spool, unsettled) = open(&self.options());
        assert!(unsettled.is_empty());
        let lane = first(&spool);
        (spool, lane)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.spool().join(name)
    }

    /// The names in a folder of the spool, in order.
    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.file(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(options: &Options) -> (Spool, Vec<Unsettled>) {
    Spool::open(options).expect("it opens")
}

fn first(spool: &Spool) -> Arc<Lane> {
    Arc::clone(&spool.lanes()[0])
}

/// The beginning of time, as far as these tests go.
fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// A call that began so many seconds later.
fn call(number: u32) -> CallId {
    CallId::new(start() + TimeDelta::seconds(number.into()), [7; 10])
}

fn begin(lane: &Lane, number: u32, body: &[u8]) -> Begun {
    lane.begin(call(number), 1, body).expect("there is room")
}

fn settle(lane: &Lane, begun: Begun, body: &[u8]) -> Position {
    let settled = settled(begun.call);
    lane.settle(begun, 1, body, &settled).expect("it was promised")
}

/// A call as whoever posts it wants it; what it came to is none of the spool's business.
pub(in crate::books) fn settled(call: CallId) -> Arc<SettledCall> {
    let nobody = Uuid::nil();
    let admitted = Admitted {
        account_id: AccountId::from_uuid(nobody),
        call_id: call,
        key_id: KeyId::from_uuid(nobody),
        project_id: ProjectId::from_uuid(nobody),
        member: None,
        attribution: Attribution::default(),
        model: "small".to_owned(),
        provider: "upstream".to_owned(),
        price_id: PriceId::from_uuid(nobody),
        discount: Discount::NONE,
        stream: false,
        excess: Excess::WrittenOff,
        input_estimate: Tokens::ZERO,
        held: Amount::ZERO,
        tokens_held: Tokens::ZERO,
        epoch: None,
        split: Split::default(),
        asked_tier: ServiceTier::Default,
    };
    Arc::new(interrupted::settlement(admitted, &Rates::plain(Amount::ZERO, Amount::ZERO), 0))
}

/// Begins a call and settles it.
fn record(lane: &Lane, number: u32, body: &[u8]) -> Position {
    settle(lane, begin(lane, number, b"{}"), body)
}

/// Everything that is there to be read.
fn drain(reader: &mut Reader) -> Vec<Entry> {
    let mut all = Vec::new();
    loop {
        let entries = reader.next(7, 20_000).expect("the disk works");
        if entries.is_empty() {
            return all;
        }
        all.extend(entries);
    }
}

/// The calls whose settlements a new reader of the lane finds.
fn read(lane: &Arc<Lane>) -> Vec<CallId> {
    drain(&mut lane.reader()).into_iter().map(|entry| entry.record.call).collect()
}

/// Reads and posts everything.
fn post_all(lane: &Arc<Lane>) {
    drain(&mut lane.reader()).iter().for_each(|entry| lane.posted(entry.position));
}

/// What the segments take on disk, by their names.
fn sizes(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let lanes = fs::read_dir(folder).expect("a spool").map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
    let files = lanes.flat_map(|lane| fs::read_dir(lane).expect("a folder").map(|entry| entry.expect("an entry").path()));
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log" || extension == "posted");
    files.filter(is_segment).map(|path| (path.clone(), fs::metadata(path).expect("a segment").len())).collect()
}
