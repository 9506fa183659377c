use axum::{http::StatusCode, response::Response};

use crate::{
    parts::form::Problem,
    server::{Refusal, Submission, is_local, see_other},
};

/// `POST /login`.
pub(crate) async fn sign_in(submission: Submission) -> Response {
    let outcome = try_sign_in(&submission).await;
    submission.answer(outcome).await
}

async fn try_sign_in(submission: &Submission) -> Result<Response, Refusal> {
    let (email, visitor) = (submission.text("email"), &submission.visitor);
    submission.expect_that_a_session_lasts()?;
    let console = &submission.console;
    let attempt = console.throttle.sign_in(visitor.address, email, visitor.device(console, email), visitor.now)?;
    let user = match console.ledger.authenticate(email, submission.raw("password")).await {
        Err(ledger::Error::BadCredentials) => {
            let message = "The e-mail address or the password is wrong. Check both and try again.";
            return Err(Refusal::Form(StatusCode::UNAUTHORIZED, Problem::new("", message)));
        }
        answer => answer?,
    };
    attempt.forget();
    visitor.sign_in(user).await?;
    let next = submission.text("next");
    Ok(visitor.remember_device(console, email, see_other(if is_local(next) { next } else { "/" })))
}

/// `POST /logout`.
pub(crate) async fn sign_out(submission: Submission) -> Response {
    let outcome = submission.visitor.sign_out().await.map(|()| see_other("/login?signed-out=yes")).map_err(Refusal::from);
    submission.answer(outcome).await
}
