//! Posts what comes for some accounts, and what becomes of those that somebody else has locked.
//!
//! That is mostly a lease of this proxy's own being changed, many accounts together, and over in a moment. So such accounts are looked at again with the
//! next batch, together: a transaction for each of them costs as much as one for all. Only one that is locked again and again is waited for, in a task of
//! its own.

use std::collections::HashMap;

use domain::id::AccountId;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{BATCH_MAX, Queued, books::Books, locked::Locked};

/// Posts what [`Poster`](super::Poster) takes of some accounts.
pub(crate) struct Group {
    pub(super) queue: mpsc::Receiver<Vec<Queued>>,
    books: Books,
    locked: Locked,
    /// When what is locked is looked at again, if no batch comes before.
    look_again: Instant,
    /// Accounts that are waited for, with what came in for them meanwhile.
    aside: HashMap<AccountId, Vec<Queued>>,
    waiting: JoinSet<AccountId>,
}

impl Group {
    pub(super) fn new(queue: mpsc::Receiver<Vec<Queued>>, books: Books) -> Self {
        Self { queue, books, locked: Locked::default(), look_again: Instant::now(), aside: HashMap::new(), waiting: JoinSet::new() }
    }

    /// Posts until it is told to `quit`, and then what is left.
    pub(crate) async fn run(mut self, quit: CancellationToken) {
        loop {
            tokio::select! {
                taken = self.queue.recv() => {
                    let Some(mut batch) = taken else { break };
                    while batch.len() < BATCH_MAX && let Ok(more) = self.queue.try_recv() {
                        batch.extend(more);
                    }
                    self.post(batch).await;
                }
                () = sleep_until(self.look_again), if !self.locked.is_empty() => self.post(Vec::new()).await,
                Some(account) = self.waiting.join_next() => self.come_back(account),
                () = quit.cancelled(), if !self.queue.is_closed() => self.queue.close(),
            }
        }
        while !self.locked.is_empty() {
            sleep_until(self.look_again).await;
            self.post(Vec::new()).await;
        }
        while let Some(account) = self.waiting.join_next().await {
            self.come_back(account);
        }
    }

    /// Posts what can be posted now, with what was locked before. The rest is kept, account by account.
    async fn post(&mut self, batch: Vec<Queued>) {
        let mut all = self.locked.take_calls();
        for queued in batch {
            match self.aside.get_mut(&queued.call.account_id) {
                Some(aside) => aside.push(queued),
                None => all.push(queued),
            }
        }
        let deferred = self.books.post_free(all).await;
        for (account, calls) in self.locked.found(deferred) {
            self.wait_for(account, calls);
        }
        self.look_again = Instant::now() + self.locked.pause();
    }

    fn wait_for(&mut self, account: AccountId, batch: Vec<Queued>) {
        self.aside.insert(account, Vec::new());
        let books = self.books.clone();
        self.waiting.spawn(async move {
            books.post_aside(batch).await;
            account
        });
    }

    /// What came in for an account while it was waited for is waited for in its turn.
    fn come_back(&mut self, account: Result<AccountId, JoinError>) {
        match account {
            Ok(account) => match self.aside.remove(&account) {
                Some(batch) if !batch.is_empty() => self.wait_for(account, batch),
                _ => {}
            },
            // Nobody aborts these. Without a poster no call may start that could not be paid.
            Err(panicked) => {
                tracing::error!(%panicked, "posting has failed");
                self.queue.close();
            }
        }
    }
}
