//! Settled calls on their way to the books, many at a time.
//!
//! Accounts are spread over a few groups, each with a queue and a transaction of its own. While one batch is being posted the next one gathers
//! ([`feed`](super::feed) lets it, for a moment), so that a lone call is posted at once and a crowd in few transactions. Accounts that are locked by
//! somebody else are tried again together, in a moment; one that stays locked is set aside alone: a task of its own waits for the lock, and the group goes
//! on. While the database is away a batch is repeated until it lands, and the queues fill: then the spool keeps what comes. The ledger posts each call
//! once, however often it is handed over.

use std::sync::Arc;

use domain::id::AccountId;
use ledger::{Meter, SettledCall};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::books::Books;
pub(crate) use self::group::Group;
use crate::books::spool::{Begun, Lane, Position};

mod books;
mod group;
mod locked;
#[cfg(test)]
mod tests;

/// Transactions that may run side by side.
const GROUPS: usize = 4;
/// A batch that has so many calls takes no more.
const BATCH_MAX: usize = 500;
/// What is handed over at once and waits for a group's batch to come: some hundred calls each, where calls come in a crowd.
const QUEUE: usize = 8;

/// Takes settled calls.
#[derive(Debug, Clone)]
pub(crate) struct Poster {
    groups: Arc<[mpsc::Sender<Vec<Queued>>]>,
}

/// A settled call, and where it is in the spool.
#[derive(Debug)]
pub(crate) struct Queued {
    call: Arc<SettledCall>,
    spooled: Spooled,
}

/// What the spool has of a settled call.
#[derive(Debug)]
enum Spooled {
    At(Arc<Lane>, Position),
    /// Its beginning alone, if anything: its settlement is in memory only, and its task waits until it is posted.
    Not {
        left: Option<(Arc<Lane>, Begun)>,
        posted: oneshot::Sender<()>,
    },
}

impl Spooled {
    /// The call is in the books.
    fn posted(self) {
        match self {
            Self::At(lane, position) => lane.posted(position),
            Self::Not { left, posted } => {
                left.into_iter().for_each(|(lane, begun)| lane.settled_elsewhere(begun));
                let _ = posted.send(()); // whoever no longer waits no longer needs to know
            }
        }
    }
}

/// With `give_up` nothing is repeated any more: the process must end.
pub(crate) fn poster(meter: Meter, give_up: CancellationToken) -> (Poster, Vec<Group>) {
    let books = Books::new(meter, give_up);
    let (senders, groups): (Vec<_>, Vec<_>) = (0..GROUPS)
        .map(|_| {
            let (sender, queue) = mpsc::channel(QUEUE);
            (sender, Group::new(queue, books.clone()))
        })
        .unzip();
    (Poster { groups: senders.into() }, groups)
}

impl Queued {
    /// One that is in the spool.
    pub(crate) fn of_spool(call: Arc<SettledCall>, lane: Arc<Lane>, position: Position) -> Self {
        Self { call, spooled: Spooled::At(lane, position) }
    }

    /// One that the spool did not take, with what it has of it, and what resolves when it is posted.
    pub(crate) fn of_memory(call: Arc<SettledCall>, left: Option<(Arc<Lane>, Begun)>) -> (Self, oneshot::Receiver<()>) {
        let (posted, waiting) = oneshot::channel();
        (Self { call, spooled: Spooled::Not { left, posted } }, waiting)
    }

    /// The process ends before it is posted. What is in the spool the next run posts; what is not is here for a person to post.
    fn lost(&self) {
        if matches!(self.spooled, Spooled::Not { .. }) {
            let whole = serde_json::to_string(&*self.call).unwrap_or_default();
            tracing::error!(call = %self.call.call_id, whole, "a call is in no spool and was not posted; the next run settles it as interrupted");
        }
    }
}

impl Poster {
    /// Whether what is handed over will be posted: a poster that has died takes nothing any more, and no call may start that could not be paid.
    pub(crate) fn is_open(&self) -> bool {
        self.groups.iter().all(|group| !group.is_closed())
    }

    /// Takes calls, once there is room for them. Those of a group come to it together: it would post the first by itself, which costs as much as all of
    /// them. Returns whether it did: a poster that has died takes nothing.
    pub(crate) async fn take(&self, queued: Vec<Queued>) -> bool {
        let mut by_group: [Vec<Queued>; GROUPS] = Default::default();
        for queued in queued {
            by_group[group_of(queued.call.account_id)].push(queued);
        }
        let mut is_open = true;
        for (group, queued) in self.groups.iter().zip(by_group).filter(|(_, queued)| !queued.is_empty()) {
            if let Err(refused) = group.send(queued).await {
                refused.0.iter().for_each(Queued::lost);
                is_open = false;
            }
        }
        is_open
    }
}

/// All of an account's calls are of one group, by the random end of its id.
fn group_of(account: AccountId) -> usize {
    usize::from(account.uuid().as_bytes()[15]) % GROUPS
}
