//! What a lane writes: records, each into the first segment that has room for it, with room kept for the settlements to come.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::Arc,
};

use domain::id::CallId;

use super::{
    maker::{Maker, Need, Writable},
    promises::{Pieces, Promises, intent_bytes_max, promise_for},
};
use crate::books::spool::{
    Position,
    error::{AppendError, lacks_room},
    segment::{
        HEADER_BYTES,
        frame::{self, BODY_BYTES_MAX, Kind, body_bytes_in},
    },
};

/// What an intent's body may have: most have a part of it.
const CALL_BYTES: usize = 2 * 1024;

#[derive(Debug)]
pub(in crate::books::spool) struct Log {
    pub(super) maker: Maker,
    /// Segments that are written no more, and may hold what is not posted.
    pub(super) finished: BTreeMap<u64, Finished>,
    /// The segment that is written, and those that will be after it.
    pub(super) open: VecDeque<Writable>,
    next_number: u64,
    promises: Promises,
    intent_bytes_max: usize,
    /// The frames that are written next.
    buffer: Vec<u8>,
    /// Finished segments that may be in the system's memory only.
    pub(super) unsynced: Vec<Arc<File>>,
    /// Why its disk is not trusted with another call.
    pub(super) broken: Option<String>,
}

/// A segment that is written no more.
#[derive(Debug, Clone, Copy)]
pub(in crate::books::spool) struct Finished {
    /// What it takes on disk.
    pub(in crate::books::spool) bytes: u64,
    /// Nothing is to be read from here on.
    pub(in crate::books::spool) readable: u64,
}

/// What a call says, in the words of whoever made it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body<'a> {
    pub(super) version: u8,
    pub(super) bytes: &'a [u8],
}

/// A record that is written with others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Together<'a> {
    pub(super) kind: Kind,
    pub(super) call: CallId,
    pub(super) body: Body<'a>,
    /// To its settlement.
    pub(super) promised: u64,
}

impl<'a> Together<'a> {
    pub(super) fn intent(call: CallId, body: Body<'a>) -> Self {
        Self { kind: Kind::Intent, call, body, promised: promise_for(body.bytes.len()) }
    }

    pub(super) fn settlement(call: CallId, body: Body<'a>, promised: u64) -> Self {
        Self { kind: Kind::Settlement, call, body, promised }
    }

    /// Of its frame.
    fn bytes(&self) -> u64 {
        frame::size_of(self.body.bytes.len())
    }
}

impl Log {
    pub(in crate::books::spool) fn new(
        maker: Maker,
        finished: BTreeMap<u64, Finished>,
        open: VecDeque<Writable>,
        next_number: u64,
    ) -> Self {
        let intent_bytes_max = intent_bytes_max(half(&maker));
        Self {
            maker,
            finished,
            open,
            next_number,
            promises: Promises::default(),
            intent_bytes_max,
            buffer: Vec::new(),
            unsynced: Vec::new(),
            broken: None,
        }
    }

    /// Promises room to the settlement of a call that was begun by a process that is no more.
    pub(in crate::books::spool) fn promise(&mut self, intent_bytes: usize) -> u64 {
        let promised = promise_for(intent_bytes);
        self.promises.add(promised);
        promised
    }

    /// Writes an intent, if its settlement will have room as well. Returns what is promised to that.
    pub(super) fn begin(&mut self, call: CallId, body: Body<'_>) -> Result<(Position, u64), AppendError> {
        if let Some(why) = &self.broken {
            return Err(AppendError::Io(io::Error::other(why.clone())));
        }
        if body.bytes.len() > self.intent_bytes_max {
            return Err(AppendError::TooLarge { room: self.intent_bytes_max });
        }
        let bytes = self.encode(Kind::Intent, call, body)?;
        let promised = promise_for(body.bytes.len());
        let pieces = self.promises.with(promised);
        self.make_room(bytes, pieces)?;
        let position = self.write()?;
        self.promises.add(promised);
        Ok((position, promised))
    }

