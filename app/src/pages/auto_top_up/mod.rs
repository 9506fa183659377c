//! An account that is topped up by itself: when, by how much, by which card, and why it has stopped.

pub(crate) mod api;
pub(crate) mod post;
pub(crate) mod view;

/// Where that is.
pub(crate) const PATH: &str = "/billing/auto-top-up";

/// The form's fields.
mod fields {
    /// When the balance is below this.
    pub(super) const THRESHOLD: &str = "threshold";
    /// By how much.
    pub(super) const AMOUNT: &str = "amount";
    /// How much in a month at most.
    pub(super) const CAP: &str = "cap";
    /// What is to be done: one of these.
    pub(super) const DO: &str = "do";
    pub(super) const ON: &str = "on";
    pub(super) const OFF: &str = "off";
    pub(super) const CARD: &str = "card";
    pub(super) const PORTAL: &str = "portal";
}
