//! Settlements that nobody has read yet, in memory as well: whoever posts need not read back what was written a moment ago.
//!
//! They are always the first of those that are unread. Once there are as many as memory is to hold, what comes is in the segments alone, and so is all
//! that follows until that is read: an hour without a database costs no more memory than a moment.

use std::{collections::VecDeque, sync::Arc};

use ledger::SettledCall;

use crate::books::spool::Position;

/// What the records of a lane's fresh settlements may come to: few of them are large.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// The fresh settlements of a lane, in the order of their positions.
#[derive(Debug)]
pub(super) struct Fresh {
    calls: VecDeque<FreshCall>,
    bytes: usize,
    calls_max: usize,
    /// Where this process began to write. What an earlier one has left is read from the disk, damage and all, before anything in memory is next.
    begins_at: Position,
}

/// A settlement as it was handed over, and where it is in the lane.
#[derive(Debug)]
pub(crate) struct FreshCall {
    pub(crate) position: Position,
    pub(crate) call: Arc<SettledCall>,
    /// Where the record ends, which is read with it.
    end: Position,
    /// Of its record's body.
    bytes: usize,
}

impl FreshCall {
    pub(super) fn new(position: Position, end: Position, bytes: usize, call: &Arc<SettledCall>) -> Self {
        Self { position, call: Arc::clone(call), end, bytes }
    }
}

impl Fresh {
    /// None, of which there will be no more than so many, all of them from this position on.
    pub(super) fn new(begins_at: Position, calls_max: usize) -> Self {
        Self { calls: VecDeque::new(), bytes: 0, calls_max, begins_at }
    }

    /// Whether a reader at this position has read what was there before.
    pub(super) fn begins_before(&self, position: Position) -> bool {
        self.begins_at <= position
    }

    /// Keeps one, if there is room for it and it is the next after those that are here: nothing unread is between them. `unread` is the last settlement
    /// before it that is unread.
    pub(super) fn push(&mut self, unread: Option<Position>, call: FreshCall) {
        let bytes = self.bytes.saturating_add(call.bytes);
        if unread == self.calls.back().map(|last| last.position) && self.calls.len() < self.calls_max && bytes <= BYTES_MAX {
            self.bytes = bytes;
            self.calls.push_back(call);
        }
    }

    /// The first of them, at most so many, and where the last of those ends.
    pub(super) fn take(&mut self, calls_max: usize) -> Option<(Vec<FreshCall>, Position)> {
        let taken: Vec<_> = self.calls.drain(..calls_max.min(self.calls.len())).collect();
        self.bytes = taken.iter().fold(self.bytes, |bytes, call| bytes.saturating_sub(call.bytes));
        let end = taken.last()?.end;
        Some((taken, end))
    }

    /// Forgets those before a position: they were read from the disk.
    pub(super) fn forget_before(&mut self, position: Position) {
        let read = self.calls.partition_point(|call| call.position < position);
        self.take(read);
    }
}
