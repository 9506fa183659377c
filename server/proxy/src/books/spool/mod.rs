//! The spool: a proxy's own log of the calls that it admits and of what they come to, until the books have them.
//!
//! A call is [begun](Lane::begin) before it is forwarded and [settled](Lane::settle) before its client sees the end, each by one record. What was
//! written survives a killed process, since it is in the system's memory; with [`Durability::Disk`] it survives a machine that loses power, once it
//! is [durable](Lane::durable). Whoever posts [reads](Lane::reader) the settlements, the newest from memory, and says what is [posted](Lane::posted); what
//! is before the [checkpoint](Lane::checkpoint) is kept for a while and then deleted.
//!
//! The spool knows of a record its kind and its call. The body is its caller's, and has no zero byte in it.
//!
//! ```text
//! FOLDER/spool.json              whose it is, and in which format
//! FOLDER/lock                    held by the process that has it open
//! FOLDER/lane-N/00000001.log     a segment: header, frames, zeros where nothing is written yet
//! FOLDER/lane-N/00000001.posted  one of which everything is posted
//! FOLDER/lane-N/checkpoint       the position before which everything is settled and posted
//! FOLDER/damaged/N-00000001-64   what could not be read of a lane, by segment and offset
//! ```

mod checkpoint;
mod damaged;
mod error;
mod folder;
mod identity;
mod inspect;
mod lane;
mod position;
mod reader;
mod recovery;
mod segment;
mod space;
#[cfg(test)]
pub(in crate::books) mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{id::CallId, proxies::Report};
use nix::unistd::geteuid;

pub use self::{
    error::OpenError,
    identity::Identity,
    inspect::{Found, Inspection, LaneInspection, SegmentInspection, inspect},
    position::Position,
    segment::frame::Kind,
};
pub(crate) use self::{
    error::{AppendError, NotSettled},
    lane::{Begun, FreshCall, Lane, LaneState, Ticket},
    reader::{Entry, Reader},
};
use self::{
    identity::Manifest,
    lane::{Maker, commit_until_stopped},
    recovery::{Recovered, recover},
    space::Space,
};

/// The least that a segment has: room for some calls, each with its promise.
const SEGMENT_BYTES_MIN: u64 = 16 * 1024;
/// What names a lane's folder, before its number.
const LANE: &str = "lane-";

/// How a spool is opened.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where it is.
    pub(crate) folder: PathBuf,
    /// Whose it is.
    pub(crate) identity: Identity,
    /// Lanes that take calls. Those of a machine that had more cores are there as well, until they are empty.
    pub(crate) lanes: u16,
    /// What a segment takes on disk; 16 KiB at least.
    pub(crate) segment_bytes: u64,
    /// The most that all segments may take, two a lane at least. What is promised to running calls goes beyond it if need be.
    pub(crate) bytes_max: Option<u64>,
    /// What is left free on the disk for others: posted segments go for it before their time.
    pub(crate) free_min: u64,
    /// What a record is to survive.
    pub(crate) durability: Durability,
    /// How long segments are kept after they were posted: a database that fell back to an older state can be told again.
    pub(crate) keep: Duration,
    /// The most settlements of a lane that memory holds for whoever posts them; others are read back from the disk.
    pub(crate) fresh_max: usize,
}

/// What a record is to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A process that is killed.
    Os,
    /// A machine that loses power.
    Disk,
}

/// A record in its caller's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The call that it is of.
    pub call: CallId,
    /// That of the body's encoding.
    pub version: u8,
    /// What its caller has written.
    pub body: Vec<u8>,
}

/// A call that an earlier process had begun and not settled. It is settled like any other, in its lane.
#[derive(Debug)]
pub(crate) struct Unsettled {
    /// The lane that it was begun in.
    pub(crate) lane: Arc<Lane>,
    /// Its intent.
    pub(crate) record: Record,
    /// To settle it by.
    pub(crate) begun: Begun,
}

/// An open spool. Dropped without being [closed](Self::close), it is left like that of a killed process.
#[derive(Debug)]
pub(crate) struct Spool {
    lanes: Vec<Arc<Lane>>,
    /// How many of them take calls.
    writable: usize,
    created_at: DateTime<Utc>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Keeps other processes out.
    lock: fs::File,
}

impl Spool {
    /// Opens a spool, made if it is not there, and finds the calls that a process which was killed had begun in it. It reads all that is not posted.
    ///
    /// # Errors
    /// Each says what is in the way. Of a spool of another user, proxy or version nothing is changed.
    pub(crate) fn open(options: &Options) -> Result<(Self, Vec<Unsettled>), OpenError> {
        let folder = &options.folder;
        folder::make_private(folder).map_err(OpenError::at(folder))?;
        folder::expect_owned_by(folder, geteuid().as_raw())?;
        Manifest::expect(folder, options.identity)?;
        let lock = folder::lock(folder)?;
        let manifest = Manifest::expect(folder, options.identity)?;
        let created_at = match manifest {
            Some(manifest) => manifest.created_at,
            None => Manifest::write(folder, options.identity)?,
        };
        let makers = makers(options)?;
        makers.iter().try_for_each(recovery::expect_own_segments)?;
        let mut spool = Self { lanes: Vec::new(), writable: usize::from(options.lanes), created_at, threads: Mutex::default(), lock };
        let mut unsettled = Vec::new();
        for maker in makers {
            unsettled.extend(spool.open_lane(maker, options)?);
        }
        spool.prepare(folder)?;
        Ok((spool, unsettled))
    }

