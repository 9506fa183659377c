//! What is done for a lane now and then: its checkpoint, its posted segments, a segment ahead; and its end.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, PoisonError},
    time::SystemTime,
};

use chrono::{DateTime, Utc};

use super::{Finished, Lane};
use crate::books::spool::{
    Position, checkpoint,
    error::lacks_room,
    segment::{self, HEADER_BYTES, Stage},
};

/// What became of a segment of which everything is posted.
enum Retired {
    /// It is kept for a while.
    Kept,
    Gone,
}

impl Lane {
    /// Retires the segments before the checkpoint, writes that if it has moved, deletes segments that were posted longer ago than they are kept, and
    /// makes a segment ahead where there is none. It waits for the disk.
    ///
    /// # Errors
    /// When the disk fails or is full. What was not done is done the next time.
    pub(crate) fn checkpoint(&self, now: DateTime<Utc>) -> io::Result<()> {
        let now = SystemTime::from(now);
        let mut checkpointed = self.checkpointed.lock().unwrap_or_else(PoisonError::into_inner);
        let (position, folder, durability, space) = {
            let inner = self.lock();
            if inner.is_closed {
                return Ok(()); // it may be another process's by now
            }
            let maker = &inner.log.maker;
            (inner.outstanding.checkpoint(), maker.folder.clone(), maker.durability, Arc::clone(&maker.space))
        };
        // First, since it needs no room and makes some. A checkpoint in a segment that is gone stands before the next.
        for (number, finished) in self.finished_before(position) {
            match retire(&folder, number, finished, now)? {
                Retired::Kept => space.note_posted(self.number, number, finished.bytes, now),
                Retired::Gone => space.subtract(finished.bytes),
            }
            self.lock().log.finished.remove(&number);
        }
        space.delete_old(now);
        let written = if *checkpointed == Some(position) {
            Ok(())
        } else {
            space.make_room_for(|| checkpoint::write(&folder, position, durability)).map(|()| *checkpointed = Some(position))
        };
        written.and(self.prepare())
    }

    fn finished_before(&self, position: Position) -> Vec<(u64, Finished)> {
        self.lock().log.finished.range(..position.segment).map(|(number, finished)| (*number, *finished)).collect()
    }

    /// Makes the segment that is written and one ahead, as far as there is room for them. Where no calls are begun, there is one for what is to be
    /// settled.
    pub(in crate::books::spool) fn prepare(&self) -> io::Result<()> {
        let mut inner = self.lock();
        let log = &mut inner.log;
        log.remove_idle();
        let made = if self.takes_calls { log.make_ahead() } else { log.make_for_promises() };
        // Whoever was told that there is no room may send no more calls by which it would show that there is.
        if inner.is_full && inner.log.takes_a_call() {
            inner.note_whether_full(self.number, false);
        }
        unless_room_lacks(made)
    }

    /// Makes a segment for calls that an earlier process had begun, if there are any and none is there.
    pub(in crate::books::spool) fn prepare_for_unsettled(&self) -> io::Result<()> {
        unless_room_lacks(self.lock().log.make_for_promises())
    }

    /// Takes no more records, and no more care of what is there.
    pub(in crate::books::spool) fn close(&self) {
        let _checkpointed = self.checkpointed.lock().unwrap_or_else(PoisonError::into_inner);
        self.lock().is_closed = true;
        if let Some(group) = &self.group {
            group.stop();
        }
    }

    /// Leaves no more on disk than was written.
    pub(in crate::books::spool) fn cut(&self) {
        self.lock().log.close();
    }
}

/// What lacks room is tried again when it is needed, and the next time.
fn unless_room_lacks(made: io::Result<()>) -> io::Result<()> {
    made.or_else(|error| if lacks_room(&error) { Ok(()) } else { Err(error) })
}

/// Renames a segment of which everything is posted, and sets its time to that. One that holds nothing is deleted instead.
fn retire(folder: &Path, number: u64, finished: Finished, now: SystemTime) -> io::Result<Retired> {
    let log = segment::path(folder, number, Stage::Log);
    let retired = if finished.readable <= HEADER_BYTES {
        fs::remove_file(&log).map(|()| Retired::Gone)
    } else {
        // First the time: a segment that is posted by its name has been for as long as its time says.
        let timed = segment::open_to_write(folder, number).and_then(|file| file.set_modified(now));
        timed.and_then(|()| fs::rename(&log, segment::path(folder, number, Stage::Posted))).map(|()| Retired::Kept)
    };
    match retired {
        // Somebody was quicker; nothing in it is needed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Retired::Gone),
        retired => retired,
    }
}
