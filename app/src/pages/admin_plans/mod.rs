//! Plans and packages: what is sold, in which versions, who has it, and the form that writes another version.

pub(crate) mod api;
mod draft;
mod fields;
mod form;
pub(crate) mod page;
pub(crate) mod post;
pub(crate) mod view;

use domain::id::PlanId;

/// What stands for a plan that there is not yet where an address names one.
const NEW: &str = "new";

/// Where a plan is, or the form for a new one.
pub(crate) fn address(plan: Option<PlanId>) -> String {
    plan.map_or_else(|| format!("/admin/plans/{NEW}"), |plan| format!("/admin/plans/{plan}"))
}

/// The plan that an address names; `None` for a new one.
fn subject(id: &str) -> Result<Option<PlanId>, crate::error::ConsoleError> {
    if id == NEW { Ok(None) } else { id.parse().map(Some).map_err(|_| crate::error::ConsoleError::NotFound) }
}
