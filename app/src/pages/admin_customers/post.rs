use axum::{extract::Path, response::Response};
use domain::{account::AccountState, billing::Adjustment, id::AccountId, money::Amount};
use ledger::MoneyIn;

pub(crate) use super::post_new::open;
use super::{
    money_form::{AMOUNT, CONFIRMED, HOW, NAME, REASON, REFERENCE},
    page::{Movement, Review, Stated},
    state::{FROM, STATE},
};
use crate::{
    error::ConsoleError,
    parts::{form::Problem, money},
    server::{Refusal, Submission, incomplete, see_other},
};

/// `POST /admin/customers/{id}`: suspends the account, resumes, closes or opens it; or moves its money, see [`try_adjust`].
pub(crate) async fn change(Path(id): Path<String>, submission: Submission) -> Response {
    let outcome = if submission.text(STATE).is_empty() { try_adjust(&id, &submission).await } else { try_state(&id, &submission).await };
    submission.answer(outcome).await
}

/// Sets the state that the form names, unless somebody has set another one since the form was rendered. The same again changes nothing.
async fn try_state(id: &str, submission: &Submission) -> Result<Response, Refusal> {
    let operator = submission.caller().operator().await?;
    let account: AccountId = id.parse().map_err(|_| ConsoleError::NotFound)?;
    let state = |field| AccountState::ALL.into_iter().find(|state| state.name() == submission.text(field)).ok_or_else(incomplete);
    let stated = match operator.set_account_state(account, state(FROM)?, state(STATE)?).await {
        Ok(()) => Stated::Done,
        Err(ledger::Error::Invalid { .. }) => Stated::Overtaken,
        Err(error) => return Err(error.into()),
    };
    Ok(see_other(&format!("/admin/customers/{account}?state={}", stated.name())))
}

/// Credits a bank transfer, gives credit, takes back what is still available, or notes a refund. First it is shown whole, and
/// posted when that is confirmed.
async fn try_adjust(id: &str, submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let operator = caller.operator().await?;
    let account: AccountId = id.parse().map_err(|_| ConsoleError::NotFound)?;
    let review = review(submission)?;
    let once = submission.once()?.to_string();
    let money = MoneyIn {
        amount: review.amount,
        idempotency_key: &once,
        memo: &review.reason,
        actor: caller.actor()?,
        now: submission.visitor.now,
    };
    if submission.text(CONFIRMED).is_empty() {
        // Nobody is asked to confirm what could not be done anyway.
        match &review.how {
            Movement::Transfer { reference } => operator.expect_transfer(account, reference, money).await,
            Movement::Adjust(how) => operator.expect_adjustable(account, *how, review.amount).await,
        }
        .map_err(refusal)?;
        return Err(Refusal::Ask(review.clone(), None));
    }
    if review.needs_name {
        let customer = operator.customer(account, submission.visitor.now).await.map_err(ConsoleError::from)?;
        if submission.text(NAME) != customer.name.trim() {
            let problem = Problem::new(NAME, "This is not the customer's name. Type it as it stands above.");
            return Err(Refusal::Ask(review.clone(), Some(problem)));
        }
    }
    let posted = match &review.how {
        Movement::Transfer { reference } => operator.credit_transfer(account, reference, money).await,
        Movement::Adjust(how) => operator.adjust(account, *how, money).await,
    };
    let posted = posted.map_err(refusal)?;
    let again = if posted.replayed { "&again=yes" } else { "" };
    Ok(see_other(&format!("/admin/customers/{account}?done={}{again}", posted.posting)))
}

/// What the form asks for.
fn review(submission: &Submission) -> Result<Review, Refusal> {
    let reference = submission.text(REFERENCE);
    let how = match submission.text(HOW) {
        Movement::TRANSFER => Movement::Transfer { reference: reference.to_owned() },
        name => Movement::Adjust(Adjustment::ALL.into_iter().find(|how| how.name() == name).ok_or_else(incomplete)?),
    };
    // Who forgot to choose it would give credit that counts as paid nowhere, and the transfer could be credited again.
    if matches!(how, Movement::Adjust(_)) && !reference.is_empty() {
        return Err(Refusal::field(REFERENCE, "Only a bank transfer has one: choose that above, or leave it empty."));
    }
    let amount = submission.amount(AMOUNT)?;
    if amount <= Amount::ZERO {
        return Err(Refusal::field(AMOUNT, "Write an amount above zero. Whether it is given or taken is chosen beside it."));
    }
    let reason = submission.text(REASON).to_owned();
    if reason.is_empty() {
        return Err(Refusal::field(REASON, "Say why: the customer reads it in the journal."));
    }
    Ok(Review { how, amount, reason, needs_name: amount > submission.console.settings.posting_limit })
}

fn refusal(error: ledger::Error) -> Refusal {
    match error {
        ledger::Error::InsufficientCredit { available, .. } => Refusal::field(AMOUNT, left(available)),
        other => other.into(),
    }
}

/// How much could be taken back: nothing of an account that owes.
fn left(available: Amount) -> String {
    if available > Amount::ZERO {
        format!("Only {} is available to take back; the rest is spent or held by running calls.", money::exact(available))
    } else {
        "Nothing is available to take back: it is spent or held by running calls.".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_available_it_is_said_in_words() {
        assert!(left(Amount::from_nanos(1_500_000_000)).starts_with("Only $1.50 is available to take back"));
        assert!(left(Amount::ZERO).starts_with("Nothing is available to take back"));
    }
}
