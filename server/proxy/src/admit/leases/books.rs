//! What leases need of the ledger: a trait, so that they are tested with one that hangs, fails and loses its answers.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    id::{AccountId, EpochId},
    lease::Change,
    proxies::Report,
};
use futures_util::future::BoxFuture;
use ledger::{ChangedLeases, Meter, NewEpoch, Notices, Result, Wait};

/// The ledger, as leases use it.
pub(crate) trait LeaseBooks: Send + Sync + 'static {
    /// See [`Meter::begin_epoch`].
    fn begin_epoch<'a>(&'a self, new: &'a NewEpoch) -> BoxFuture<'a, Result<DateTime<Utc>>>;
    /// See [`Meter::renew_epoch`].
    fn renew_epoch(&self, epoch: EpochId, lasts: TimeDelta, report: Report) -> BoxFuture<'_, Result<DateTime<Utc>>>;
    /// See [`Meter::change_leases`].
    fn change_leases<'a>(&'a self, epoch: EpochId, changes: &'a [(AccountId, Change)], wait: Wait) -> BoxFuture<'a, Result<ChangedLeases>>;
    /// See [`Meter::recall`].
    fn recall<'a>(&'a self, accounts: &'a [AccountId]) -> BoxFuture<'a, Result<()>>;
    /// See [`Meter::notices`].
    fn notices(&self, since: DateTime<Utc>) -> BoxFuture<'_, Result<Notices>>;
}

/// The ledger itself.
pub(crate) struct Books {
    /// For what may have to wait for others.
    pub(crate) meter: Meter,
    /// With connections of its own: what says whether the ledger is there must wait for nobody else's.
    pub(crate) pulse: Meter,
}

impl LeaseBooks for Books {
    fn begin_epoch<'a>(&'a self, new: &'a NewEpoch) -> BoxFuture<'a, Result<DateTime<Utc>>> {
        Box::pin(self.pulse.begin_epoch(new))
    }

    fn renew_epoch(&self, epoch: EpochId, lasts: TimeDelta, report: Report) -> BoxFuture<'_, Result<DateTime<Utc>>> {
        Box::pin(async move { self.pulse.renew_epoch(epoch, lasts, &report).await })
    }

    fn change_leases<'a>(&'a self, epoch: EpochId, changes: &'a [(AccountId, Change)], wait: Wait) -> BoxFuture<'a, Result<ChangedLeases>> {
        Box::pin(self.meter.change_leases(epoch, changes, wait))
    }

    fn recall<'a>(&'a self, accounts: &'a [AccountId]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.meter.recall(accounts))
    }

    fn notices(&self, since: DateTime<Utc>) -> BoxFuture<'_, Result<Notices>> {
        Box::pin(self.pulse.notices(since))
    }
}
