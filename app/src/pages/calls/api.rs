use domain::{
    filter::{CallFilter, cursor_from_query},
    id::CallId,
};
use http::StatusCode;
use ledger::AccountReader;

use super::page::Calls;
use crate::{
    error::ConsoleError,
    parts::{
        form::{Form, Problem},
        whose::Whose,
    },
    server::{Caller, Seen, filter_of, page_redirect, page_status, parameter},
};

/// Calls on a page.
const PAGE: i64 = 50;

/// A page of the call log of an account.
pub(crate) async fn calls(caller: &Caller, seen: &Seen, query: &str) -> Result<Calls, ConsoleError> {
    let Seen { reader, whose, .. } = seen;
    let search = match parameter(query, "id") {
        Some(id) => find(reader, whose, &id).await?,
        None => Form::default(),
    };
    let asked = |query: &str| CallFilter::from_query(query).and_then(|filter| Ok((filter, cursor_from_query(query)?)));
    let ((filter, before), form) = filter_of(query, asked);
    let page = reader.calls(&filter, before, PAGE, caller.visitor.now).await?;
    let choices = reader.filter_choices().await?;
    Ok(Calls { filter, form, search, page, has_newer: before.is_some(), choices })
}

/// Leads to the call of this id; without one, the search comes back with why.
async fn find(reader: &AccountReader, whose: &Whose, id: &str) -> Result<Form, ConsoleError> {
    let (status, problem) = match id.trim().parse::<CallId>() {
        Err(_) => (
            StatusCode::BAD_REQUEST,
            "This is no request id. It looks like 0193a6f1-6b7e-7c3a-9d2e-5a1b2c3d4e5f and comes with every answer as x-request-id.",
        ),
        Ok(call) => match reader.call(call).await {
            Ok(_) => {
                page_redirect(&whose.at(&format!("/calls/{call}")));
                return Ok(Form::default());
            }
            Err(ledger::Error::NotFound) => {
                (StatusCode::NOT_FOUND, "None of this account's calls has this id. A running call appears when it ends.")
            }
            Err(error) => return Err(error.into()),
        },
    };
    page_status(status);
    Ok(Form { typed: [("id".to_owned(), id.to_owned())].into(), problem: Some(Problem::new("id", problem)), ..Form::default() })
}
