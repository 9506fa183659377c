//! What keeps a lane's checkpoint back: intents without a settlement, and settlements that are not in the books.
//!
//! Of settlements that nobody has read yet only the number is known here; an hour of them must not be in memory.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::id::CallId;

use crate::spool::Position;

#[derive(Debug)]
pub(in crate::spool) struct Outstanding {
    /// Intents without a settlement.
    unsettled: BTreeSet<Position>,
    /// Settlements that were read and are not posted, and when their calls began.
    unposted: BTreeMap<Position, Option<DateTime<Utc>>>,
    /// Everything before it was read.
    read_to: Position,
    /// Settlements from there on.
    unread: u64,
    /// When the first of those began, or one shortly before it.
    unread_since: Option<DateTime<Utc>>,
    /// The last settlement.
    last: Option<Position>,
}

impl Outstanding {
    /// Of a lane of which nothing was read from `start` on.
    pub(in crate::spool) fn new(start: Position) -> Self {
        Self { unsettled: BTreeSet::new(), unposted: BTreeMap::new(), read_to: start, unread: 0, unread_since: None, last: None }
    }

    pub(in crate::spool) fn begun(&mut self, intent: Position) {
        self.unsettled.insert(intent);
    }

    /// A settlement was written, or found.
    pub(in crate::spool) fn settled(&mut self, settlement: Position, call: CallId) {
        if self.unread == 0 {
            self.unread_since = call.started_at();
        }
        self.unread = self.unread.saturating_add(1);
        self.last = Some(settlement);
    }

    /// An intent has its settlement.
    pub(in crate::spool) fn is_settled(&mut self, intent: Position) {
        self.unsettled.remove(&intent);
    }

    /// Everything before `to` was read, and these settlements are with whoever posts them.
    pub(super) fn read(&mut self, to: Position, settlements: impl IntoIterator<Item = (Position, CallId)>) {
        for (position, call) in settlements {
            let began = call.started_at();
            self.unposted.insert(position, began);
            if position >= self.read_to {
                self.unread = self.unread.saturating_sub(1);
                self.unread_since = began;
            }
        }
        self.read_to = self.read_to.max(to);
    }

    pub(super) fn posted(&mut self, settlement: Position) {
        self.unposted.remove(&settlement);
    }

    /// The position before which everything is settled and posted.
    pub(in crate::spool) fn checkpoint(&self) -> Position {
        let unsettled = self.unsettled.first().copied();
        let unposted = self.unposted.first_key_value().map(|(position, _)| *position);
        [unsettled, unposted].into_iter().flatten().fold(self.read_to, Position::min)
    }

    /// Whether a settlement is at this position or behind it.
    pub(super) fn has_settlement_from(&self, position: Position) -> bool {
        self.last.is_some_and(|last| last >= position)
    }

    pub(super) fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    pub(super) fn unposted(&self) -> u64 {
        self.unread.saturating_add(u64::try_from(self.unposted.len()).unwrap_or(u64::MAX))
    }

    /// When the first of the calls began that are settled and not posted.
    pub(super) fn oldest_unposted(&self) -> Option<DateTime<Utc>> {
        let unread = self.unread_since.filter(|_| self.unread > 0);
        self.unposted.values().copied().flatten().chain(unread).min()
    }
}
