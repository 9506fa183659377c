//! What time it is, here and where the ledger is.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// This machine's clocks, and how far the ledger's is ahead of them.
pub(super) struct Clock {
    wall: Box<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// The ledger's clock less this machine's, in microseconds.
    ahead: AtomicI64,
}

/// An instant, by each of the clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// By the clock that durations are measured with. It may stand still while the machine is suspended.
    pub(super) monotonic: Instant,
    /// By the wall clock. Somebody may set it.
    pub(super) wall: DateTime<Utc>,
    /// What the ledger's clock says about now.
    pub(super) ledger: DateTime<Utc>,
}

impl Clock {
    pub(super) fn new(wall: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self { wall: Box::new(wall), ahead: AtomicI64::new(0) }
    }

    pub(super) fn now(&self) -> Moment {
        let wall = (self.wall)();
        let ahead = TimeDelta::microseconds(self.ahead.load(Ordering::Relaxed));
        Moment { monotonic: Instant::now(), wall, ledger: wall.checked_add_signed(ahead).unwrap_or(wall) }
    }

    /// Takes in what the ledger's clock said of a request that began at `asked` and has just been answered: it is taken to be of halfway between.
    pub(super) fn hear(&self, asked: Moment, theirs: DateTime<Utc>) {
        let halfway = asked.wall + ((self.wall)() - asked.wall) / 2;
        // What does not fit is no clock.
        if let Some(ahead) = (theirs - halfway).num_microseconds() {
            self.ahead.store(ahead, Ordering::Relaxed);
        }
    }
}
