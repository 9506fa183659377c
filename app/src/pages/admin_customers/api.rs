use domain::{
    account::Customer,
    billing::{Balance, JournalPage},
    id::JournalId,
};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

use crate::{error::ConsoleError, parts::form::Form};

/// Everything on the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CustomersPage {
    /// The customers that match.
    pub(crate) customers: Vec<Customer>,
    /// What was searched for.
    pub(crate) search: String,
}

/// Everything on one customer's page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CustomerPage {
    /// The customer.
    pub(crate) customer: Customer,
    /// Their credit.
    pub(crate) balance: Balance,
    /// Their books.
    pub(crate) journal: JournalPage,
    /// Whether newer postings precede them.
    pub(crate) has_newer: bool,
    /// The credit that was just given, with whether it had been given before.
    pub(crate) done: Option<(JournalId, bool)>,
    /// The credit form.
    pub(crate) form: Form,
}

/// Every customer, for operators.
#[server(prefix = "/api", endpoint = "customers", input = Json)]
pub(crate) async fn customers(query: String) -> Result<CustomersPage, ConsoleError> {
    use crate::server::{Caller, answer, parameter};

    answer(
        async {
            let caller = Caller::here()?;
            let operator = caller.operator().await?;
            let search = parameter(&query, "search").unwrap_or_default().trim().to_owned();
            let wanted = Some(search.as_str()).filter(|search| !search.is_empty());
            let customers = operator.customers(wanted, caller.visitor.now).await?;
            Ok(CustomersPage { customers, search })
        }
        .await,
    )
}

/// One customer, for operators.
#[server(prefix = "/api", endpoint = "customer", input = Json)]
pub(crate) async fn one_customer(id: String, query: String) -> Result<CustomerPage, ConsoleError> {
    use crate::server::{Caller, JOURNAL_PAGE, answer, journal_cursor, journal_done};

    answer(
        async {
            let caller = Caller::here()?;
            let (operator, now) = (caller.operator().await?, caller.visitor.now);
            let id = id.parse().map_err(|_| ConsoleError::NotFound)?;
            let before = journal_cursor(&query)?;
            let customer = operator.customer(id, now).await?;
            let balance = operator.customer_balance(id, now).await?;
            let journal = operator.customer_journal(id, before, JOURNAL_PAGE).await?;
            Ok(CustomerPage { customer, balance, journal, has_newer: before.is_some(), done: journal_done(&query), form: caller.form() })
        }
        .await,
    )
}
