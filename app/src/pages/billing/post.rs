use axum::response::Response;
use domain::money::Amount;
use ledger::MoneyIn;

use super::page::Payment;
use crate::{
    error::ConsoleError,
    server::{Refusal, Submission, see_other},
};

/// A test payment is for trying out; it does not need to be larger.
const TEST_PAYMENT_MAX: Amount = Amount::from_nanos(10_000_000_000_000);

/// `POST /billing`: a test payment. Without demo mode there is none: credit comes from an operator.
pub(crate) async fn top_up(submission: Submission) -> Response {
    let outcome = pay(&submission).await;
    submission.answer(outcome).await
}

async fn pay(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let owner = caller.owner().await?;
    if Payment::of(&submission.visitor.visit, submission.visitor.visit.role()) != Payment::Test {
        return Err(ConsoleError::Forbidden("This gateway takes no payments here. Ask its operator for credit.".to_owned()).into());
    }
    let amount = submission.amount("amount")?;
    if amount > TEST_PAYMENT_MAX {
        return Err(Refusal::field("amount", "A test payment is at most 10,000."));
    }
    let money = MoneyIn {
        amount,
        idempotency_key: &submission.once()?.to_string(),
        memo: "Test payment",
        actor: caller.actor()?,
        now: submission.visitor.now,
    };
    let posted = owner.top_up(money).await?;
    let again = if posted.replayed { "&again=yes" } else { "" };
    Ok(see_other(&format!("/billing?done={}{again}", posted.posting)))
}
