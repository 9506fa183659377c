//! The form's fields.

use domain::credit::{CreditLine, Mode};

/// What calls are paid from.
pub(super) const MODE: &str = "mode";
/// How far below zero a postpaid account may go.
pub(super) const LENT: &str = "credit_line";
/// Who bears what a call costs beyond what was held for it.
pub(super) const TERMS: &str = "terms";
/// What is lent on top for a while.
pub(super) const GRACE: &str = "grace";
/// Until when.
pub(super) const UNTIL: &str = "until";
/// That it is to be looked at before it is set.
pub(super) const REVIEW: &str = "review";
/// What was set when the form was filled.
pub(super) const SEEN: &str = "seen";

/// All that say what is to be set.
pub(super) const ALL: [&str; 5] = [MODE, LENT, TERMS, GRACE, UNTIL];

/// What calls can be paid from, in the order in which it is offered.
pub(super) const MODES: [Mode; 3] = [Mode::Prepaid, Mode::Postpaid, Mode::Quota];

/// The name of strict terms, and of lenient ones.
pub(super) const STRICT: &str = "strict";
/// See [`STRICT`].
pub(super) const LENIENT: &str = "lenient";

/// What was set, as a form carries it: another one is another text.
pub(super) fn seen(line: &CreditLine) -> String {
    // A field is read without the space around it: none may begin or end it.
    let grace = line.grace.map_or_else(|| "none".to_owned(), |grace| format!("{} {}", grace.amount, grace.until.timestamp_micros()));
    format!("{} {} {} {grace}", line.mode().name(), line.amount, line.excess.is_charged())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_comes_back_from_a_form_as_it_went_in() {
        let seen = seen(&CreditLine::default());
        assert_eq!(seen.trim(), seen);
    }
}
