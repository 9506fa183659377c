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

    /// From now on it may take so long, however long it has taken and been still.
    pub(super) fn start_anew(&mut self, whole: Duration) {
        self.heard = Instant::now();
        self.end_at(self.heard + whole);
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// When it is at its end, counted from now.
    async fn ends_after(patience: &mut Patience) -> Duration {
        let start = Instant::now();
        poll_fn(|context| patience.poll_end(context)).await;
        start.elapsed()
    }

    /// To the timer's millisecond.
    async fn check(patience: &mut Patience, expected: Duration) {
        let found = ends_after(patience).await;
        assert!((expected..expected + Duration::from_millis(2)).contains(&found), "after {found:?}, not {expected:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nothing_comes_and_when_the_whole_takes_too_long() {
        check(&mut Patience::new(10 * SECOND, 3 * SECOND), 3 * SECOND).await;
        let mut patience = Patience::new(10 * SECOND, 3 * SECOND);
        for _ in 0..4 {
            sleep(2 * SECOND).await;
            patience.hear(Instant::now());
        }
        check(&mut patience, 2 * SECOND).await;
        assert!(patience.is_at_end(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_starts_anew_after_a_long_silence_has_all_its_time() {
        let mut patience = Patience::new(10 * SECOND, 3 * SECOND);
        sleep(9 * SECOND).await;
        patience.start_anew(20 * SECOND);
        check(&mut patience, 3 * SECOND).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_shortened_is_never_longer() {
        let mut patience = Patience::new(2 * SECOND, 3 * SECOND);
        patience.shorten(5 * SECOND);
        check(&mut patience, 2 * SECOND).await;
        let mut patience = Patience::new(9 * SECOND, 9 * SECOND);
        patience.shorten(SECOND);
        check(&mut patience, SECOND).await;
    }
}
