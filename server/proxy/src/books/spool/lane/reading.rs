//! What the reader of a lane asks of it.

use std::{fs::File, io};

use domain::id::CallId;

use super::{FreshCall, Lane};
use crate::books::spool::{Position, damaged, error::lacks_room, reader::Ahead, segment};

impl Lane {
    /// What is to be read behind a position, where its segment was `known` to be readable so far.
    pub(in crate::books::spool) fn ahead(&self, at: Position, known: Option<u64>) -> Ahead {
        let inner = self.lock();
        match inner.log.readable(at.segment) {
            Some(limit) if at.offset < limit && known != Some(limit) => Ahead::More(limit),
            _ => inner.log.after(at.segment).map_or(Ahead::Nothing, Ahead::Segment),
        }
    }

    /// Everything before `to` was read, and these settlements are with whoever posts them.
    pub(in crate::books::spool) fn read(&self, to: Position, settlements: impl IntoIterator<Item = (Position, CallId)>) {
        let mut inner = self.lock();
        inner.outstanding.read(to, settlements);
        inner.fresh.forget_before(to);
    }

    /// The next settlements behind a position, as far as they are in memory, and what is read with them; `None` if the next one is in a segment alone, or
    /// there is none. Like those that were [read](Self::read), they are with whoever posts them then.
    pub(in crate::books::spool) fn take_fresh(&self, at: Position, calls_max: usize) -> Option<(Vec<FreshCall>, Position)> {
        let mut inner = self.lock();
        // Another reader may be ahead of this one, which then reads the segments up to there.
        let is_next = inner.outstanding.is_read_to(at) && inner.fresh.begins_before(at);
        let (calls, to) = if is_next { inner.fresh.take(calls_max)? } else { return None };
        inner.outstanding.read(to, calls.iter().map(|fresh| (fresh.position, fresh.call.call_id)));
        Some((calls, to))
    }

    /// Opens a segment to be read.
    pub(in crate::books::spool) fn open_segment(&self, number: u64) -> io::Result<File> {
        let folder = self.lock().log.maker.folder.clone();
        segment::open(&folder, number)
    }

    /// Keeps what could not be read, and raises the alarm the first time.
    ///
    /// On a full disk it stays where it is, as long as its segment does: until what follows is read and posted, there would be no room.
    pub(in crate::books::spool) fn set_aside(&self, at: Position, bytes: &[u8], what: damaged::What) -> io::Result<()> {
        let (folder, durability) = {
            let inner = self.lock();
            (inner.log.maker.folder.clone(), inner.log.maker.durability)
        };
        let lane = self.number;
        match damaged::set_aside(&folder, lane, at, bytes, what, durability) {
            Ok(true) => {
                self.lock().set_aside.add(what);
                tracing::error!(lane, %at, bytes = bytes.len(), "the spool: {what}; it is kept in the folder `damaged`");
                Ok(())
            }
            Err(error) if lacks_room(&error) => {
                self.lock().set_aside.add(what);
                tracing::error!(lane, %at, bytes = bytes.len(), %error, "the spool: {what}; it could not be set aside");
                Ok(())
            }
            kept => kept.map(drop),
        }
    }

    /// Waits until there is a settlement at this position or behind it.
    pub(in crate::books::spool) async fn has_settlement_from(&self, position: Position) {
        loop {
            let settled = self.settled.notified();
            if self.lock().outstanding.has_settlement_from(position) {
                return;
            }
            settled.await;
        }
    }
}
