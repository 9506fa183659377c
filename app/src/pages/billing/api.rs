use domain::account::Role;

use super::page::{Billing, Payment};
use crate::{
    error::ConsoleError,
    server::{Caller, JOURNAL_PAGE, journal_cursor, journal_done},
    visit::Visit,
};

impl Payment {
    /// How credit comes into the visitor's account.
    pub(super) fn of(visit: &Visit) -> Self {
        match (visit.demo, visit.role()) {
            (false, _) => Self::ByOperator,
            (true, Some(Role::Owner)) => Self::Test,
            (true, _) => Self::NotAllowed,
        }
    }
}

/// The credit and the books of the caller's account.
pub(crate) async fn billing(caller: &Caller, query: &str) -> Result<Billing, ConsoleError> {
    let reader = caller.reader().await?;
    let before = journal_cursor(query)?;
    Ok(Billing {
        statement: reader.statement(before, JOURNAL_PAGE, caller.visitor.now).await?,
        has_newer: before.is_some(),
        done: journal_done(query),
        payment: Payment::of(&caller.visitor.visit),
        form: caller.form(),
    })
}
