//! What an operator does to a wallet.

use super::JournalKind;
use crate::money::Amount;

/// What an operator does to a customer's wallet. Each is of an amount above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Adjustment {
    /// Credit that nobody paid for.
    Credit,
    /// Credit that was given, or counted too high.
    TakeBack,
    /// Money that goes back to the customer, outside of the books.
    Refund,
}

impl Adjustment {
    /// Every one, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Credit, Self::TakeBack, Self::Refund];

    /// Its name in a form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Credit => "credit",
            Self::TakeBack => "take_back",
            Self::Refund => "refund",
        }
    }

    /// The kind of its posting.
    #[must_use]
    pub const fn kind(self) -> JournalKind {
        match self {
            Self::Credit | Self::TakeBack => JournalKind::Adjustment,
            Self::Refund => JournalKind::Refund,
        }
    }

    /// By how much it moves the balance; `None` of what cannot be written down.
    #[must_use]
    pub const fn movement(self, amount: Amount) -> Option<Amount> {
        match self {
            Self::Credit => Some(amount),
            Self::TakeBack | Self::Refund => amount.checked_neg(),
        }
    }
}
