//! The form's fields: what they are called, and what is offered there.

use domain::credit::Hardness;

/// How much there is in each window.
pub(super) const CAPACITY: &str = "capacity";
/// What it counts.
pub(super) const UNIT: &str = "unit";
/// When it begins anew.
pub(super) const WINDOW: &str = "window";
/// What happens at its end.
pub(super) const HARDNESS: &str = "hardness";
/// The limit that is to be removed.
pub(super) const REMOVE: &str = "remove";

/// That the models of a key are to change.
pub(super) const CHANGE_MODELS: &str = "change_models";

/// Whether answers to calls with a key are to tell what they cost.
pub(super) const TELLS_COST: &str = "tells_cost";

/// How that is said.
pub(super) const fn tells(cost: bool) -> &'static str {
    if cost { "yes" } else { "no" }
}

/// What can happen at the end of a limit, in the order in which it is offered.
pub(super) const ENDS: [Hardness; 2] = [Hardness::Hard, Hardness::Soft];
