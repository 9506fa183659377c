use axum::{http::StatusCode, response::Response};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    id::{KeyId, ProjectId},
    key::ApiKey,
};
use ledger::{AccountReader, NewKey};

use super::FreshKey;
use crate::{
    error::ConsoleError,
    parts::models::{self, MODELS},
    server::{FormAnswer, Refusal, Submission, see_other},
};

/// `POST /keys/new`: makes a key and shows it, once. A second click shows the same key.
pub(crate) async fn create(submission: Submission) -> Response {
    match make(&submission).await {
        Ok(key) => submission.render(StatusCode::OK, FormAnswer { fresh_key: Some(key), ..FormAnswer::default() }).await,
        Err(refusal) => submission.answer(Err(refusal)).await,
    }
}

async fn make(submission: &Submission) -> Result<FreshKey, Refusal> {
    let caller = submission.caller();
    let (user, member) = (caller.user()?, caller.member().await?);
    let id = member.key_of_form(submission.once()?);
    let name = submission.text("name").to_owned();
    let expires_at = expiry(submission.text("expires"))?;
    let project = project(submission.text("project"), &member).await?;
    let models = models::typed(submission.text(MODELS));
    let now = submission.visitor.now;
    let make = async move {
        let secret = ApiKey::from_random(rand::random());
        member
            .create_key(NewKey {
                id,
                secret: &secret,
                name: &name,
                project,
                member: Some(user),
                models: models.as_deref(),
                expires_at,
                now,
            })
            .await?;
        Ok(FreshKey { name, secret: secret.expose().to_owned(), models, expires_at })
    };
    submission.console.fresh_keys.once(user, id.uuid(), make).await.map_err(|error| refusal(&error))
}

/// Why a key could not be made: one that calls models, or one that reads reports.
pub(in crate::pages) fn refusal(error: &ledger::Error) -> Refusal {
    match error {
        ledger::Error::Invalid { field, problem } => Refusal::from(ledger::Error::Invalid { field, problem: problem.clone() }),
        ledger::Error::Taken(_) => ConsoleError::Conflict(
            "This form already made its key, and a key is shown only once. If you did not keep it, revoke it and create another."
                .to_owned(),
        )
        .into(),
        other => {
            tracing::error!(error = %other, "a key could not be made");
            ConsoleError::Unavailable.into()
        }
    }
}

/// A key works through the day that is typed.
fn expiry(typed: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
    if typed.is_empty() {
        return Ok(None);
    }
    let day: Option<NaiveDate> = typed.parse().ok().filter(|_| typed.len() == 10);
    let after =
        day.and_then(|day| day.succ_opt()).ok_or_else(|| Refusal::field("expires", "This is not a date: write it like 2027-01-31."))?;
    Ok(Some(domain::period::start_of(after)))
}

/// The project that is chosen; the account's first one where there was nothing to choose.
async fn project(chosen: &str, account: &AccountReader) -> Result<ProjectId, Refusal> {
    let projects = account.projects().await?;
    let project = projects.iter().find(|project| chosen.is_empty() || project.id.to_string() == chosen);
    project.map(|project| project.id).ok_or_else(|| Refusal::field("project", "There is no such project: choose one of the list."))
}

/// `POST /keys`: revokes the key that the form names.
pub(crate) async fn revoke(submission: Submission) -> Response {
    let outcome = end(&submission).await;
    submission.answer(outcome).await
}

async fn end(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let (user, member) = (caller.user()?, caller.member().await?);
    let key: KeyId = submission.text("revoke").parse().map_err(|_| ConsoleError::NotFound)?;
    member.revoke_key(key, submission.visitor.now).await?;
    submission.console.fresh_keys.forget(user, key.uuid()).await;
    Ok(see_other(&format!("/keys?revoked={key}")))
}
