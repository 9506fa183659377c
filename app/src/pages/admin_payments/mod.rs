//! What customers pay, as operators look at it: what waits for them with its reason, and what they decide of it, after a look at it.

pub(crate) mod api;
pub(crate) mod post;
mod review;
pub(crate) mod view;

/// Where they are.
pub(crate) const PATH: &str = "/admin/payments";

/// The forms' fields.
mod fields {
    /// Which payment: its id, or Stripe's own name of what is nobody's.
    pub(super) const PAYMENT: &str = "payment";
    /// What is to become of it: one of [`super::api::Decision`]'s.
    pub(super) const DO: &str = "do";
    /// How much.
    pub(super) const AMOUNT: &str = "amount";
    /// What the bank calls what went back.
    pub(super) const REFERENCE: &str = "reference";
    /// Who sent it back: one of [`ledger::SentBack`]'s.
    pub(super) const BY: &str = "by";
    /// Why.
    pub(super) const REASON: &str = "reason";
    /// The problem that was seen: nobody decides of another one.
    pub(super) const SEEN: &str = "seen";
    /// Which payments are listed.
    pub(super) const SHOW: &str = "show";
}
