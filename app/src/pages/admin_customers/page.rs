use domain::{
    account::Customer,
    billing::{Adjustment, Balance},
    money::Amount,
};

use crate::parts::{credit::Posted, form::Form};

/// Everything on one customer's page.
#[derive(Debug, Clone)]
pub(crate) struct OneCustomer {
    /// The customer.
    pub(crate) customer: Customer,
    /// Their credit.
    pub(crate) balance: Balance,
    /// Their books, as the server drew them.
    pub(crate) journal: String,
    /// The credit that was just given.
    pub(crate) done: Option<Posted>,
    /// What became of the account's state that was just to be set.
    pub(crate) stated: Option<Stated>,
    /// The form that moves money.
    pub(crate) form: Form,
    /// What is to be confirmed.
    pub(crate) review: Option<Review>,
}

/// What became of the state that somebody set. Which one it is, is read from the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stated {
    /// It is so now.
    Done,
    /// Somebody else had set another one meanwhile, which stays.
    Overtaken,
}

/// What an operator posts to a customer's balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Movement {
    /// What came in by bank transfer, which the bank calls so: it is a payment, and gets a receipt.
    Transfer { reference: String },
    /// What nobody has paid, or what goes out.
    Adjust(Adjustment),
}

impl Movement {
    /// The name of a transfer in a form.
    pub(super) const TRANSFER: &'static str = "transfer";

    /// Its name in a form.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Transfer { .. } => Self::TRANSFER,
            Self::Adjust(how) => how.name(),
        }
    }

    /// By how much it moves the balance; `None` of what cannot be written down.
    pub(super) const fn moved(&self, amount: Amount) -> Option<Amount> {
        match self {
            Self::Transfer { .. } => Some(amount),
            Self::Adjust(how) => how.movement(amount),
        }
    }
}

/// A movement of money that an operator has asked for, before it is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Review {
    /// What is done.
    pub(crate) how: Movement,
    /// Of how much; above zero.
    pub(crate) amount: Amount,
    /// Why.
    pub(crate) reason: String,
    /// Whether it is so much that the customer's name must be typed.
    pub(crate) needs_name: bool,
}
