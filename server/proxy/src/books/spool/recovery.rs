//! What an earlier process left in a lane: which calls it had begun and not settled, and where its log ends.
//!
//! Nothing is ever written behind what is there, since that may be torn; a segment in which nothing was written is taken over.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fs::{self, File},
    io,
};

use domain::id::CallId;

use super::{
    Position, Record, checkpoint,
    error::OpenError,
    lane::{Finished, Log, Maker, Outstanding, Writable},
    segment::{
        self, Frames, HEADER_BYTES, Header, Listing, NoHeader, Stage, Step,
        frame::{Frame, Kind},
    },
};

/// A lane as it was left.
pub(super) struct Recovered {
    pub(super) log: Log,
    pub(super) outstanding: Outstanding,
    pub(super) checkpoint: Option<Position>,
    /// Intents without a settlement, in order, and what is promised to those.
    pub(super) unsettled: BTreeMap<Position, (Record, u64)>,
}

/// What was found so far.
struct Scan {
    maker: Maker,
    outstanding: Outstanding,
    finished: BTreeMap<u64, Finished>,
    /// Segments in which nothing was written, behind all others.
    unused: VecDeque<Writable>,
    /// Intents without a settlement.
    unsettled: HashMap<CallId, (Position, Record)>,
}

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Behind its last record nothing was written.
    Clean(u64),
    /// Something is there that makes no sense.
    Torn,
}

/// Sees to it that a lane's segments are its own, before anything is changed.
///
/// # Errors
/// [`OpenError::Newer`] or [`OpenError::Foreign`] for segments that are none of this spool's, [`OpenError::Corrupt`] for one in a wrong place.
pub(super) fn expect_own_segments(maker: &Maker) -> Result<(), OpenError> {
    let Maker { folder, lane, identity, .. } = maker;
    let listing = segment::list(folder).map_err(OpenError::at(folder))?;
    for &number in listing.logs.keys() {
        let path = segment::path(folder, number, Stage::Log);
        let file = segment::open(folder, number).map_err(OpenError::at(&path))?;
        match Frames::new(file, HEADER_BYTES, HEADER_BYTES).header().map_err(OpenError::at(&path))? {
            Err(NoHeader::Newer) => return Err(OpenError::Newer { path }),
            Ok(header) if header.identity != *identity => {
                return Err(OpenError::Foreign { folder: folder.clone(), found: header.identity, expected: *identity });
            }
            Ok(header) if (header.lane, header.segment) != (*lane, number) => {
                let problem = format!("it says that it is segment {} of lane {}", header.segment, header.lane);
                return Err(OpenError::Corrupt { path, problem });
            }
            // Without a header there may be records all the same.
            Ok(_) | Err(NoHeader::Blank | NoHeader::Damaged) => {}
        }
    }
    Ok(())
}

/// Finds out how a lane was left, and frees the room that nobody will write any more.
///
/// # Errors
/// [`OpenError::Io`] when the disk fails.
pub(super) fn recover(maker: Maker) -> Result<Recovered, OpenError> {
    let listing = segment::list(&maker.folder).map_err(OpenError::at(&maker.folder))?;
    let checkpoint = checkpoint::read(&maker.folder);
    let oldest = listing.logs.keys().next().copied().unwrap_or(1);
    let start = checkpoint.unwrap_or(Position { segment: oldest, offset: HEADER_BYTES });
    let numbers = listing.logs.keys().chain(listing.posted.keys()).copied().max();
    // That of the checkpoint, too: a position in a segment that is gone must stay before all others.
    let next_number = numbers.max(checkpoint.map(|position| position.segment)).map_or(1, |last| last.saturating_add(1));

    let mut scan =
        Scan { maker, outstanding: Outstanding::new(start), finished: BTreeMap::new(), unused: VecDeque::new(), unsettled: HashMap::new() };
    scan.tidy(&listing)?;
    for (&number, &bytes) in &listing.logs {
        scan.segment(number, bytes, start)?;
    }
    scan.finish(checkpoint, next_number)
}

