//! Prices that look like a slip: of the unit, since lists count per token, per 1,000 and per million; or a zero that stands for "not known".
//!
//! Whoever imports can consent to them, model by model.

use super::compare::{Compared, Of, compared};
use crate::{money::Amount, rates::Rates, tokens::Tokens};

/// From this factor on, up or down, a difference is taken for a slip.
pub const SLIP_FACTOR: i64 = 100;

/// What looks wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Suspicion {
    /// A rate is [`SLIP_FACTOR`] times another that should be like it, or as little of it.
    #[error("{0}: a factor of {SLIP_FACTOR} or more, as if a unit was mistaken")]
    Slip(Slip),
    /// Calls would cost nothing.
    #[error("calls would be free")]
    Free,
}

/// A rate and the one that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slip(Compared);

impl std::fmt::Display for Slip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Compared { from_prompt_tokens, of, was, is } = self.0;
        let unit = if of == Of::Call { "" } else { " per 1,000" };
        write!(f, "{of}{unit}: {is} here, and {was} there")?;
        if from_prompt_tokens > Tokens::ZERO { write!(f, ", from {from_prompt_tokens} prompt tokens on") } else { Ok(()) }
    }
}

/// Whether rates look wrong beside those that they should be like, such as the ones in force; without such, only whether they are free.
#[must_use]
pub fn suspect(like: Option<&Rates>, rates: &Rates) -> Option<Suspicion> {
    match like {
        Some(like) => compared(like, rates).into_iter().find(is_slip).map(|rate| Suspicion::Slip(Slip(rate))),
        None => compared(rates, rates).iter().all(|rate| rate.is.is_zero()).then_some(Suspicion::Free),
    }
}

fn is_slip(rate: &Compared) -> bool {
    let hundredfold = |amount: Amount| i128::from(amount.nanos()) * i128::from(SLIP_FACTOR);
    let (was, is) = (i128::from(rate.was.nanos()), i128::from(rate.is.nanos()));
    was != is && (is >= hundredfold(rate.was) || was >= hundredfold(rate.is))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(input: i64, output: i64) -> Rates {
        Rates::plain(Amount::from_nanos(input), Amount::from_nanos(output))
    }

    #[test]
    fn a_hundredfold_is_a_slip_and_less_is_not() {
        for (was, is, slips) in [
            ((1_000, 1_000), (99_999, 1_000), false),
            ((1_000, 1_000), (100_000, 1_000), true),
            ((1_000, 1_000), (1_000, 11), false),
            ((1_000, 1_000), (1_000, 10), true),
            ((0, 0), (0, 0), false),
            ((0, 1_000), (1, 1_000), true),
            ((1_000, 1_000), (1_000, 0), true),
        ] {
            assert_eq!(suspect(Some(&rates(was.0, was.1)), &rates(is.0, is.1)).is_some(), slips, "{was:?} {is:?}");
        }
        let said = suspect(Some(&rates(150_000, 600_000)), &rates(150_000_000, 600_000)).map(|suspicion| suspicion.to_string());
        let expected = "Prompt tokens per 1,000: 0.15 here, and 0.00015 there: a factor of 100 or more, as if a unit was mistaken";
        assert_eq!(said.as_deref(), Some(expected));
    }

    #[test]
    fn a_first_price_of_nothing_is_suspect() {
        assert_eq!(suspect(None, &rates(0, 0)), Some(Suspicion::Free));
        assert_eq!(suspect(None, &rates(0, 1)), None);
        assert_eq!(suspect(None, &Rates { per_call: Amount::from_nanos(1), ..rates(0, 0) }), None);
    }
}
