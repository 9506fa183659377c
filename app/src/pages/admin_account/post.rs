use axum::{extract::Path, http::StatusCode, response::Response};
use domain::id::AccountId;

use super::{
    api, draft,
    fields::{self, SEEN},
};
use crate::{
    error::ConsoleError,
    server::{Refusal, Submission, see_other},
};

/// `POST /admin/customers/{id}/settings`: sets what was looked at before. The same again changes nothing.
pub(crate) async fn set(Path(id): Path<String>, submission: Submission) -> Response {
    let outcome = try_set(&id, &submission).await;
    submission.answer(outcome).await
}

async fn try_set(id: &str, submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let operator = caller.operator().await?;
    let account: AccountId = id.parse().map_err(|_| ConsoleError::NotFound)?;
    let at_field = |problem| Refusal::Form(StatusCode::UNPROCESSABLE_ENTITY, problem);
    let line = draft::read(|field| submission.text(field).to_owned()).map_err(at_field)?;
    let is_seen = |before: &_| fields::seen(before) == submission.text(SEEN);
    match operator.set_credit_line(account, caller.actor()?, line, is_seen).await {
        Ok(()) => Ok(see_other(&format!("/admin/customers/{account}/settings?done=yes"))),
        Err(error) => {
            let status = if matches!(error, ledger::Error::Taken(_)) { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
            Err(Refusal::Form(status, api::problem(error)?))
        }
    }
}