impl Scan {
    /// Removes what was being made, and counts what is kept.
    fn tidy(&self, listing: &Listing) -> Result<(), OpenError> {
        for number in &listing.drafts {
            let path = segment::path(&self.maker.folder, *number, Stage::Draft);
            fs::remove_file(&path).map_err(OpenError::at(&path))?;
        }
        for (number, (bytes, since)) in &listing.posted {
            self.maker.space.add(*bytes);
            self.maker.space.note_posted(self.maker.lane, *number, *bytes, *since);
        }
        listing.logs.values().for_each(|bytes| self.maker.space.add(*bytes));
        Ok(())
    }

    fn segment(&mut self, number: u64, bytes: u64, start: Position) -> Result<(), OpenError> {
        if number < start.segment {
            // It is posted, and the process ended before it could say so.
            self.finished.insert(number, Finished { bytes, readable: bytes });
            return Ok(());
        }
        let path = segment::path(&self.maker.folder, number, Stage::Log);
        let file = segment::open_to_write(&self.maker.folder, number).map_err(OpenError::at(&path))?;
        let reading = file.try_clone().map_err(OpenError::at(&path))?;
        let from = if number == start.segment { start.offset } else { HEADER_BYTES };
        let mut frames = Frames::new(reading, from, bytes);
        let header = frames.header().map_err(OpenError::at(&path))?;
        let end = self.read(number, &mut frames).map_err(OpenError::at(&path))?;
        match (header, end) {
            (Ok(Header { format: Header::FORMAT, .. }), End::Clean(end)) if end <= HEADER_BYTES => {
                self.unused.push_back(Writable::empty(number, file, bytes));
            }
            (Err(NoHeader::Blank), End::Clean(end)) if end <= HEADER_BYTES => self.maker.remove(number, bytes),
            (_, end) => {
                // Nothing is written in front of something else.
                self.remove_unused();
                let bytes = self.cut(&file, bytes, end).map_err(OpenError::at(&path))?;
                self.finished.insert(number, Finished { bytes, readable: bytes });
            }
        }
        Ok(())
    }

    /// Reads a segment to its end. What is damaged is left to whoever reads the settlements.
    fn read(&mut self, number: u64, frames: &mut Frames) -> io::Result<End> {
        loop {
            match frames.step()? {
                Step::Frame(range, frame) => self.note(Position { segment: number, offset: range.start }, &frame),
                Step::Damaged(_) => {}
                Step::Torn(_) => return Ok(End::Torn),
                Step::End => return Ok(End::Clean(frames.at())),
            }
        }
    }

    fn note(&mut self, position: Position, frame: &Frame<'_>) {
        match frame.kind {
            Some(Kind::Intent) => {
                self.unsettled.entry(frame.call).or_insert_with(|| (position, Record::of(frame)));
            }
            Some(Kind::Settlement) => {
                let intent = self.unsettled.remove(&frame.call).map(|(intent, _)| intent);
                self.outstanding.settled(position, frame.call, intent);
            }
            None => {}
        }
    }

    /// Cuts off what was not written. Returns what is left.
    fn cut(&self, file: &File, bytes: u64, end: End) -> io::Result<u64> {
        match end {
            End::Clean(end) if end < bytes => {
                file.set_len(end)?;
                self.maker.space.subtract(bytes.saturating_sub(end));
                Ok(end)
            }
            End::Clean(_) | End::Torn => Ok(bytes),
        }
    }

    fn remove_unused(&mut self) {
        for segment in self.unused.drain(..) {
            self.maker.remove(segment.number, segment.capacity);
        }
    }

    fn finish(mut self, checkpoint: Option<Position>, next_number: u64) -> Result<Recovered, OpenError> {
        // One that has another size than these have now is of no use.
        let (unused, others) =
            std::mem::take(&mut self.unused).into_iter().partition(|segment| segment.capacity == self.maker.segment_bytes);
        self.unused = others;
        self.remove_unused();
        self.maker.sync(&unused).map_err(OpenError::at(&self.maker.folder))?;
        let mut log = Log::new(self.maker, self.finished, unused, next_number);
        let mut unsettled = BTreeMap::new();
        for (position, record) in self.unsettled.into_values() {
            self.outstanding.begun(position);
            let promised = log.promise(record.body.len());
            unsettled.insert(position, (record, promised));
        }
        Ok(Recovered { log, outstanding: self.outstanding, checkpoint, unsettled })
    }
}
