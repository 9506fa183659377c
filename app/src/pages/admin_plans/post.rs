use axum::{extract::Path, http::StatusCode, response::Response};
use domain::id::PlanId;

use super::{address, api, draft::Draft, fields::SEEN, subject};
use crate::server::{Refusal, Submission, incomplete, see_other};

/// `POST /admin/plans/{id}`: writes what was looked at before. The same again is the same version.
pub(crate) async fn write(Path(id): Path<String>, submission: Submission) -> Response {
    let outcome = try_write(&id, &submission).await;
    submission.answer(outcome).await
}

async fn try_write(id: &str, submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let operator = caller.operator().await?;
    let (plan, once) = (subject(id)?, PlanId::from_uuid(submission.once()?));
    let versions = match plan {
        Some(plan) => operator.plan_versions(plan).await?,
        None => vec![],
    };
    let at_field = |problem| Refusal::Form(StatusCode::UNPROCESSABLE_ENTITY, problem);
    let draft = Draft::read(|field| submission.text(field).to_owned()).map_err(at_field)?;
    let seen = submission.text(SEEN).parse().map_err(|_| incomplete())?;
    let new = api::new_plan(&caller, Some(plan.unwrap_or(once)), &versions, &draft, Some(seen))?;
    match operator.set_plan(new).await {
        Ok(plan) => Ok(see_other(&format!("{}?done={}", address(Some(plan.id)), plan.version))),
        Err(error) => {
            let status = if matches!(error, ledger::Error::Taken(_)) { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
            Err(Refusal::Form(status, api::problem(error)?))
        }
    }
}
