//! The form's fields: what they are called, and what is offered there.

use domain::code::CodeKind;

/// Its name.
pub(super) const NAME: &str = "name";
/// What each use of a code gives.
pub(super) const AMOUNT: &str = "amount";
/// What that is in the books.
pub(super) const KIND: &str = "kind";
/// How many codes there are.
pub(super) const CODES: &str = "codes";
/// How many accounts may redeem each.
pub(super) const USES: &str = "uses";
/// Whether an account may redeem one of them alone.
pub(super) const SOLE: &str = "per_account";
/// Through which day they are redeemed.
pub(super) const EXPIRES: &str = "expires";
/// How long the credit lasts.
pub(super) const CREDIT_DAYS: &str = "credit_days";
/// That it is to be looked at before it is made.
pub(super) const REVIEW: &str = "review";
/// The batch that is to be revoked.
pub(super) const REVOKE: &str = "revoke";

/// All that say what is to be made.
pub(super) const TERMS: [&str; 8] = [NAME, AMOUNT, KIND, CODES, USES, SOLE, EXPIRES, CREDIT_DAYS];

/// Where an account may redeem one code of the batch alone.
pub(super) const ONE: &str = "one";
/// Where it may redeem several.
pub(super) const SEVERAL: &str = "several";

/// What a kind is, in words.
pub(super) const fn label(kind: CodeKind) -> &'static str {
    match kind {
        CodeKind::Promo => "Promotional credit, given away",
        CodeKind::Paid => "Paid credit: somebody has paid for the codes",
    }
}
