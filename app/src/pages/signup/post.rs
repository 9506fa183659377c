use axum::response::Response;
use domain::id::{AccountId, GrantId, UserId};
use ledger::NewCustomer;

use crate::{
    error::ConsoleError,
    server::{Posting, Refusal, see_other},
};

/// `POST /signup`: makes an account with its owner, and signs them in.
pub(crate) async fn sign_up(posting: Posting) -> Response {
    let outcome = try_sign_up(&posting).await;
    posting.answer(outcome).await
}

async fn try_sign_up(posting: &Posting) -> Result<Response, Refusal> {
    let (console, visitor) = (&posting.console, &posting.visitor);
    if !console.settings.signup_open {
        return Err(ConsoleError::Forbidden("This gateway opens accounts itself. Ask its operator for one.".to_owned()).into());
    }
    let (email, password, now) = (posting.text("email"), posting.raw("password"), visitor.now);
    let attempt = console.throttle.attempt(visitor.address, email, now).map_err(|too_many| Refusal::TooMany(too_many.retry_after))?;
    let name = Some(posting.text("name")).filter(|name| !name.is_empty()).unwrap_or(email);
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
    let user = match console.ledger.sign_up(new).await {
        Ok(()) => user_id,
        // A second click, or somebody who forgot that they have an account: with the right password it is a sign-in.
        Err(ledger::Error::EmailTaken) => console.ledger.authenticate(email, password).await.map_err(taken)?,
        Err(error) => return Err(error.into()),
    };
    attempt.succeeded();
    visitor.sign_in(user).await?;
    Ok(see_other("/"))
}

fn taken(error: ledger::Error) -> Refusal {
    match error {
        ledger::Error::BadCredentials => {
            Refusal::field("email", "No account can be opened with this address. If it is yours and you have one, sign in instead.")
        }
        other => other.into(),
    }
}
