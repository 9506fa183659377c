//! What the reader of a lane asks of it.

use std::{fs::File, io};

use domain::id::CallId;

use super::Lane;
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
        self.lock().outstanding.read(to, settlements);
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
