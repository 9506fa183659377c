use domain::customers::{CustomerFilter, CustomerPage, CustomerPlace};

use super::page::{Customers, NewCustomer, OneCustomer, Stated};
use crate::{
    error::ConsoleError,
    server::{Caller, FormAnswer, JOURNAL_PAGE, filter_of, journal_cursor, journal_done, parameter},
};

/// Customers on a page of the list.
const CUSTOMERS_PAGE: i64 = 50;

/// A page of the customers, for operators.
pub(crate) async fn customers(caller: &Caller, query: &str) -> Result<Customers, ConsoleError> {
    let operator = caller.operator().await?;
    let asked = |query: &str| {
        let filter = CustomerFilter::from_query(query)?;
        let after = CustomerPlace::from_query(query, filter.sort)?;
        Ok((filter, after))
    };
    let ((filter, after), form) = filter_of(query, asked);
    let page = if form.problem.is_some() {
        CustomerPage { customers: vec![], next: None }
    } else {
        operator.customers(&filter, after.as_ref(), CUSTOMERS_PAGE, caller.visitor.now).await?
    };
    Ok(Customers { filter, form, page, has_earlier: after.is_some() })
}

/// The form that opens an account, or the one that it just opened.
pub(crate) async fn new_customer(caller: &Caller) -> Result<NewCustomer, ConsoleError> {
    caller.operator().await?;
    let fresh = FormAnswer::here().and_then(|answer| answer.fresh_customer);
    Ok(NewCustomer { form: caller.form(), fresh, console_url: caller.console.settings.console_url.clone() })
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
        stated: parameter(query, "state").and_then(|word| Stated::named(&word)),
        form: caller.form(),
        review: FormAnswer::here().and_then(|answer| answer.review),
    })
}
