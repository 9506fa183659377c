use axum::{http::StatusCode, response::Response};
use domain::{id::ReportKeyId, key::ReportKey};
use ledger::NewReportKey;

use super::PATH;
use crate::{
    error::ConsoleError,
    pages::keys::{FreshKey, post::refusal},
    server::{FormAnswer, Refusal, Submission, see_other},
};

/// `POST /keys/reports`: revokes the report key that the form names, or makes one and shows it, once. A second click shows the same key.
pub(crate) async fn change(submission: Submission) -> Response {
    if submission.field("revoke").is_some() {
        let outcome = revoke(&submission).await;
        return submission.answer(outcome).await;
    }
    match make(&submission).await {
        Ok(key) => submission.render(StatusCode::OK, FormAnswer { fresh_key: Some(key), ..FormAnswer::default() }).await,
        Err(refusal) => submission.answer(Err(refusal)).await,
    }
}

async fn make(submission: &Submission) -> Result<FreshKey, Refusal> {
    let caller = submission.caller();
    let (user, owner) = (caller.user()?, caller.owner().await?);
    let id = owner.report_key_of_form(submission.once()?);
    let (name, now) = (submission.text("name").to_owned(), submission.visitor.now);
    let make = async move {
        let secret = ReportKey::from_random(rand::random());
        owner.create_report_key(NewReportKey { id, secret: &secret, name: &name, now }).await?;
        Ok(FreshKey { name, secret: secret.expose().to_owned(), models: None, expires_at: None })
    };
    submission.console.fresh_keys.once(user, id.uuid(), make).await.map_err(|error| refusal(&error))
}

async fn revoke(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let (user, owner) = (caller.user()?, caller.owner().await?);
    let key: ReportKeyId = submission.text("revoke").parse().map_err(|_| ConsoleError::NotFound)?;
    owner.revoke_report_key(key, submission.visitor.now).await?;
    submission.console.fresh_keys.forget(user, key.uuid()).await;
    Ok(see_other(&format!("{PATH}?revoked={key}")))
}
