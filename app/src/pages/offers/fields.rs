//! The forms' fields.

/// What is to be looked at, or is bought.
pub(crate) const PLAN: &str = "plan";
/// In which version.
pub(crate) const VERSION: &str = "version";
/// The plan that is to end.
pub(crate) const END: &str = "end";
/// The plan that is to be kept.
pub(crate) const KEEP: &str = "keep";
