use domain::{account::Role, credit::Scope};

use super::page::{Billing, Payment};
use crate::{
    error::ConsoleError,
    server::{Caller, JOURNAL_PAGE, Seen, journal_cursor, journal_done},
    visit::Visit,
};

impl Payment {
    /// How credit comes into an account by this visitor, who has this role in it.
    pub(super) fn of(visit: &Visit, role: Option<Role>) -> Self {
        match (visit.demo, role) {
            (_, None) => Self::None,
            (false, _) => Self::ByOperator,
            (true, Some(Role::Owner)) => Self::Test,
            (true, _) => Self::NotAllowed,
        }
    }
}

/// The credit and the books of an account.
pub(crate) async fn billing(caller: &Caller, seen: &Seen, query: &str) -> Result<Billing, ConsoleError> {
    let reader = &seen.reader;
    let (before, now) = (journal_cursor(query)?, caller.visitor.now);
    let limits = reader.limits(now).await?.into_iter();
    Ok(Billing {
        statement: reader.statement(before, JOURNAL_PAGE, now).await?,
        limits: limits.filter(|state| !matches!(state.limit.scope, Scope::Key(_))).collect(),
        now,
        has_newer: before.is_some(),
        done: journal_done(query),
        payment: Payment::of(&caller.visitor.visit, seen.role),
        form: caller.form(),
    })
}
