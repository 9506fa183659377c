//! What a call holds, and what it waits for.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use domain::{
    credit::{Charge, Split, release},
    id::EpochId,
};
use tokio::sync::oneshot;

use super::{
    Leases, NoHold,
    accounts::Account,
    waiting::{Ticket, Told},
};

/// What a call holds. Dropped, it is given back whole, unless the call was forwarded.
#[must_use = "dropped, it is given back"]
pub(crate) struct Held {
    leases: Arc<Leases>,
    account: Arc<Account>,
    split: Split,
    epoch: EpochId,
    is_kept: bool,
}

impl Held {
    pub(super) const fn new(leases: Arc<Leases>, account: Arc<Account>, split: Split, epoch: EpochId) -> Self {
        Self { leases, account, split, epoch, is_kept: false }
    }

    /// Of which pools.
    pub(crate) const fn split(&self) -> &Split {
        &self.split
    }

    /// To which epoch they are leased.
    pub(crate) const fn epoch(&self) -> EpochId {
        self.epoch
    }

    /// The call is about to be forwarded: from now on it may cost something, and nothing is given back but by [`Self::settle`].
    pub(crate) const fn forwarded(&mut self) {
        self.is_kept = true;
    }

    /// Ends the call: what it used stays taken, and the rest is there for the next one.
    pub(crate) fn settle(mut self, charge: &Charge) {
        self.is_kept = true;
        self.end(charge);
    }

    fn end(&self, charge: &Charge) {
        self.leases.step(&self.account, |state, _, _| state.settle(charge, self.epoch));
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("split", &self.split).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_kept {
            self.end(&release(&self.split));
        }
    }
}

/// A call's place among those that wait. Dropped, it is given up, and what it was given at the last moment goes back.
pub(super) struct Place {
    leases: Arc<Leases>,
    account: Arc<Account>,
    ticket: Ticket,
    /// Until it has been heard.
    told: Option<oneshot::Receiver<Told>>,
}

impl Place {
    pub(super) const fn new(leases: Arc<Leases>, account: Arc<Account>, ticket: Ticket, told: oneshot::Receiver<Told>) -> Self {
        Self { leases, account, ticket, told: Some(told) }
    }

    fn held(&self, told: Told) -> Result<Held, NoHold> {
        let (split, epoch) = told?;
        Ok(Held::new(Arc::clone(&self.leases), Arc::clone(&self.account), split, epoch))
    }
}

impl Future for Place {
    type Output = Result<Held, NoHold>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(told) = &mut self.told else { return Poll::Pending };
        Pin::new(told).poll(context).map(|told| {
            self.told = None;
            // Nobody gives up a place without saying so.
            self.held(told.unwrap_or(Err(NoHold::Unavailable)))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(mut told) = self.told.take() else { return };
        told.close();
        match told.try_recv() {
            Ok(told) => drop(self.held(told)),
            Err(_) => self.leases.step(&self.account, |state, _, _| state.leave(self.ticket)),
        }
    }
}
