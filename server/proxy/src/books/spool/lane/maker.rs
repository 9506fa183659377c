//! Makes a lane's segments, cuts them and removes them, and keeps count of what they take on disk.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    path::PathBuf,
    sync::Arc,
};

use chrono::Utc;

use crate::books::spool::{
    Durability, Identity,
    error::lacks_room,
    folder,
    segment::{self, HEADER_BYTES, Header, Stage},
    space::Space,
};

#[derive(Debug)]
pub(in crate::books::spool) struct Maker {
    /// The lane's own.
    pub(in crate::books::spool) folder: PathBuf,
    pub(in crate::books::spool) lane: u16,
    pub(in crate::books::spool) identity: Identity,
    pub(in crate::books::spool) segment_bytes: u64,
    pub(in crate::books::spool) durability: Durability,
    pub(in crate::books::spool) space: Arc<Space>,
}

/// A segment that is written, or will be.
#[derive(Debug)]
pub(in crate::books::spool) struct Writable {
    pub(in crate::books::spool) number: u64,
    pub(in crate::books::spool) file: Arc<File>,
    /// What it takes on disk, its header included.
    pub(in crate::books::spool) capacity: u64,
    /// Up to where it is written, its header included.
    pub(in crate::books::spool) written: u64,
}

/// What a segment is made for.
#[derive(Debug, Clone, Copy)]
pub(in crate::books::spool) enum Need {
    /// Calls that are not begun, and can be refused.
    Ahead,
    /// Records of so many bytes that cannot. If need be it is a smaller one, and the spool takes more than it should.
    Now(u64),
}

impl Writable {
    /// One that has nothing in it yet.
    pub(in crate::books::spool) fn empty(number: u64, file: File, capacity: u64) -> Self {
        Self { number, file: Arc::new(file), capacity, written: HEADER_BYTES }
    }

    /// What is not written of it.
    pub(super) fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.written)
    }
}

impl Maker {
    pub(super) fn make(&self, number: u64, need: Need) -> io::Result<Writable> {
        match need {
            Need::Ahead => {
                self.space.take(self.segment_bytes)?;
                self.make_of(number, self.segment_bytes)
            }
            Need::Now(bytes) => {
                let least = bytes.saturating_add(HEADER_BYTES);
                self.make_anyway(number, self.segment_bytes.max(least)).or_else(|error| {
                    if lacks_room(&error) && least < self.segment_bytes { self.make_anyway(number, least) } else { Err(error) }
                })
            }
        }
    }

    fn make_anyway(&self, number: u64, bytes: u64) -> io::Result<Writable> {
        // Where that is enough, what is posted makes room.
        if self.space.take(bytes).is_err() {
            self.space.add(bytes);
        }
        self.make_of(number, bytes)
    }

    /// Makes one whose bytes are counted already.
    fn make_of(&self, number: u64, bytes: u64) -> io::Result<Writable> {
        let Self { lane, identity, .. } = *self;
        let header = Header { format: Header::FORMAT, lane, segment: number, identity, created_at: Utc::now() };
        let created = self.space.make_room_for(|| segment::create(&self.folder, &header, bytes, self.durability));
        let file = created.inspect_err(|_| self.space.subtract(bytes))?;
        Ok(Writable::empty(number, file, bytes))
    }

    /// Cuts off what was not written of a segment. Returns what it takes on disk then.
    pub(super) fn cut(&self, segment: &Writable) -> u64 {
        match segment.file.set_len(segment.written) {
            Ok(()) => {
                self.space.subtract(segment.free());
                segment.written
            }
            Err(error) => {
                tracing::warn!(lane = self.lane, segment = segment.number, %error, "a segment of the spool could not be cut to what was written");
                segment.capacity
            }
        }
    }

    /// Removes a segment that holds nothing.
    pub(in crate::books::spool) fn remove(&self, number: u64, bytes: u64) {
        match fs::remove_file(segment::path(&self.folder, number, Stage::Log)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(lane = self.lane, segment = number, %error, "an empty segment of the spool could not be removed");
            }
            _ => self.space.subtract(bytes),
        }
    }

    /// Sees to it that segments which another process made are on disk, if what is written to them must be.
    pub(in crate::books::spool) fn sync(&self, segments: &VecDeque<Writable>) -> io::Result<()> {
        if segments.is_empty() || !self.is_synced() {
            return Ok(());
        }
        segments.iter().try_for_each(|segment| segment.file.sync_all())?;
        folder::sync(&self.folder)
    }

    /// Whether what is written must be on disk.
    pub(super) fn is_synced(&self) -> bool {
        self.durability == Durability::Disk
    }
}
