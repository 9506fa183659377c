//! How long an answer is waited for.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// When an answer has taken too long: in all, or since anything came. One timer for both, which is set anew only when it goes off.
#[derive(Debug)]
pub(super) struct Patience {
    deadline: Instant,
    idle_timeout: Duration,
    /// When something came last.
    heard: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    /// It may take so long in all, and be still for so long.
    pub(super) fn new(whole: Duration, idle_timeout: Duration) -> Self {
        let now = Instant::now();
        let deadline = now + whole;
        Self { deadline, idle_timeout, heard: now, timer: Box::pin(sleep_until(deadline.min(now + idle_timeout))) }
    }

    /// Something came, just now.
    pub(super) const fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// From now on it may take so long at most.
    pub(super) fn shorten(&mut self, left: Duration) {
        self.end_at(self.deadline.min(Instant::now() + left));
    }

    /// From now on it may take so long, however long it has taken.
    pub(super) fn start_anew(&mut self, whole: Duration) {
        self.end_at(Instant::now() + whole);
    }

    fn end_at(&mut self, deadline: Instant) {
        self.deadline = deadline;
        let ends_at = self.ends_at();
        self.timer.as_mut().reset(ends_at);
    }

    fn ends_at(&self) -> Instant {
        self.deadline.min(self.heard + self.idle_timeout)
    }

    /// Ready once it is at its end.
    pub(super) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            let ends_at = self.ends_at();
            if ends_at <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(ends_at);
        }
        Poll::Pending
    }

    /// Whether it has taken too long in all, also for an upstream that always has more and so never lets it wait.
    pub(super) fn is_at_end(&self, now: Instant) -> bool {
        self.deadline <= now
    }
}
