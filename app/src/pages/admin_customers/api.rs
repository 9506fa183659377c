use super::page::{Customers, OneCustomer};
use crate::{
    error::ConsoleError,
    server::{Caller, FormAnswer, JOURNAL_PAGE, journal_cursor, journal_done, parameter},
};

/// Customers on the list; a search narrows it.
const CUSTOMERS_MAX: usize = 200;

/// The customers, for operators.
pub(crate) async fn customers(caller: &Caller, query: &str) -> Result<Customers, ConsoleError> {
    let operator = caller.operator().await?;
    let search = parameter(query, "search").unwrap_or_default().trim().to_owned();
    let wanted = Some(search.as_str()).filter(|search| !search.is_empty());
    // One more than is listed tells whether there are more.
    let mut customers = operator.customers(wanted, CUSTOMERS_MAX as i64 + 1, caller.visitor.now).await?;
    let more = customers.len() > CUSTOMERS_MAX;
    customers.truncate(CUSTOMERS_MAX);
    Ok(Customers { customers, more, search })
}

/// One customer, for operators.
pub(crate) async fn customer(caller: &Caller, id: &str, query: &str) -> Result<OneCustomer, ConsoleError> {
    let (operator, now) = (caller.operator().await?, caller.visitor.now);
    let id = id.parse().map_err(|_| ConsoleError::NotFound)?;
    let before = journal_cursor(query)?;
    Ok(OneCustomer {
        customer: operator.customer(id, now).await?,
        statement: operator.customer_statement(id, before, JOURNAL_PAGE, now).await?,
        has_newer: before.is_some(),
        done: journal_done(query),
        form: caller.form(),
        review: FormAnswer::here().and_then(|answer| answer.review),
    })
}
