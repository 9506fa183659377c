use axum::response::Response;

use crate::server::{Refusal, Submission, see_other};

/// `POST /admin/proof`: begins a run in the background. However often the form is sent, one runs at a time, and it changes no figure.
pub(crate) async fn begin(submission: Submission) -> Response {
    let outcome = try_begin(&submission).await;
    submission.answer(outcome).await
}

async fn try_begin(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let operator = caller.operator().await?;
    let begun = operator.begin_proof(caller.actor()?).await?;
    Ok(see_other(if begun { "/admin/proof" } else { "/admin/proof?already=yes" }))
}
