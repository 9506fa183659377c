use domain::code::BatchTerms;
use http::StatusCode;

use super::{
    draft,
    fields::{REVIEW, TERMS},
    page::Codes,
};
use crate::{
    error::ConsoleError,
    parts::{
        form::Form,
        search::{SEARCH, Search},
    },
    server::{Caller, FormAnswer, page_status, parameter, typed_form},
};

/// The batches, for operators, and the form for another, or the codes that it just made.
pub(crate) async fn codes(caller: &Caller, query: &str) -> Result<Codes, ConsoleError> {
    let mut batches = caller.operator().await?.batches().await?;
    let (form, review) = match FormAnswer::here() {
        Some(answer) => (answer.form, None),
        None => review(caller, query),
    };
    let revoked = parameter(query, "revoked").and_then(|id| id.parse().ok());
    let revoked = batches.iter().find(|(batch, _)| revoked == Some(batch.id) && batch.revoked_at.is_some());
    let revoked = revoked.map(|(batch, _)| batch.clone());
    let search = Search::narrow(parameter(query, SEARCH), &mut batches, |(batch, _)| batch.terms.name.as_str());
    Ok(Codes {
        revoked,
        batches,
        search,
        now: caller.visitor.now,
        fresh: FormAnswer::here().and_then(|answer| answer.fresh_codes),
        form,
        review,
    })
}

/// The form as the address has it, with what would be made or what is wrong with it.
fn review(caller: &Caller, query: &str) -> (Form, Option<BatchTerms>) {
    let mut form = Form { typed: typed_form(query, &TERMS, REVIEW), ..caller.form() };
    if parameter(query, REVIEW).is_none() {
        return (form, None);
    }
    match draft::read(|field| parameter(query, field).unwrap_or_default(), caller.visitor.now) {
        Ok(terms) => (form, Some(terms)),
        Err(problem) => {
            form.problem = Some(problem);
            page_status(StatusCode::UNPROCESSABLE_ENTITY);
            (form, None)
        }
    }
}
