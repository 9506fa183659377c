//! Paper: receipts, invoices, credit notes and the statements of months, as pages and as files; and who buys, as it stands on them.

pub(crate) mod api;
mod details;
pub(crate) mod file;
mod lines;
pub(crate) mod page;
mod pdf;
pub(crate) mod post;
mod sheet;
mod statement;
mod table_file;
pub(crate) mod view;

pub(crate) use self::{details::details, sheet::document, statement::statement};

/// Where documents are.
pub(crate) const PATH: &str = "/billing/documents";
/// Where statements of months are.
pub(crate) const STATEMENTS: &str = "/billing/statements";
/// Where an owner says who buys.
pub(crate) const DETAILS: &str = "/billing/details";
