use axum::{http::StatusCode, response::Response};
use domain::id::{AccountId, GrantId, UserId};
use ledger::NewCustomer;

use super::FreshCustomer;
use crate::server::{FormAnswer, Refusal, Submission};

/// `POST /admin/customers/new`: opens an account with its owner and shows the owner's password, once. A second click shows the same one.
pub(crate) async fn open(submission: Submission) -> Response {
    match try_open(&submission).await {
        Ok(fresh) => submission.render(StatusCode::OK, FormAnswer { fresh_customer: Some(fresh), ..FormAnswer::default() }).await,
        Err(refusal) => submission.answer(Err(refusal)).await,
    }
}

async fn try_open(submission: &Submission) -> Result<FreshCustomer, Refusal> {
    let caller = submission.caller();
    let (user, operator, once) = (caller.user()?, caller.operator().await?, submission.once()?);
    let now = submission.visitor.now;
    let fresh = FreshCustomer {
        id: AccountId::new(now, rand::random()),
        name: submission.text("name").to_owned(),
        email: submission.text("email").to_owned(),
        password: password(rand::random()),
    };
    let new = NewCustomer {
        account_id: fresh.id,
        account_name: fresh.name.clone(),
        grant_id: GrantId::new(now, rand::random()),
        user_id: UserId::new(now, rand::random()),
        email: fresh.email.clone(),
        password: fresh.password.clone(),
        is_demo: submission.console.settings.demo.is_some(),
        now,
    };
    let open = async move {
        operator.open_account(new).await?;
        Ok(fresh)
    };
    submission.console.fresh_customers.once(user, once, open).await.map_err(|error| refusal(&error))
}

/// 80 random bits, which nobody guesses and a person can type.
fn password(bits: [u8; 10]) -> String {
    bits.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refusal(error: &ledger::Error) -> Refusal {
    match error {
        ledger::Error::EmailTaken => {
            Refusal::field("email", "Somebody signs in with this address already. An address belongs to one person.")
        }
        ledger::Error::Invalid { field, problem } => Refusal::from(ledger::Error::Invalid { field, problem: problem.clone() }),
        _ => {
            tracing::error!(%error, "an account was not opened");
            crate::error::ConsoleError::Unavailable.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_all_of_its_bits() {
        assert_eq!(password([0, 1, 2, 3, 4, 5, 6, 7, 128, 255]), "000102030405060780ff");
    }
}
