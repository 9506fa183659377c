use axum::response::Response;
use domain::id::{AccountId, GrantId, UserId};
use ledger::NewCustomer;

use crate::{
    error::ConsoleError,
    server::{Refusal, Submission, see_other},
};

/// `POST /signup`: makes an account with its owner, and signs them in.
pub(crate) async fn sign_up(submission: Submission) -> Response {
    let outcome = try_sign_up(&submission).await;
    submission.answer(outcome).await
}

async fn try_sign_up(submission: &Submission) -> Result<Response, Refusal> {
    let (console, visitor) = (&submission.console, &submission.visitor);
    if !console.settings.signup_open {
        return Err(ConsoleError::Forbidden("This gateway opens accounts itself. Ask its operator for one.".to_owned()).into());
    }
    submission.expect_that_a_session_lasts()?;
    let (email, password, now) = (submission.text("email"), submission.raw("password"), visitor.now);
    let opening = console.throttle.sign_up(visitor.address, now)?;
    let name = Some(submission.text("name")).filter(|name| !name.is_empty()).unwrap_or(email);
    let user_id = UserId::new(now, rand::random());
    let new = NewCustomer {
        account_id: AccountId::new(now, rand::random()),
        account_name: name.to_owned(),
        grant_id: GrantId::new(now, rand::random()),
        user_id,
        email: email.to_owned(),
        password: password.to_owned(),
        is_demo: console.settings.demo.is_some(),
        now,
    };
    let user = match console.ledger.reached_from(visitor.address).sign_up(new).await {
        Ok(()) => user_id,
        // A second click, or somebody who forgot that they have an account: with the right password it is a sign-in.
        Err(ledger::Error::EmailTaken) => {
            let user = sign_in(submission, email, password).await?;
            opening.forget();
            user
        }
        Err(error) => return Err(error.into()),
    };
    visitor.sign_in(user).await?;
    Ok(visitor.remember_device(console, email, see_other("/")))
}

async fn sign_in(submission: &Submission, email: &str, password: &str) -> Result<UserId, Refusal> {
    let (console, visitor) = (&submission.console, &submission.visitor);
    let attempt = console.throttle.sign_in(visitor.address, email, visitor.device(console, email), visitor.now)?;
    let user = console.ledger.authenticate(email, password).await.map_err(taken)?;
    attempt.forget();
    Ok(user)
}

fn taken(error: ledger::Error) -> Refusal {
    match error {
        ledger::Error::BadCredentials => {
            Refusal::field("email", "No account can be opened with this address. If it is yours and you have one, sign in instead.")
        }
        other => other.into(),
    }
}
