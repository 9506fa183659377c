//! Disks that fail, for tests.

use std::{fs::File, sync::Arc};

use super::{Begun, Lane};

impl Lane {
    /// Has a segment written to another file from now on: 0 is the one that is written, 1 the next.
    pub(in crate::books::spool) fn replace_file(&self, index: usize, file: File) {
        self.lock().log.open[index].file = Arc::new(file);
    }

    /// What all segments of the spool take on disk, as it is counted.
    pub(in crate::books::spool) fn counted_bytes(&self) -> u64 {
        self.lock().log.maker.space.counted_bytes()
    }
}

impl Begun {
    /// The lane that it was begun in.
    pub(in crate::books::spool) fn lane(&self) -> u16 {
        self.lane
    }
}
