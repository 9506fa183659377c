use domain::{
    billing::{Balance, JournalPage},
    id::JournalId,
};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

use crate::{error::ConsoleError, parts::form::Form};

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BillingPage {
    /// The account's credit.
    pub(crate) balance: Balance,
    /// Its books.
    pub(crate) journal: JournalPage,
    /// Whether newer postings precede them.
    pub(crate) has_newer: bool,
    /// The top-up that was just made, with whether it had been made before.
    pub(crate) done: Option<(JournalId, bool)>,
    /// How credit comes in.
    pub(crate) payment: Payment,
    /// The top-up form.
    pub(crate) form: Form,
}

/// How credit comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Payment {
    /// By a payment that is none: the gateway is a demonstration.
    Test,
    /// By an operator: no payment provider is set up.
    ByOperator,
    /// The visitor's role may not move money.
    NotAllowed,
}

#[cfg(feature = "ssr")]
impl Payment {
    /// How credit comes into the visitor's account.
    pub(super) fn of(visit: &crate::visit::Visit) -> Self {
        let role = visit.person.as_ref().and_then(|person| person.account.as_ref()).map(|membership| membership.role);
        match (visit.demo, role) {
            (false, _) => Self::ByOperator,
            (true, Some(domain::account::Role::Owner)) => Self::Test,
            (true, _) => Self::NotAllowed,
        }
    }
}

/// The credit and the books of the caller's account.
#[server(prefix = "/api", endpoint = "billing", input = Json)]
pub(crate) async fn billing(query: String) -> Result<BillingPage, ConsoleError> {
    use crate::server::{Caller, JOURNAL_PAGE, answer, journal_cursor, journal_done};

    answer(
        async {
            let caller = Caller::here()?;
            let reader = caller.reader().await?;
            let before = journal_cursor(&query)?;
            let balance = reader.balance(caller.visitor.now).await?;
            let page = reader.journal(before, JOURNAL_PAGE).await?;
            Ok(BillingPage {
                balance,
                journal: page,
                has_newer: before.is_some(),
                done: journal_done(&query),
                payment: Payment::of(&caller.visitor.visit),
                form: caller.form(),
            })
        }
        .await,
    )
}