    /// Writes a settlement. What was promised to it is free afterwards.
    pub(super) fn settle(&mut self, call: CallId, body: Body<'_>, promised: u64) -> Result<Position, AppendError> {
        if body.bytes.len() > BODY_BYTES_MAX {
            return Err(AppendError::TooLarge { room: body_bytes_in(promised) });
        }
        let bytes = self.encode(Kind::Settlement, call, body)?;
        // What is larger than was promised must leave the others theirs.
        if bytes > promised {
            self.make_room(bytes, self.promises.without(promised)).map_err(|_| AppendError::TooLarge { room: body_bytes_in(promised) })?;
        }
        let position = self.write()?;
        self.promises.remove(promised);
        Ok(position)
    }

    /// What was promised to a settlement that is not to come is free.
    pub(super) fn forget_promise(&mut self, promised: u64) {
        self.promises.remove(promised);
    }

    /// Returns the frame's size.
    fn encode(&mut self, kind: Kind, call: CallId, body: Body<'_>) -> Result<u64, AppendError> {
        self.buffer.clear();
        frame::encode(&mut self.buffer, kind, body.version, call, body.bytes)?;
        Ok(frame::size_of(body.bytes.len()))
    }

    /// Writes records by one `write`, in their order, where all are sure to have room: in the segment that is written, and with room behind them for all
    /// that is promised. Where they have not, or the disk refuses, there is nothing of them afterwards, and each is to be written by itself, which
    /// finds out what can be done for it.
    pub(super) fn write_together(&mut self, records: &[Together<'_>]) -> Option<Vec<Position>> {
        if self.broken.is_some() || !self.has_room_together(records) {
            return None;
        }
        self.buffer.clear();
        for Together { kind, call, body, .. } in records {
            frame::encode(&mut self.buffer, *kind, body.version, *call, body.bytes).ok()?;
        }
        let written = self.write_once().inspect_err(|error| {
            tracing::error!(lane = self.maker.lane, %error, "records of the spool could not be written together; trying each by itself");
        });
        let mut next = written.ok()?;
        let positions = records.iter().map(|record| {
            match record.kind {
                Kind::Intent => self.promises.add(record.promised),
                Kind::Settlement => self.promises.remove(record.promised),
            }
            let behind = Position { offset: next.offset.saturating_add(record.bytes()), ..next };
            std::mem::replace(&mut next, behind)
        });
        Some(positions.collect())
    }

    fn has_room_together(&self, records: &[Together<'_>]) -> bool {
        let is_small = |record: &Together<'_>| match record.kind {
            Kind::Intent => record.body.bytes.len() <= self.intent_bytes_max,
            Kind::Settlement => record.body.bytes.len() <= BODY_BYTES_MAX && record.bytes() <= record.promised,
        };
        let bytes = records.iter().map(Together::bytes).fold(0, u64::saturating_add);
        let mut free = self.open.iter().map(Writable::free);
        let Some(left) = free.next().and_then(|first| first.checked_sub(bytes)) else { return false };
        let begun = records.iter().filter(|record| record.kind == Kind::Intent);
        let promised = begun.fold(self.promises.pieces(), |promised, intent| promised.and(intent.promised));
        records.iter().all(is_small) && promised.fit(std::iter::once(left).chain(free))
    }

    /// Whether there is room for a frame, and after it for what is promised.
    fn has_room(&self, bytes: u64, promised: Pieces) -> bool {
        let mut free = self.open.iter().map(Writable::free).skip_while(|free| *free < bytes);
        match free.next() {
            Some(first) => promised.fit(std::iter::once(first - bytes).chain(free)),
            None => false,
        }
    }

    /// Whether a call as most are would have room.
    pub(super) fn takes_a_call(&self) -> bool {
        self.has_room(frame::size_of(CALL_BYTES), self.promises.with(promise_for(CALL_BYTES)))
    }

    /// Sees to it that there is, if another segment helps.
    fn make_room(&mut self, bytes: u64, promised: Pieces) -> io::Result<()> {
        while !self.has_room(bytes, promised) {
            if bytes.max(promised.largest) > half(&self.maker) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.make(Need::Ahead)?;
        }
        Ok(())
    }

    /// Makes another segment, behind the others.
    pub(super) fn make(&mut self, need: Need) -> io::Result<()> {
        let segment = self.maker.make(self.next_number, need)?;
        self.next_number = self.next_number.saturating_add(1);
        self.open.push_back(segment);
        Ok(())
    }

    /// Makes the segments that a lane has which takes calls: the one that is written, and one ahead.
    pub(super) fn make_ahead(&mut self) -> io::Result<()> {
        while self.open.len() < 2 {
            self.make(Need::Ahead)?;
        }
        Ok(())
    }

    /// Makes a segment for what is promised, if there is none, whatever the spool may take on disk.
    pub(super) fn make_for_promises(&mut self) -> io::Result<()> {
        let promised = self.promises.pieces().total;
        if promised > 0 && self.open.is_empty() { self.make(Need::Now(promised)) } else { Ok(()) }
    }

    /// Removes segments that were made ahead for a crowd that has gone.
    pub(super) fn remove_idle(&mut self) {
        while self.open.len() > 2 && self.promises.pieces().fit(self.open.range(..self.open.len() - 1).map(Writable::free)) {
            let Some(idle) = self.open.pop_back() else { break };
            self.maker.remove(idle.number, idle.capacity);
        }
    }

    /// Writes the frame that is in the buffer. A place that cannot be written is left, and the next segment taken.
    fn write(&mut self) -> io::Result<Position> {
        let written = self.write_once().or_else(|error| {
            tracing::error!(lane = self.maker.lane, %error, "a record of the spool could not be written; trying the next segment");
            self.write_once()
        });
        written.inspect_err(|error| {
            if !lacks_room(error) {
                self.broken.get_or_insert(format!("a record could not be written: {error}"));
            }
        })
    }

    fn write_once(&mut self) -> io::Result<Position> {
        let bytes = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.make_way(bytes)?;
        let Some(segment) = self.open.front_mut() else { return Err(io::ErrorKind::StorageFull.into()) };
        let position = Position { segment: segment.number, offset: segment.written };
        match segment.file.write_all_at(&self.buffer, segment.written) {
            Ok(()) => {
                segment.written = segment.written.saturating_add(bytes);
                Ok(position)
            }
            Err(error) => {
                // What of it was written is cut off: nobody should find half a record there, or a whole one that its caller was refused.
                self.finish_first();
                Err(error)
            }
        }
    }

    /// Sees to it that the first segment has so much room. That is promised to most of what is written, whatever the spool may take on disk.
    fn make_way(&mut self, bytes: u64) -> io::Result<()> {
        while self.open.front().is_none_or(|first| first.free() < bytes) {
            if self.open.len() < 2 {
                self.make(Need::Now(self.promises.pieces().total.max(bytes)))?;
            } else {
                self.finish_first();
            }
        }
        Ok(())
    }

    /// Ends the segment that is written, and cuts off what was not. One in which nothing was written is removed.
    fn finish_first(&mut self) {
        let Some(segment) = self.open.pop_front() else { return };
        if segment.written <= HEADER_BYTES {
            self.maker.remove(segment.number, segment.capacity);
            return;
        }
        let bytes = self.maker.cut(&segment);
        self.finished.insert(segment.number, Finished { bytes, readable: segment.written });
        if self.maker.is_synced() {
            self.unsynced.push(segment.file);
        }
    }

    /// Leaves no more on disk than was written.
    pub(super) fn close(&mut self) {
        while !self.open.is_empty() {
            self.finish_first();
        }
    }

    /// Up to where a segment may be read: nothing that is being written is read by halves.
    pub(super) fn readable(&self, number: u64) -> Option<u64> {
        match self.open.front() {
            Some(first) if first.number == number => Some(first.written),
            _ => self.finished.get(&number).map(|finished| finished.readable),
        }
    }

    /// The segment that is read after this one.
    pub(super) fn after(&self, number: u64) -> Option<u64> {
        let finished = self.finished.range(number.saturating_add(1)..).next().map(|(number, _)| *number);
        finished.or_else(|| self.open.front().map(|first| first.number).filter(|first| *first > number))
    }

    /// Behind everything that was written.
    pub(super) fn end(&self) -> Position {
        match self.open.front() {
            Some(first) => Position { segment: first.number, offset: first.written },
            None => Position { segment: self.next_number, offset: 0 },
        }
    }
}

/// The largest piece for which any other segment makes room: half of what it holds, of which no more than as much is wasted.
fn half(maker: &Maker) -> u64 {
    maker.segment_bytes.saturating_sub(HEADER_BYTES) / 2
}
