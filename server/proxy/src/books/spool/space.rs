//! What the spool's segments take on disk, of all lanes together, and the posted ones that make room when there is too little.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use nix::sys::statvfs::statvfs;

use super::{
    Options,
    error::lacks_room,
    lane_folder,
    segment::{self, Stage},
};

/// The room on disk.
#[derive(Debug)]
pub(super) struct Space {
    folder: PathBuf,
    bytes_max: u64,
    /// What is to be left free on the disk, for others.
    free_min: u64,
    /// How long segments are kept after they were posted.
    keep: Duration,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    /// Of all segments, the posted ones included.
    bytes: u64,
    /// The posted segments and their sizes, the longest posted first.
    posted: BTreeMap<Posted, u64>,
}

/// A segment that is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Posted {
    since: SystemTime,
    lane: u16,
    segment: u64,
}

impl Space {
    pub(super) fn new(options: &Options) -> Self {
        let Options { folder, bytes_max, free_min, keep, .. } = options;
        Self { folder: folder.clone(), bytes_max: bytes_max.unwrap_or(u64::MAX), free_min: *free_min, keep: *keep, used: Mutex::default() }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn counted_bytes(&self) -> u64 {
        self.used().bytes
    }

    /// Counts what is there, or will be, whatever may be.
    pub(super) fn add(&self, bytes: u64) {
        let mut used = self.used();
        used.bytes = used.bytes.saturating_add(bytes);
    }

    /// Counts what is there no more.
    pub(super) fn subtract(&self, bytes: u64) {
        let mut used = self.used();
        used.bytes = used.bytes.saturating_sub(bytes);
    }

    /// Counts what will be there, within what may be. Where it helps, posted segments go for it before their time.
    ///
    /// # Errors
    /// [`io::ErrorKind::QuotaExceeded`] when it would be too much.
    pub(super) fn take(&self, bytes: u64) -> io::Result<()> {
        let mut used = self.used();
        let posted: u64 = used.posted.values().sum();
        if used.bytes.saturating_sub(posted).saturating_add(bytes) > self.bytes_max {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        while used.bytes.saturating_add(bytes) > self.bytes_max {
            if !self.delete_oldest_of(&mut used) {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
        }
        used.bytes = used.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Takes note of a segment that is posted now. Its bytes are counted already.
    pub(super) fn note_posted(&self, lane: u16, segment: u64, bytes: u64, since: SystemTime) {
        self.used().posted.insert(Posted { since, lane, segment }, bytes);
    }

    /// Does what needs room on the disk. While that is lacking, the segment that was posted first goes for it before its time.
    pub(super) fn make_room_for<T>(&self, mut need: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match need() {
                Err(error) if lacks_room(&error) && self.delete_oldest_of(&mut self.used()) => {}
                done => return done,
            }
        }
    }

    /// Returns whether there was one.
    fn delete_oldest_of(&self, used: &mut Used) -> bool {
        let Some((&oldest, _)) = used.posted.first_key_value() else { return false };
        tracing::warn!(lane = oldest.lane, segment = oldest.segment, "the spool lacks room: deleting a posted segment before its time");
        self.delete(used, oldest)
    }

    /// Deletes the segments that were posted longer ago than they are kept, and others while the disk has too little left for those who share it.
    pub(super) fn delete_old(&self, now: SystemTime) {
        let mut used = self.used();
        while let Some((&oldest, _)) = used.posted.first_key_value()
            && now.duration_since(oldest.since).is_ok_and(|age| age > self.keep)
            && self.delete(&mut used, oldest)
        {}
        while free_bytes(&self.folder).is_some_and(|free| free < self.free_min) && self.delete_oldest_of(&mut used) {}
    }

    fn delete(&self, used: &mut Used, posted: Posted) -> bool {
        let path = segment::path(&lane_folder(&self.folder, posted.lane), posted.segment, Stage::Posted);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a posted segment of the spool cannot be deleted");
                false
            }
            _ => {
                let bytes = used.posted.remove(&posted).unwrap_or(0);
                used.bytes = used.bytes.saturating_sub(bytes);
                true
            }
        }
    }
}

/// What a disk has left; `None` where it does not say so.
#[allow(clippy::useless_conversion, reason = "other systems count in smaller numbers")]
fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = statvfs(folder).ok()?;
    u64::from(disk.blocks_available()).checked_mul(u64::from(disk.fragment_size()))
}