    fn open_lane(&mut self, maker: Maker, options: &Options) -> Result<Vec<Unsettled>, OpenError> {
        let (number, folder) = (maker.lane, maker.folder.clone());
        let set_aside = damaged::Counts::of(&folder, number).map_err(OpenError::at(&folder))?;
        let Recovered { log, outstanding, checkpoint, unsettled } = recover(maker)?;
        let lane = Arc::new(Lane::new(log, outstanding, checkpoint, set_aside, options.fresh_max, number < options.lanes));
        if options.durability == Durability::Disk {
            let lane = Arc::clone(&lane);
            let thread = thread::Builder::new().name(format!("spool-{number}")).spawn(move || commit_until_stopped(&lane));
            self.threads().push(thread.map_err(OpenError::at(&folder))?);
        }
        self.lanes.push(Arc::clone(&lane));
        let unsettled = unsettled.into_iter().map(|(intent, (record, promised))| {
            let begun = Begun::new(number, record.call, intent, promised);
            Unsettled { lane: Arc::clone(&lane), record, begun }
        });
        Ok(unsettled.collect())
    }

    /// What calls have begun with comes first: where there is little room, it is for them.
    fn prepare(&self, folder: &Path) -> Result<(), OpenError> {
        let promised = self.lanes.iter().try_for_each(|lane| lane.prepare_for_unsettled());
        promised.and_then(|()| self.lanes.iter().try_for_each(|lane| lane.prepare())).map_err(OpenError::at(folder))
    }

    /// Its lanes, in order: those that take calls, and behind them those that an earlier process had beside them.
    pub(crate) fn lanes(&self) -> &[Arc<Lane>] {
        &self.lanes
    }

    /// Those that take calls: at least one.
    pub(crate) fn writable(&self) -> &[Arc<Lane>] {
        &self.lanes[..self.writable]
    }

    /// How many calls run and how many are not posted, for operators.
    pub(crate) fn report(&self) -> Report {
        let states: Vec<_> = self.lanes.iter().map(|lane| lane.state()).collect();
        Report {
            running: states.iter().map(|state| u64::try_from(state.unsettled).unwrap_or(u64::MAX)).fold(0, u64::saturating_add),
            unposted: states.iter().map(|state| state.unposted).fold(0, u64::saturating_add),
            unposted_since: states.iter().filter_map(|state| state.oldest_unposted).min(),
        }
    }

    /// When it was made: it knows of no call that was admitted before.
    pub(crate) const fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// Ends it: nothing is written any more, everything written is as durable as it should be, no more is on disk than was written, and another process
    /// may open it.
    ///
    /// # Errors
    /// When a checkpoint cannot be written; the next process then reads more than it would have had to.
    pub(crate) fn close(&self, now: DateTime<Utc>) -> io::Result<()> {
        let checkpointed = self.lanes.iter().map(|lane| lane.checkpoint(now)).fold(Ok(()), io::Result::and);
        self.stop();
        self.lanes.iter().for_each(|lane| lane.cut());
        checkpointed.and(self.lock.unlock())
    }

    /// Lets nobody write any more, and waits for the threads.
    fn stop(&self) {
        self.lanes.iter().for_each(|lane| lane.close());
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the spool has panicked");
            }
        }
    }
}

impl Spool {
    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.stop();
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the spool's lock is held until the process ends");
        }
    }
}

/// What makes the segments of each lane: of those that take calls, and of others that are there.
fn makers(options: &Options) -> Result<Vec<Maker>, OpenError> {
    let segment_bytes = options.segment_bytes.max(SEGMENT_BYTES_MIN);
    let needed = segment_bytes.saturating_mul(2).saturating_mul(options.lanes.into());
    if let Some(bytes_max) = options.bytes_max.filter(|bytes_max| *bytes_max < needed) {
        return Err(OpenError::TooSmall { bytes_max, needed });
    }
    let space = Arc::new(Space::new(options));
    let mut lanes = lanes_in(&options.folder).map_err(OpenError::at(&options.folder))?;
    lanes.extend(0..options.lanes);
    lanes.sort_unstable();
    lanes.dedup();
    let maker = |lane| {
        let folder = lane_folder(&options.folder, lane);
        folder::make_private(&folder).map_err(OpenError::at(&folder))?;
        let Options { identity, durability, .. } = *options;
        Ok(Maker { folder, lane, identity, segment_bytes, durability, space: Arc::clone(&space) })
    };
    lanes.into_iter().map(maker).collect()
}

/// The numbers of the lanes that are there.
fn lanes_in(folder: &Path) -> io::Result<Vec<u16>> {
    let mut lanes = Vec::new();
    for entry in fs::read_dir(folder)? {
        lanes.extend(entry?.file_name().to_str().and_then(|name| name.strip_prefix(LANE)?.parse::<u16>().ok()));
    }
    Ok(lanes)
}

fn lane_folder(folder: &Path, lane: u16) -> PathBuf {
    folder.join(format!("{LANE}{lane}"))
}
