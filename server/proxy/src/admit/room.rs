//! What request bodies take of the memory: so much together, and of that no account more than its share. Without the first, whoever has a key could
//! end the process for everybody; without the second, keep everybody waiting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use domain::id::AccountId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::settings::Settings;

/// One account may have this part of it all, and at least one body.
const SHARE: usize = 4;

/// The room for bodies.
#[derive(Debug)]
pub(crate) struct Room {
    all: Arc<Semaphore>,
    shares: Arc<Shares>,
    patience: Duration,
}

/// A part of it, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    of_all: OwnedSemaphorePermit,
    of_share: OwnedSemaphorePermit,
    _share: Share,
}

/// The shares of the accounts that have a part of the room, or wait for one.
#[derive(Debug)]
struct Shares {
    /// Each with the number of those who hold it.
    held: Mutex<HashMap<AccountId, (Arc<Semaphore>, usize)>>,
    bytes: usize,
}

/// What an account may have, held for as long as somebody has a part of it or waits for one.
#[derive(Debug)]
struct Share {
    account: AccountId,
    left: Arc<Semaphore>,
    shares: Arc<Shares>,
}

impl Room {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            all: Arc::new(Semaphore::new(settings.bodies_bytes_max)),
            shares: Arc::new(Shares { held: Mutex::default(), bytes: (settings.bodies_bytes_max / SHARE).max(settings.body_bytes_max) }),
            patience: settings.room_timeout,
        }
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.all.available_permits()
    }

    /// Room for another piece of an account's body, once there is some; `None` if there is none for too long.
    pub(crate) async fn take(&self, account: AccountId, piece: &[u8]) -> Option<Place> {
        let (share, permits) = (Shares::hold(&self.shares, account), permits(piece.len())?);
        let taking = async {
            let of_share = Arc::clone(&share.left).acquire_many_owned(permits).await.ok()?;
            let of_all = Arc::clone(&self.all).acquire_many_owned(permits).await.ok()?;
            Some(Place { of_all, of_share, _share: share })
        };
        timeout(self.patience, taking).await.ok().flatten()
    }

    /// Room for so many bytes beside a body, such as a second copy of it, if there is some right now.
    pub(crate) fn try_take(&self, account: AccountId, length: usize) -> Option<Place> {
        let (share, permits) = (Shares::hold(&self.shares, account), permits(length)?);
        let of_share = Arc::clone(&share.left).try_acquire_many_owned(permits).ok()?;
        let of_all = Arc::clone(&self.all).try_acquire_many_owned(permits).ok()?;
        Some(Place { of_all, of_share, _share: share })
    }
}

impl Shares {
    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, (Arc<Semaphore>, usize)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(shares: &Arc<Self>, account: AccountId) -> Share {
        let mut held = shares.lock();
        let (left, holders) = held.entry(account).or_insert_with(|| (Arc::new(Semaphore::new(shares.bytes)), 0));
        *holders += 1;
        Share { account, left: Arc::clone(left), shares: Arc::clone(shares) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        let Some((_, holders)) = held.get_mut(&self.account) else { return };
        *holders -= 1;
        if *holders == 0 {
            held.remove(&self.account);
        }
    }
}

/// A piece is kept by a handle, which is larger than a very small piece.
fn permits(length: usize) -> Option<u32> {
    u32::try_from(length + size_of::<Bytes>()).ok()
}

impl Place {
    /// Adds a place for more of the same body.
    pub(crate) fn merge(&mut self, more: Self) {
        self.of_all.merge(more.of_all);
        self.of_share.merge(more.of_share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_account_leaves_room_for_another() {
        let bounds =
            Settings { bodies_bytes_max: 4_000, body_bytes_max: 900, room_timeout: Duration::from_millis(10), ..Settings::default() };
        let room = Room::new(&bounds);
        let account = |seed| AccountId::new(chrono::DateTime::UNIX_EPOCH, [seed; 10]);
        let body = [0; 900];
        let first = room.take(account(1), &body).await;
        assert!(first.is_some());
        assert!(room.take(account(1), &body).await.is_none(), "its share is taken");
        assert!(room.try_take(account(1), body.len()).is_none() && room.try_take(account(2), body.len()).is_some(), "a copy has no more");
        let others = [room.take(account(2), &body).await, room.take(account(3), &body).await, room.take(account(4), &body).await];
        assert!(others.iter().all(Option::is_some));
        assert!(room.take(account(5), &body).await.is_none(), "all is taken");
        drop(first);
        assert!(room.take(account(5), &body).await.is_some(), "what was given back is there for the next");
        drop(others);
        assert!(room.shares.lock().is_empty(), "whoever has nothing here is not remembered");
        assert_eq!(room.free(), 4_000);
    }
}
