//! How a lane is.

use chrono::{DateTime, Utc};

use super::{Inner, Lane};

/// Figures of a lane, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaneState {
    /// Segments that may hold what is not posted, or will.
    pub(crate) segments: usize,
    /// What those take on disk.
    pub(crate) bytes: u64,
    /// Calls that were begun and are not settled.
    pub(crate) unsettled: usize,
    /// Settlements that are not posted.
    pub(crate) unposted: u64,
    /// When the first of their calls began, or shortly before.
    pub(crate) oldest_unposted: Option<DateTime<Utc>>,
    /// Records that could not be read and are in the folder of those, whichever process put them there.
    pub(crate) damaged: usize,
    /// Ends of segments that are there.
    pub(crate) torn: usize,
    /// The last call was refused for want of room.
    pub(crate) is_full: bool,
    /// Why it takes no calls until it is opened again.
    pub(crate) broken: Option<String>,
}

impl Lane {
    /// Figures for operators.
    pub(crate) fn state(&self) -> LaneState {
        let inner = self.lock();
        let Inner { log, outstanding, .. } = &*inner;
        let finished = log.finished.values().map(|segment| segment.bytes);
        let bytes = finished.chain(log.open.iter().map(|segment| segment.capacity)).fold(0, u64::saturating_add);
        LaneState {
            segments: log.finished.len() + log.open.len(),
            bytes,
            unsettled: outstanding.unsettled(),
            unposted: outstanding.unposted(),
            oldest_unposted: outstanding.oldest_unposted(),
            damaged: inner.set_aside.damaged,
            torn: inner.set_aside.torn,
            is_full: inner.is_full,
            broken: log.broken.clone(),
        }
    }
}
