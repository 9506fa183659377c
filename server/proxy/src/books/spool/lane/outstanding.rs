//! What keeps a lane's checkpoint back: intents without a settlement, and settlements that are not in the books.
//!
//! Of settlements that nobody has read yet only the number is known here; an hour of them must not be in memory.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::id::CallId;

use crate::books::spool::Position;

#[derive(Debug)]
pub(in crate::books::spool) struct Outstanding {
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
    /// By segment, the first intent of those that are settled in it: as long as a settlement may be read again, so may its intent, from which the call
    /// is settled should the settlement be damaged by then.
    intents: BTreeMap<u64, Position>,
}

impl Outstanding {
    /// Of a lane of which nothing was read from `start` on.
    pub(in crate::books::spool) fn new(start: Position) -> Self {
        Self {
            unsettled: BTreeSet::new(),
            unposted: BTreeMap::new(),
            read_to: start,
            unread: 0,
            unread_since: None,
            last: None,
            intents: BTreeMap::new(),
        }
    }

    pub(in crate::books::spool) fn begun(&mut self, intent: Position) {
        self.unsettled.insert(intent);
    }

    /// A settlement was written, or found, of a call whose intent is there.
    pub(in crate::books::spool) fn settled(&mut self, settlement: Position, call: CallId, intent: Option<Position>) {
        if let Some(intent) = intent {
            self.unsettled.remove(&intent);
            let first = self.intents.get(&settlement.segment).copied().filter(|_| self.is_open(settlement.segment));
            self.intents.insert(settlement.segment, first.map_or(intent, |first| first.min(intent)));
        }
        if self.unread == 0 {
            self.unread_since = call.started_at();
        }
        self.unread = self.unread.saturating_add(1);
        self.last = Some(settlement);
    }

    /// A call whose settlement is nowhere here is in the books.
    pub(super) fn settled_elsewhere(&mut self, intent: Position) {
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
        if to.segment > self.read_to.segment {
            let intents = std::mem::take(&mut self.intents);
            self.read_to = to;
            self.intents = intents.into_iter().filter(|(segment, _)| self.is_open(*segment)).collect();
        }
        self.read_to = self.read_to.max(to);
    }

    /// Whether a settlement of a segment may not be posted.
    fn is_open(&self, segment: u64) -> bool {
        let from = Position { segment, offset: 0 };
        let to = Position { segment: segment.saturating_add(1), offset: 0 };
        (self.unread > 0 && segment >= self.read_to.segment) || self.unposted.range(from..to).next().is_some()
    }

    pub(super) fn posted(&mut self, settlement: Position) {
        self.unposted.remove(&settlement);
    }

    /// The position before which everything is settled and posted.
    pub(in crate::books::spool) fn checkpoint(&self) -> Position {
        let unsettled = self.unsettled.first().copied();
        let intent = self.intents.iter().filter(|(segment, _)| self.is_open(**segment)).map(|(_, intent)| *intent).min();
        [unsettled, intent].into_iter().flatten().fold(self.unposted_from(), Position::min)
    }

    /// Before it, no settlement is not posted.
    pub(super) fn unposted_from(&self) -> Position {
        self.unposted.first_key_value().map_or(self.read_to, |(position, _)| self.read_to.min(*position))
    }

    /// Whether a settlement is at this position or behind it.
    pub(super) fn has_settlement_from(&self, position: Position) -> bool {
        self.last.is_some_and(|last| last >= position)
    }

    /// The last settlement, unless all were read.
    pub(super) fn last_unread(&self) -> Option<Position> {
        self.last.filter(|last| *last >= self.read_to)
    }

    /// Whether nothing before this position is unread, and everything from there on is.
    pub(super) fn is_read_to(&self, position: Position) -> bool {
        self.read_to == position
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
