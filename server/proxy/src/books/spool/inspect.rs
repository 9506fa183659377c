//! Looks into a spool without its lock and without changing anything, for a command line.
//!
//! Of a spool that is being written, the last record of a lane may look torn.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use domain::id::CallId;
use serde::Serialize;

use super::{
    Identity, Kind, OpenError, Position, Record, checkpoint,
    identity::Manifest,
    lane_folder, lanes_in,
    segment::{self, Frames, HEADER_BYTES, NoHeader, Stage, Step},
};

/// A spool as it was found.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// Whose it is.
    pub identity: Identity,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// By their numbers.
    pub lanes: Vec<LaneInspection>,
    #[serde(skip)]
    folder: PathBuf,
}

/// A lane as it was found.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct LaneInspection {
    /// Its number.
    pub lane: u16,
    /// The position before which everything is settled and posted.
    pub checkpoint: Option<Position>,
    /// By their numbers.
    pub segments: Vec<SegmentInspection>,
    /// Calls without a settlement.
    pub unsettled: usize,
    /// Settlements behind the checkpoint: the most that may not be posted.
    pub unposted: u64,
}

/// A segment as it was found.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SegmentInspection {
    /// Its number.
    pub number: u64,
    /// What it takes on disk.
    pub bytes: u64,
    /// Since when all in it is posted; `None` if it may not be.
    pub posted_since: Option<DateTime<Utc>>,
    /// Calls that were begun in it.
    pub intents: u64,
    /// Calls that were settled in it.
    pub settlements: u64,
    /// Records of kinds that this version does not know.
    pub unknown: u64,
    /// Stretches that hold no record, its header among them.
    pub damaged: u64,
    /// Something behind the last record makes no sense.
    pub is_torn: bool,
}

/// A record, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In which lane.
    pub lane: u16,
    /// Where in it.
    pub position: Position,
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub record: Record,
}

/// Looks into a spool.
///
/// # Errors
/// [`OpenError::Io`] also when there is no spool, [`OpenError::Newer`] and [`OpenError::Corrupt`] for one that this version does not understand.
pub fn inspect(folder: &Path) -> Result<Inspection, OpenError> {
    let manifest = Manifest::read(folder)?;
    let manifest = manifest.ok_or_else(|| OpenError::at(folder)(io::Error::new(io::ErrorKind::NotFound, "there is no spool")))?;
    let mut numbers = lanes_in(folder).map_err(OpenError::at(folder))?;
    numbers.sort_unstable();
    let lanes = numbers.into_iter().map(|lane| inspect_lane(folder, lane)).collect::<Result<_, _>>()?;
    Ok(Inspection { identity: manifest.identity(), created_at: manifest.created_at, lanes, folder: folder.to_owned() })
}

impl Inspection {
    /// The records of all segments that were found, lane by lane, in order.
    pub fn records(&self) -> impl Iterator<Item = io::Result<Found>> {
        let segments = self.lanes.iter().flat_map(|lane| lane.segments.iter().map(|segment| (lane.lane, segment.number)));
        segments.flat_map(|(lane, number)| Records { folder: lane_folder(&self.folder, lane), lane, number, frames: None, is_over: false })
    }
}

fn inspect_lane(folder: &Path, lane: u16) -> Result<LaneInspection, OpenError> {
    let lane_folder = lane_folder(folder, lane);
    let listing = segment::list(&lane_folder).map_err(OpenError::at(&lane_folder))?;
    let checkpoint = checkpoint::read(&lane_folder);
    let logs = listing.logs.iter().map(|(number, bytes)| (*number, *bytes, None));
    let posted = listing.posted.iter().map(|(number, (bytes, since))| (*number, *bytes, Some(DateTime::from(*since))));
    let mut segments: Vec<_> = posted.chain(logs).collect();
    segments.sort_unstable();
    let mut inspection = LaneInspection { lane, checkpoint, segments: Vec::new(), unsettled: 0, unposted: 0 };
    let mut unsettled = HashSet::new();
    for (number, bytes, posted_since) in segments {
        inspection.segment(&lane_folder, SegmentInspection::new(number, bytes, posted_since), &mut unsettled)?;
    }
    inspection.unsettled = unsettled.len();
    Ok(inspection)
}

impl LaneInspection {
    fn segment(&mut self, folder: &Path, mut segment: SegmentInspection, unsettled: &mut HashSet<CallId>) -> Result<(), OpenError> {
        let number = segment.number;
        let path = segment::path(folder, number, Stage::Log);
        let Some(file) = open(folder, number).map_err(OpenError::at(&path))? else { return Ok(()) };
        let mut frames = Frames::new(file, HEADER_BYTES, u64::MAX);
        match frames.header().map_err(OpenError::at(&path))? {
            Err(NoHeader::Newer) => return Err(OpenError::Newer { path }),
            Err(NoHeader::Damaged) => segment.damaged += 1,
            Ok(_) | Err(NoHeader::Blank) => {}
        }
        loop {
            match frames.step().map_err(OpenError::at(&path))? {
                Step::Frame(range, frame) => {
                    let position = Position { segment: number, offset: range.start };
                    let is_open = segment.posted_since.is_none() && self.checkpoint.is_none_or(|checkpoint| position >= checkpoint);
                    match frame.kind {
                        Some(Kind::Intent) => {
                            segment.intents += 1;
                            if is_open {
                                unsettled.insert(frame.call);
                            }
                        }
                        Some(Kind::Settlement) => {
                            segment.settlements += 1;
                            self.unposted += u64::from(is_open);
                            unsettled.remove(&frame.call);
                        }
                        None => segment.unknown += 1,
                    }
                }
                Step::Damaged(_) => segment.damaged += 1,
                Step::Torn(_) => {
                    segment.is_torn = true;
                    break;
                }
                Step::End => break,
            }
        }
        self.segments.push(segment);
        Ok(())
    }
}

impl SegmentInspection {
    fn new(number: u64, bytes: u64, posted_since: Option<DateTime<Utc>>) -> Self {
        Self { number, bytes, posted_since, intents: 0, settlements: 0, unknown: 0, damaged: 0, is_torn: false }
    }
}

/// The records of one segment.
struct Records {
    folder: PathBuf,
    lane: u16,
    number: u64,
    frames: Option<Frames>,
    is_over: bool,
}

impl Records {
    fn read(&mut self) -> io::Result<Option<Found>> {
        let frames = match &mut self.frames {
            Some(frames) => frames,
            None => match open(&self.folder, self.number)? {
                Some(file) => self.frames.insert(Frames::new(file, HEADER_BYTES, u64::MAX)),
                None => return Ok(None),
            },
        };
        loop {
            match frames.step()? {
                Step::Frame(range, frame) => {
                    let Some(kind) = frame.kind else { continue };
                    let position = Position { segment: self.number, offset: range.start };
                    return Ok(Some(Found { lane: self.lane, position, kind, record: Record::of(&frame) }));
                }
                Step::Damaged(_) => {}
                Step::Torn(_) | Step::End => return Ok(None),
            }
        }
    }
}

impl Iterator for Records {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let found = self.read().transpose();
        self.is_over = !matches!(found, Some(Ok(_)));
        found
    }
}

/// Opens a segment, whether or not it was posted meanwhile; `None` if it is gone.
fn open(folder: &Path, number: u64) -> io::Result<Option<File>> {
    for stage in [Stage::Log, Stage::Posted] {
        match fs::File::open(segment::path(folder, number, stage)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened.map(Some),
        }
    }
    Ok(None)
}
