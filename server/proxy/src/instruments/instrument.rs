//! What a metric is, and the handles by which it is counted.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, with_recorder};

/// A metric.
#[derive(Debug)]
pub struct Instrument {
    /// Its name in Prometheus' format.
    pub name: &'static str,
    /// How it is counted.
    pub kind: Kind,
    /// What it counts.
    pub unit: &'static str,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// What its series are told apart by.
    pub labels: &'static [&'static str],
}

/// How something is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Each is put into the first of these buckets that is not smaller.
    Histogram(&'static [f64]),
}

impl Kind {
    /// What Prometheus calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

type Text = &'static str;

pub(super) const fn counter(name: Text, unit: Text, help: Text, labels: &'static [Text]) -> Instrument {
    Instrument { name, kind: Kind::Counter, unit, help, labels }
}

pub(super) const fn gauge(name: Text, unit: Text, help: Text, labels: &'static [Text]) -> Instrument {
    Instrument { name, kind: Kind::Gauge, unit, help, labels }
}

pub(super) const fn histogram(name: Text, unit: Text, help: Text, labels: &'static [Text], buckets: &'static [f64]) -> Instrument {
    Instrument { name, kind: Kind::Histogram(buckets), unit, help, labels }
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Handles of one series, by the values of the labels in their order. To make one is to look it up: what is counted for every call is kept.
impl Instrument {
    pub(crate) fn counter(&self, values: &[&str]) -> Counter {
        debug_assert!(matches!(self.kind, Kind::Counter), "{}", self.name);
        with_recorder(|recorder| recorder.register_counter(&self.key(values), &METADATA))
    }

    pub(crate) fn gauge(&self, values: &[&str]) -> Gauge {
        debug_assert!(matches!(self.kind, Kind::Gauge), "{}", self.name);
        with_recorder(|recorder| recorder.register_gauge(&self.key(values), &METADATA))
    }

    pub(crate) fn histogram(&self, values: &[&str]) -> Histogram {
        debug_assert!(matches!(self.kind, Kind::Histogram(_)), "{}", self.name);
        with_recorder(|recorder| recorder.register_histogram(&self.key(values), &METADATA))
    }

    /// A label without a value is none.
    fn key(&self, values: &[&str]) -> Key {
        debug_assert_eq!(self.labels.len(), values.len(), "{}", self.name);
        let labels = self.labels.iter().zip(values).filter(|(_, value)| !value.is_empty());
        Key::from_parts(self.name, labels.map(|(label, value)| Label::new(*label, (*value).to_owned())).collect::<Vec<_>>())
    }

    pub(super) fn describe(&self) {
        let (name, help) = (self.name.into(), self.help.into());
        with_recorder(|recorder| match self.kind {
            Kind::Counter => recorder.describe_counter(name, None, help),
            Kind::Gauge => recorder.describe_gauge(name, None, help),
            Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
        });
    }
}
