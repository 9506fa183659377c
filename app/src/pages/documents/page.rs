use domain::{
    document::{Buyer, Document, Seller},
    month::CalendarMonth,
    monthly::MonthlyStatement,
};
use ledger::DocumentPage;

use crate::parts::form::Form;

/// Everything on the list.
pub(crate) struct Documents {
    /// The documents.
    pub(crate) page: DocumentPage,
    /// Whether newer ones precede them.
    pub(crate) has_newer: bool,
    /// The months, newest first, each with whether it is closed: on the first page.
    pub(crate) months: Vec<(CalendarMonth, bool)>,
    /// Whether anybody has said who sells.
    pub(crate) has_seller: bool,
    /// Who buys, on what is issued from now on.
    pub(crate) buyer: Buyer,
    /// Whether the visitor may say who buys.
    pub(crate) can_change: bool,
    /// Whether they just did.
    pub(crate) is_changed: bool,
}

/// One document.
pub(crate) struct OneDocument {
    /// The document.
    pub(crate) document: Document,
}

/// One statement.
pub(crate) struct OneStatement {
    /// The statement.
    pub(crate) statement: MonthlyStatement,
    /// Who sold when the month ended, if anybody has said so.
    pub(crate) seller: Option<Seller>,
    /// Whose it is.
    pub(crate) buyer: Buyer,
    /// The postings of it that have a document, with that one's number.
    pub(crate) numbers: Vec<(domain::billing::PostingNumber, String)>,
}

/// Who buys.
pub(crate) struct Details {
    /// What was said of it; empty where nothing was.
    pub(crate) said: Buyer,
    /// What stands on a document that is issued now.
    pub(crate) buyer: Buyer,
    /// Whether the visitor may change it.
    pub(crate) can_change: bool,
    /// The form.
    pub(crate) form: Form,
}
