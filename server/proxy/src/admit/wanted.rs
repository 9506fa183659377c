//! Models that are asked for and not to be had: counted in memory, and told to the books now and then, for whoever sets prices.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::text::is_disruptive;
use ledger::Meter;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// The most names between two tellings: whoever has a key can ask for any.
const NAMES_MAX: usize = 100;
/// The longest name, in bytes.
const LENGTH_MAX: usize = 100;
const EVERY: Duration = Duration::from_secs(5);

/// What was asked for since it was told last, with how many calls.
#[derive(Debug, Default)]
pub(crate) struct Wanted(Mutex<HashMap<String, i64>>);

impl Wanted {
    /// Counts a call that was refused for its model.
    pub(crate) fn ask(&self, model: &str) {
        let is_a_name = !model.is_empty() && model.len() <= LENGTH_MAX && !model.chars().any(is_disruptive);
        let mut calls = self.calls();
        if !is_a_name || (calls.len() >= NAMES_MAX && !calls.contains_key(model)) {
            return;
        }
        let count = calls.entry(model.to_owned()).or_default();
        *count = count.saturating_add(1);
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<(String, i64)> {
        std::mem::take(&mut *self.calls()).into_iter().collect()
    }

    /// Counts anew what could not be told.
    fn put_back(&self, untold: Vec<(String, i64)>) {
        let mut calls = self.calls();
        for (model, count) in untold {
            let sum = calls.entry(model).or_default();
            *sum = sum.saturating_add(count);
        }
    }
}

/// Tells the books until it is told to `quit`, and then once more. What a process that is killed had counted is lost: it is no money.
pub(crate) async fn tell(wanted: Arc<Wanted>, meter: Meter, quit: CancellationToken) {
    let mut times = interval(EVERY);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_last = quit.run_until_cancelled(times.tick()).await.is_none();
        let calls = wanted.take();
        if !calls.is_empty()
            && let Err(error) = meter.want(&calls).await
        {
            tracing::debug!(%error, "models that were asked for are told later");
            wanted.put_back(calls);
        }
        if is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name_and_names_are_bounded() {
        let wanted = Wanted::default();
        for number in 0..NAMES_MAX + 50 {
            wanted.ask(&format!("model {number}"));
        }
        for name in ["model 7", "", "a\nb", &"x".repeat(LENGTH_MAX + 1)] {
            wanted.ask(name);
        }
        let mut calls = wanted.take();
        calls.sort_by_key(|(_, count)| *count);
        assert_eq!((calls.len(), calls.pop()), (NAMES_MAX, Some(("model 7".to_owned(), 2))));
        assert_eq!(wanted.take(), []);
    }

    #[test]
    fn what_could_not_be_told_is_counted_anew() {
        let wanted = Wanted::default();
        wanted.ask("large");
        let untold = wanted.take();
        wanted.ask("large");
        wanted.put_back(untold);
        assert_eq!(wanted.take(), [("large".to_owned(), 2)]);
    }
}
