//! Records that must survive a machine that loses power: one `fdatasync` for all that wait for it, by a thread of the lane's own.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::Lane;
use crate::books::spool::Position;

#[derive(Debug)]
pub(super) struct GroupCommit {
    request: Mutex<Request>,
    /// Rung when the request changes.
    requested: Condvar,
    synced: watch::Sender<Synced>,
}

#[derive(Debug, Default)]
struct Request {
    /// Somebody waits.
    is_wanted: bool,
    /// The thread is to end, after all that was written.
    stop: bool,
}

#[derive(Debug, Clone)]
struct Synced {
    /// Everything before it is on disk.
    to: Position,
    /// Why nothing will be any more.
    failed: Option<Arc<str>>,
}

impl GroupCommit {
    /// Of a lane that has written nothing behind `end`. What is before it was written by an earlier process.
    pub(super) fn new(end: Position) -> Self {
        let (synced, _) = watch::channel(Synced { to: end, failed: None });
        Self { request: Mutex::default(), requested: Condvar::new(), synced }
    }

    fn request(&self) -> MutexGuard<'_, Request> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the record at this position is on disk.
    pub(super) async fn wait_for(&self, position: Position) -> io::Result<()> {
        let mut synced = self.synced.subscribe();
        if !synced.borrow().is_known_of(position) {
            self.request().is_wanted = true;
            self.requested.notify_one();
        }
        let synced = synced.wait_for(|synced| synced.is_known_of(position)).await.map_err(io::Error::other)?;
        match &synced.failed {
            Some(why) if synced.to <= position => Err(io::Error::other(why.to_string())),
            _ => Ok(()),
        }
    }

    /// Returns whether it was for somebody who waits; otherwise the thread is to end.
    fn wait_for_request(&self) -> bool {
        let mut request = self.request();
        while !request.is_wanted && !request.stop {
            request = self.requested.wait(request).unwrap_or_else(PoisonError::into_inner);
        }
        request.is_wanted = false;
        !request.stop
    }

    pub(super) fn stop(&self) {
        self.request().stop = true;
        self.requested.notify_one();
    }

    /// Says what is on disk, or why nothing is. After a failure the system may have thrown away what it could not write, and would report success for
    /// what is left: so nothing counts any more.
    fn publish(&self, outcome: Result<Position, Arc<str>>) {
        self.synced.send_modify(|synced| match outcome {
            _ if synced.failed.is_some() => {}
            Ok(to) => synced.to = synced.to.max(to),
            Err(why) => synced.failed = Some(why),
        });
    }
}

impl Synced {
    /// Whether it is known what becomes of a record.
    fn is_known_of(&self, position: Position) -> bool {
        self.to > position || self.failed.is_some()
    }
}

/// What the thread of a lane does, until it is told to stop.
pub(in crate::books::spool) fn commit_until_stopped(lane: &Lane) {
    let Some(group) = &lane.group else { return };
    while group.wait_for_request() {
        lane.commit(group);
    }
    lane.commit(group);
    // Whoever still waits, or will, must not wait for ever.
    group.publish(Err("the spool is closed".into()));
}

impl Lane {
    /// Brings everything that is written to disk.
    fn commit(&self, group: &GroupCommit) {
        let (files, end) = {
            let mut inner = self.lock();
            let mut files = std::mem::take(&mut inner.log.unsynced);
            files.extend(inner.log.open.front().map(|first| Arc::clone(&first.file)));
            (files, inner.log.end())
        };
        let synced = files.iter().try_for_each(|file| file.sync_data()).map_err(|error| {
            tracing::error!(lane = self.number, %error, "the spool could not be brought to disk: the lane takes no more calls");
            let why = format!("it could not be brought to disk: {error}");
            self.lock().log.broken.get_or_insert(why.clone());
            why.into()
        });
        // Whoever hears of it finds the lane broken.
        group.publish(synced.map(|()| end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sync_that_succeeds_after_one_that_failed_says_nothing() {
        let at = |offset| Position { segment: 1, offset };
        let group = GroupCommit::new(at(64));
        group.publish(Ok(at(128)));
        group.publish(Err("the disk is gone".into()));
        group.publish(Ok(at(256)));
        assert!(group.wait_for(at(64)).await.is_ok());
        assert!(group.wait_for(at(128)).await.is_err());
    }
}
