use axum::{http::StatusCode, response::Response};

use crate::{
    parts::form::Problem,
    server::{Posting, Refusal, is_local, see_other},
};

/// `POST /login`.
pub(crate) async fn sign_in(posting: Posting) -> Response {
    let outcome = try_sign_in(&posting).await;
    posting.answer(outcome).await
}

async fn try_sign_in(posting: &Posting) -> Result<Response, Refusal> {
    let (email, visitor) = (posting.text("email"), &posting.visitor);
    let attempt = posting.console.throttle.sign_in(visitor.address, email, visitor.now)?;
    let user = match posting.console.ledger.authenticate(email, posting.raw("password")).await {
        Err(ledger::Error::BadCredentials) => {
            let message = "The e-mail address or the password is wrong. Check both and try again.";
            return Err(Refusal::Form(StatusCode::UNAUTHORIZED, Problem::new("", message)));
        }
        answer => answer?,
    };
    attempt.forget();
    visitor.sign_in(user).await?;
    let next = posting.text("next");
    Ok(see_other(if is_local(next) { next } else { "/" }))
}

/// `POST /logout`.
pub(crate) async fn sign_out(posting: Posting) -> Response {
    let outcome = posting.visitor.sign_out().await.map(|()| see_other("/login?signed-out=yes")).map_err(Refusal::from);
    posting.answer(outcome).await
}
