//! What the log says of a provider. A thousand calls can meet with the same, and the first of a minute speaks for all of them.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How often the log says the same of a model at a provider.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What was last said of a provider, and when: for each of its models as many entries as there are subjects.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Mutex<Vec<Said>>);

#[derive(Debug)]
struct Said {
    subject: &'static str,
    model: String,
    at: Instant,
}

impl Alarm {
    /// Whether the log is to say this now, which it does of each model. Whoever asks and is told so says it.
    pub(crate) fn is_due(&self, subject: &'static str, model: &str) -> bool {
        self.is_due_at(subject, model, Instant::now())
    }

    fn is_due_at(&self, subject: &'static str, model: &str, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter_mut().find(|said| said.subject == subject && said.model == model) {
            Some(said) if now.saturating_duration_since(said.at) < SAID_EVERY => return false,
            Some(said) => said.at = now,
            None => all.push(Said { subject, model: model.to_owned(), at: now }),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_the_same_once_a_minute_and_something_else_at_once() {
        let (alarm, start) = (Alarm::default(), Instant::now());
        let due = |subject, model, seconds| alarm.is_due_at(subject, model, start + Duration::from_secs(seconds));
        assert!(due("credential", "small", 0) && !due("credential", "small", 59) && due("credential", "small", 60));
        assert!(due("credit", "small", 61) && !due("credential", "small", 62) && !due("credit", "small", 63), "two that take turns");
        assert!(due("credit", "large", 63) && !due("credit", "large", 64), "another model");
    }
}
