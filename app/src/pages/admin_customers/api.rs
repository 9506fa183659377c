use super::page::{Customers, OneCustomer};
use crate::{
    error::ConsoleError,
    server::{Caller, JOURNAL_PAGE, journal_cursor, journal_done, parameter},
};

/// Every customer, for operators.
pub(crate) async fn customers(caller: &Caller, query: &str) -> Result<Customers, ConsoleError> {
    let operator = caller.operator().await?;
    let search = parameter(query, "search").unwrap_or_default().trim().to_owned();
    let wanted = Some(search.as_str()).filter(|search| !search.is_empty());
    Ok(Customers { customers: operator.customers(wanted, caller.visitor.now).await?, search })
}

/// One customer, for operators.
pub(crate) async fn customer(caller: &Caller, id: &str, query: &str) -> Result<OneCustomer, ConsoleError> {
    let (operator, now) = (caller.operator().await?, caller.visitor.now);
    let id = id.parse().map_err(|_| ConsoleError::NotFound)?;
    let before = journal_cursor(query)?;
    Ok(OneCustomer {
        customer: operator.customer(id, now).await?,
        balance: operator.customer_balance(id, now).await?,
        journal: operator.customer_journal(id, before, JOURNAL_PAGE).await?,
        has_newer: before.is_some(),
        done: journal_done(query),
        form: caller.form(),
    })
}
