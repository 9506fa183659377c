use axum::response::Response;
use ledger::NewBuyer;

use super::PATH;
use crate::server::{Refusal, Submission, see_other};

/// `POST /billing/details`: who buys, on documents that are issued from now on. The same form again changes nothing more.
pub(crate) async fn details(submission: Submission) -> Response {
    let outcome = change(&submission).await;
    submission.answer(outcome).await
}

async fn change(submission: &Submission) -> Result<Response, Refusal> {
    let owner = submission.caller().owner().await?;
    let new = NewBuyer {
        name: submission.raw("name"),
        email: submission.raw("email"),
        address: submission.raw("address"),
        tax_id: submission.raw("tax_id"),
        now: submission.visitor.now,
    };
    owner.set_buyer(new).await.map_err(|error| match error {
        ledger::Error::Invalid { field: "tax id", problem } => ledger::Error::Invalid { field: "tax_id", problem },
        other => other,
    })?;
    Ok(see_other(&format!("{PATH}?details=changed")))
}
