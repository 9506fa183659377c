//! Whether a provider is asked. One that keeps failing is ejected for a while, in which calls that another provider can answer pass it over; then a single
//! call probes it, and its success brings it back. No call is refused for that: a model that nobody else answers goes on being sent.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics::Gauge;
use tokio::time::Instant;

use super::alarm::Alarm;
use crate::instruments::{PROVIDER_EJECTED, PROVIDER_WARNINGS};

/// A provider that fails so often in a row is ejected.
const FAILURES_MAX: u32 = 5;
/// For so long at first, for twice as long after each probe that fails, and never for longer than the last.
const FIRST_TERM: Duration = Duration::from_secs(10);
const LONGEST_TERM: Duration = Duration::from_secs(300);

/// How a provider fares, as the calls of all cores find it.
#[derive(Debug)]
pub(crate) struct Health {
    provider: String,
    /// Whether there is anything in the record: of a provider that is well, calls look at nothing else.
    is_troubled: AtomicBool,
    record: Mutex<Record>,
    is_ejected: Gauge,
    /// What the log said of it.
    pub(crate) alarm: Alarm,
}

/// Whether a call may go to a provider.
#[derive(Debug)]
pub(crate) enum Turn {
    Open,
    /// As the one call that finds out whether it is well again.
    Probe(Probe),
    /// Not now, if another provider can answer it.
    Ejected,
}

/// The one call that probes an ejected provider. One that ends without an answer, since its client has left, leaves it to the next.
#[derive(Debug)]
pub(crate) struct Probe(Option<Arc<Health>>);

/// What a call found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// An answer, be it a refusal: it is alive.
    Well,
    /// No connection, no answer in time, or one of status 500 and above.
    Failing,
}

impl Health {
    /// That of a provider of which nothing is known.
    pub(crate) fn of(provider: &str) -> Arc<Self> {
        let is_ejected = PROVIDER_EJECTED.gauge(&[provider]);
        is_ejected.set(0.0);
        Arc::new(Self {
            provider: provider.to_owned(),
            is_troubled: AtomicBool::new(false),
            record: Mutex::default(),
            is_ejected,
            alarm: Alarm::default(),
        })
    }

    /// Whether a call may go there now. A turn as a [`Turn::Probe`] is given once.
    pub(crate) fn turn(self: &Arc<Self>) -> Turn {
        if !self.is_troubled.load(Ordering::Acquire) {
            return Turn::Open;
        }
        match self.record().standing(Instant::now()) {
            Standing::Open => Turn::Open,
            Standing::Probe => Turn::Probe(Probe(Some(Arc::clone(self)))),
            Standing::Ejected => Turn::Ejected,
        }
    }

    /// What a call found that was no probe.
    pub(crate) fn hear(&self, found: Found) {
        self.note(found, false);
    }

    /// Counts what a call to one of its models found amiss, and says whether the log is to say it now.
    pub(crate) fn warns(&self, reason: &'static str, model: &str) -> bool {
        PROVIDER_WARNINGS.counter(&[&self.provider, reason]).increment(1);
        self.alarm.is_due(reason, model)
    }

    /// Nothing comes of it any more: the provider was removed, or moved.
    pub(crate) fn retire(&self) {
        self.is_ejected.set(0.0);
    }

    fn note(&self, found: Found, is_probe: bool) {
        if found == Found::Well && !self.is_troubled.load(Ordering::Acquire) {
            return;
        }
        let edge = {
            let mut record = self.record();
            let edge = match found {
                Found::Well => record.succeeds(),
                Found::Failing => record.fails(Instant::now(), is_probe),
            };
            self.is_troubled.store(*record != Record::default(), Ordering::Release);
            edge
        };
        let provider = &self.provider;
        match edge {
            None => {}
            Some(Edge::Ejected(term)) => {
                self.is_ejected.set(1.0);
                tracing::warn!(
                    provider,
                    seconds = term.as_secs(),
                    "a provider keeps failing: calls that another can answer pass it over for a while"
                );
            }
            Some(Edge::Returned) => {
                self.is_ejected.set(0.0);
                tracing::info!(provider, "a provider that was passed over answers again");
            }
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe {
    /// What it found.
    pub(crate) fn ends(mut self, found: Found) {
        if let Some(health) = self.0.take() {
            health.note(found, true);
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(health) = self.0.take() {
            health.record().is_left_unknown();
        }
    }
}

/// What is known of a provider's last answers. It knows no clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Record {
    /// In a row; of one that is ejected, those before.
    failures: u32,
    ejection: Option<Ejection>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Ejection {
    until: Instant,
    term: Duration,
    is_probed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    Probe,
    Ejected,
}

/// What is said once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Ejected(Duration),
    Returned,
}

impl Record {
    fn standing(&mut self, now: Instant) -> Standing {
        match &mut self.ejection {
            None => Standing::Open,
            Some(ejection) if ejection.is_probed || now < ejection.until => Standing::Ejected,
            Some(ejection) => {
                ejection.is_probed = true;
                Standing::Probe
            }
        }
    }

    /// A failure of a call that was sent although the provider is ejected, or before it was, says nothing new.
    fn fails(&mut self, now: Instant, is_probe: bool) -> Option<Edge> {
        let term = match &self.ejection {
            Some(ejection) if is_probe => ejection.term.saturating_mul(2).min(LONGEST_TERM),
            Some(_) => return None,
            None => {
                self.failures += 1;
                if self.failures < FAILURES_MAX {
                    return None;
                }
                FIRST_TERM
            }
        };
        self.ejection = Some(Ejection { until: now + term, term, is_probed: false });
        Some(Edge::Ejected(term))
    }

    /// Whoever is answered has found it alive, probe or not.
    fn succeeds(&mut self) -> Option<Edge> {
        std::mem::take(self).ejection.map(|_| Edge::Returned)
    }

    fn is_left_unknown(&mut self) {
        if let Some(ejection) = &mut self.ejection {
            ejection.is_probed = false;
        }
    }
}

#[cfg(test)]
mod tests;
