//! Reads a lane's settlements in order, while the lane is written.

use std::{io, ops::Range, sync::Arc};

use super::{
    FreshCall, Lane, Position, Record,
    damaged::What,
    segment::{Frames, HEADER_BYTES, NoHeader, Step, frame::Kind},
};

/// Reads a lane. What it has given out keeps the checkpoint back until it is [posted](Lane::posted).
#[derive(Debug)]
pub(crate) struct Reader {
    lane: Arc<Lane>,
    /// Everything before it was read.
    at: Position,
    /// The segment that is being read.
    frames: Option<Frames>,
}

/// A settlement, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) position: Position,
    pub(crate) record: Record,
}

/// What a reader finds ahead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    /// More of its segment, up to there.
    More(u64),
    /// Another segment.
    Segment(u64),
    /// Nothing yet.
    Nothing,
}

/// What one step of a reader has found.
enum Found {
    Settlement(Entry),
    /// Something that is not for whoever posts.
    Other,
    /// The end of what may be read of the segment.
    End,
}

impl Reader {
    pub(super) fn new(lane: Arc<Lane>, at: Position) -> Self {
        Self { lane, at, frames: None }
    }

    /// The next settlements that are in memory, at most so many; none where [the next](Self::next) one is in a segment alone.
    pub(crate) fn take_fresh(&mut self, calls_max: usize) -> Vec<FreshCall> {
        let Some((calls, to)) = self.lane.take_fresh(self.at, calls_max) else { return Vec::new() };
        // Of a segment that was left behind nothing is needed any more.
        (self.at, self.frames) = (to, None);
        calls
    }

    /// The next settlements, from the segments: as many as there are, at most so many, with bodies of at most so many bytes together, but one at least. None are there
    /// once all is read. It waits for the disk.
    ///
    /// # Errors
    /// When the disk fails. What was not read is read the next time.
    pub(crate) fn next(&mut self, records_max: usize, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes_left = bytes_max;
        let mut failed = None;
        while entries.len() < records_max {
            match self.next_settlement() {
                Ok(Some(entry)) => match bytes_left.checked_sub(entry.record.body.len()) {
                    None if !entries.is_empty() => {
                        self.go_back(entry.position);
                        break;
                    }
                    left => {
                        bytes_left = left.unwrap_or(0);
                        entries.push(entry);
                    }
                },
                Ok(None) => break,
                Err(error) => {
                    self.frames = None;
                    failed = Some(error);
                    break;
                }
            }
        }
        self.lane.read(self.at, entries.iter().map(|entry| (entry.position, entry.record.call)));
        // What was read is handed over; whatever has failed fails again the next time.
        failed.filter(|_| entries.is_empty()).map_or(Ok(entries), Err)
    }

    /// Waits until there is a settlement that was not read.
    pub(crate) async fn more(&mut self) {
        self.lane.has_settlement_from(self.at).await;
    }

    fn go_back(&mut self, to: Position) {
        self.at = to;
        if let Some(frames) = &mut self.frames {
            frames.seek(to.offset, frames.limit());
        }
    }

    fn next_settlement(&mut self) -> io::Result<Option<Entry>> {
        loop {
            match self.step()? {
                Found::Settlement(entry) => return Ok(Some(entry)),
                Found::Other => {}
                Found::End => {
                    let known = self.frames.as_ref().map(Frames::limit);
                    match self.lane.ahead(self.at, known) {
                        Ahead::More(limit) => self.read_up_to(limit)?,
                        Ahead::Segment(number) => self.enter(number),
                        Ahead::Nothing => return Ok(None),
                    }
                }
            }
        }
    }

    fn enter(&mut self, number: u64) {
        self.at = Position { segment: number, offset: HEADER_BYTES };
        self.frames = None;
    }

    fn read_up_to(&mut self, limit: u64) -> io::Result<()> {
        if let Some(frames) = &mut self.frames {
            frames.seek(self.at.offset, limit);
            return Ok(());
        }
        let mut frames = Frames::new(self.lane.open_segment(self.at.segment)?, self.at.offset, limit);
        if self.at.offset == HEADER_BYTES && frames.header()? == Err(NoHeader::Damaged) {
            let header = frames.bytes(&(0..HEADER_BYTES))?;
            self.lane.set_aside(Position { offset: 0, ..self.at }, header, What::Damaged)?;
        }
        self.frames = Some(frames);
        Ok(())
    }

    fn step(&mut self) -> io::Result<Found> {
        let Some(frames) = &mut self.frames else { return Ok(Found::End) };
        let (at, limit) = (self.at, frames.limit());
        let (what, range, next) = match frames.step()? {
            Step::Frame(range, frame) => match frame.kind {
                Some(Kind::Settlement) => {
                    self.at.offset = range.end;
                    return Ok(Found::Settlement(Entry { position: at, record: Record::of(&frame) }));
                }
                Some(Kind::Intent) => {
                    self.at.offset = range.end;
                    return Ok(Found::Other);
                }
                None => (What::Unknown, range.clone(), range.end),
            },
            Step::Damaged(range) => (What::Damaged, range.clone(), range.end),
            // Whatever is written behind it is read then.
            Step::Torn(range) => (What::Torn, range, limit),
            Step::End => return Ok(Found::End),
        };
        self.set_aside(range, what)?;
        self.go_back(Position { offset: next, ..at });
        Ok(Found::Other)
    }

    /// Until that is done, nothing behind it is read.
    fn set_aside(&mut self, range: Range<u64>, what: What) -> io::Result<()> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        let at = Position { offset: range.start, ..self.at };
        self.lane.set_aside(at, frames.bytes(&range)?, what)
    }
}

impl Record {
    pub(super) fn of(frame: &super::segment::frame::Frame<'_>) -> Self {
        Self { call: frame.call, version: frame.version, body: frame.body.to_vec() }
    }
}
