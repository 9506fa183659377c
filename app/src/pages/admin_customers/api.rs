use domain::{
    billing::JournalKind,
    customers::{CustomerFilter, CustomerPage, CustomerPlace},
    id::AccountId,
};

use super::{
    list::Customers,
    new::NewCustomer,
    page::{OneCustomer, Stated},
};
use crate::{
    error::ConsoleError,
    parts::journal::Journal,
    server::{Caller, FormAnswer, filter_of, journal_done, journal_slice, parameter},
};

/// Customers on a page of the list.
const CUSTOMERS_PAGE: i64 = 50;

/// What an operator can post here.
const BY_HAND: [JournalKind; 3] = [JournalKind::TopUp, JournalKind::Adjustment, JournalKind::Refund];

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
    let id: AccountId = id.parse().map_err(|_| ConsoleError::NotFound)?;
    let slice = journal_slice(query)?;
    let customer = operator.customer(id, now).await?;
    let statement = operator.customer_statement(id, slice, now).await?;
    let (balance, done) = (statement.balance.clone(), journal_done(query, &statement.journal, &BY_HAND));
    let path = format!("/admin/customers/{id}");
    let (file, has_newer) = (format!("{path}/billing.csv"), slice.before.is_some());
    Ok(OneCustomer {
        customer,
        balance,
        journal: Journal { statement, filter: slice.filter, has_newer, path, file, documents: None, now }.draw(),
        done,
        stated: parameter(query, "state").and_then(|word| Stated::named(&word)),
        form: caller.form(),
        review: FormAnswer::here().and_then(|answer| answer.review),
    })
}
