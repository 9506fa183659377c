//! What has to be written for one side of a model's price to be what a list says.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Timeline, compare::same_price};
use crate::{
    catalog::{PriceKind, PriceVersion},
    rates::Rates,
    service_tier::ServiceTier,
};

/// From when a list's price holds here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// For a side that never had a price.
    pub first: DateTime<Utc>,
    /// For one that has.
    pub later: DateTime<Utc>,
}

/// A version to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which side.
    pub kind: PriceKind,
    /// Which service tier.
    pub service_tier: ServiceTier,
    /// From when on.
    pub from: DateTime<Utc>,
    /// What it takes the place of.
    pub was: Option<Rates>,
    /// What it is then.
    pub rates: Rates,
}

/// What a list comes to for one side of a model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Plan {
    /// The versions to be written, in order of time; none where all is as the list says.
    pub changes: Vec<Change>,
    /// When prices take effect that are scheduled already and that the list does not have.
    pub contrary: Vec<DateTime<Utc>>,
}

/// A version is never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another price is written from {} on already", .0.format("%Y-%m-%d %H:%M:%S UTC"))]
pub struct Conflict(pub DateTime<Utc>);

/// Compares a list with all versions that this side of the model ever had or will have at this service tier.
///
/// # Errors
/// [`Conflict`] where another price begins at the very instant of one of the list's.
pub fn plan(written: &[&PriceVersion], wanted: &Timeline, start: Start) -> Result<Plan, Conflict> {
    let start = if written.is_empty() { start.first } else { start.later };
    let mut changes: Vec<Change> = Vec::new();
    let later = wanted.steps.iter().filter_map(|step| step.from.filter(|from| *from > start).map(|from| (from, &step.rates)));
    for (from, rates) in wanted.at(start).map(|rates| (start, rates)).into_iter().chain(later) {
        let before = state(written, &changes, from);
        if before.is_some_and(|before| same_price(before, rates)) {
            continue;
        }
        if written.iter().any(|version| version.effective_from == from) {
            return Err(Conflict(from));
        }
        let was = before.cloned();
        changes.push(Change { kind: wanted.kind, service_tier: wanted.service_tier, from, was, rates: rates.clone() });
    }
    let is_contrary = |version: &&&PriceVersion| {
        version.effective_from > start && wanted.at(version.effective_from).is_some_and(|rates| !same_price(rates, &version.rates))
    };
    let contrary = written.iter().filter(is_contrary).map(|version| version.effective_from).collect();
    Ok(Plan { changes, contrary })
}

/// What is in force at an instant, with what is to be written.
fn state<'a>(written: &[&'a PriceVersion], changes: &'a [Change], at: DateTime<Utc>) -> Option<&'a Rates> {
    let written = written.iter().map(|version| (version.effective_from, &version.rates));
    let changes = changes.iter().map(|change| (change.from, &change.rates));
    written.chain(changes).filter(|(from, _)| *from <= at).max_by_key(|(from, _)| *from).map(|(_, rates)| rates)
}
