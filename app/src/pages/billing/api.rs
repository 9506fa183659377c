use domain::{account::Role, credit::Scope};

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
    let (before, now) = (journal_cursor(query)?, caller.visitor.now);
    let limits = reader.limits(now).await?.into_iter();
    Ok(Billing {
        statement: reader.statement(before, JOURNAL_PAGE, now).await?,
        limits: limits.filter(|state| !matches!(state.limit.scope, Scope::Key(_))).collect(),
        now,
        has_newer: before.is_some(),
        done: journal_done(query),
        payment: Payment::of(&caller.visitor.visit),
        form: caller.form(),
    })
}
