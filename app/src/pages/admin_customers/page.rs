use domain::{
    account::Customer,
    billing::{Adjustment, PostingNumber, Statement},
    money::Amount,
};
use serde::{Deserialize, Serialize};

use crate::parts::form::Form;

/// Everything on the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Customers {
    /// The customers that match, by name.
    pub(crate) customers: Vec<Customer>,
    /// Whether more match than are listed.
    pub(crate) more: bool,
    /// What was searched for.
    pub(crate) search: String,
}

/// Everything on one customer's page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OneCustomer {
    /// The customer.
    pub(crate) customer: Customer,
    /// Their credit and books.
    pub(crate) statement: Statement,
    /// Whether newer postings precede them.
    pub(crate) has_newer: bool,
    /// The credit that was just given, with whether it had been given before.
    pub(crate) done: Option<(PostingNumber, bool)>,
    /// The form that moves money.
    pub(crate) form: Form,
    /// What is to be confirmed.
    pub(crate) review: Option<Review>,
}

/// A movement of money that an operator has asked for, before it is posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Review {
    /// What is done.
    pub(crate) how: Adjustment,
    /// Of how much; above zero.
    pub(crate) amount: Amount,
    /// Why.
    pub(crate) reason: String,
    /// Whether it is so much that the customer's name must be typed.
    pub(crate) needs_name: bool,
}
