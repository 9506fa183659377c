use axum::{http::StatusCode, response::Response};
use domain::{code::RedemptionCode, id::BatchId};
use ledger::NewBatch;

use super::{FreshCodes, PATH, draft, fields::REVOKE};
use crate::{
    error::ConsoleError,
    server::{FormAnswer, Refusal, Submission, see_other},
};

/// `POST /admin/codes`: makes codes and shows them, once, or revokes a batch. A second click shows the same codes.
pub(crate) async fn submit(submission: Submission) -> Response {
    if submission.field(REVOKE).is_some() {
        let outcome = revoke(&submission).await;
        return submission.answer(outcome).await;
    }
    match make(&submission).await {
        Ok(codes) => submission.render(StatusCode::OK, FormAnswer { fresh_codes: Some(codes), ..FormAnswer::default() }).await,
        Err(refusal) => submission.answer(Err(refusal)).await,
    }
}

async fn make(submission: &Submission) -> Result<FreshCodes, Refusal> {
    let caller = submission.caller();
    let (user, operator) = (caller.user()?, caller.operator().await?);
    let (id, actor, now) = (BatchId::from_uuid(submission.once()?), caller.actor()?.to_owned(), submission.visitor.now);
    let terms = draft::read(|field| submission.text(field).to_owned(), now)
        .map_err(|problem| Refusal::Form(StatusCode::UNPROCESSABLE_ENTITY, problem))?;
    let make = async move {
        let codes: Vec<_> = (0..terms.codes).map(|_| RedemptionCode::from_random(rand::random())).collect();
        let batch = operator.make_codes(NewBatch { id, terms, codes: &codes, actor: &actor, now }).await?;
        Ok(FreshCodes { batch, codes: codes.iter().map(RedemptionCode::expose).collect() })
    };
    submission.console.fresh_codes.once(user, id.uuid(), make).await.map_err(|error| refusal(&error))
}

fn refusal(error: &ledger::Error) -> Refusal {
    match error {
        ledger::Error::Invalid { field, problem } => Refusal::from(ledger::Error::Invalid { field, problem: problem.clone() }),
        ledger::Error::Taken(_) => ConsoleError::Conflict(
            "This form already made its codes, and codes are shown only once. If you did not keep them, revoke that batch and make another."
                .to_owned(),
        )
        .into(),
        other => {
            tracing::error!(error = %other, "codes could not be made");
            ConsoleError::Unavailable.into()
        }
    }
}

async fn revoke(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let operator = caller.operator().await?;
    let batch: BatchId = submission.text(REVOKE).parse().map_err(|_| ConsoleError::NotFound)?;
    operator.revoke_codes(batch, caller.actor()?).await?;
    submission.console.fresh_codes.forget(caller.user()?, batch.uuid()).await;
    Ok(see_other(&format!("{PATH}?revoked={batch}")))
}
