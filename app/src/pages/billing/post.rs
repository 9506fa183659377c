use axum::{http::StatusCode, response::Response};
use domain::{
    id::PaymentId,
    money::Amount,
    payment::{Currency, PaymentState},
};
use ledger::{AccountOwner, MoneyIn, NewPayment};

use super::{
    page::Payment,
    redeem::{CODE, redeem},
};
use crate::{
    error::ConsoleError,
    parts::form::Problem,
    server::{NewSession, NotTaken, Refusal, Stripe, Submission, see_other},
};

/// A test payment is for trying out; it does not need to be larger.
const TEST_PAYMENT_MAX: Amount = Amount::from_nanos(10_000_000_000_000);

/// `POST /billing`: a code that is redeemed, or a payment: on Stripe's page where that is set up, else a demonstration's test payment. Without both there is
/// none: credit comes from an operator.
pub(crate) async fn top_up(submission: Submission) -> Response {
    let outcome = pay(&submission).await;
    submission.answer(outcome).await
}

async fn pay(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let owner = caller.owner().await?;
    if submission.field(CODE).is_some() {
        return redeem(submission, &owner).await;
    }
    match (Payment::of(caller.stripe(), &submission.visitor.visit, submission.visitor.visit.role()), caller.stripe()) {
        (Payment::Stripe { smallest, largest, .. }, Some(stripe)) => pay_at_stripe(submission, &owner, stripe, (smallest, largest)).await,
        (Payment::Test, _) => test_payment(submission, &owner).await,
        _ => Err(ConsoleError::Forbidden("This gateway takes no payments here. Ask its operator for credit.".to_owned()).into()),
    }
}

/// Writes down what is to be paid, has Stripe make a page for it, and leads there. The same form again is the same payment, and leads to the same page.
async fn pay_at_stripe(
    submission: &Submission,
    owner: &AccountOwner,
    stripe: &Stripe,
    (smallest, largest): (Amount, Amount),
) -> Result<Response, Refusal> {
    let (caller, now) = (submission.caller(), submission.visitor.now);
    let amount = submission.amount(if submission.text("preset").is_empty() { "amount" } else { "preset" })?;
    if !(smallest..=largest).contains(&amount) {
        return Err(Refusal::field("amount", format!("Write an amount from {smallest} to {largest}.")));
    }
    let (id, email) = (PaymentId::from_uuid(submission.once()?), caller.actor()?);
    let payment = owner.begin_payment(NewPayment { id, amount, currency: Currency::USD, actor: email, now }).await?;
    let back = format!("/billing?payment={id}");
    if payment.state != PaymentState::Pending {
        return Ok(see_other(&back));
    }
    if Stripe::is_stale(&payment, now) {
        let words = "This form was sent an hour ago. Load the page again and send it from there: whatever was paid then is credited.";
        return Err(Refusal::Form(StatusCode::CONFLICT, Problem::new("", words)));
    }
    let back = format!("{}{back}", caller.console.settings.console_url);
    let session = NewSession { payment: &payment, email, back: &back, cancelled: &format!("{back}&cancelled=yes") };
    match stripe.begin(&caller.console.ledger, &session).await {
        Ok(address) => Ok(see_other(&address)),
        Err(NotTaken::Ledger(error)) => Err(error.into()),
        Err(error) => {
            tracing::error!(payment = %id, %error, "Stripe makes no page for a payment");
            let words = "Stripe cannot be reached right now, and nothing was charged. Send this form again in a moment.";
            Err(Refusal::Form(StatusCode::SERVICE_UNAVAILABLE, Problem::new("amount", words)))
        }
    }
}

async fn test_payment(submission: &Submission, owner: &AccountOwner) -> Result<Response, Refusal> {
    let (caller, amount) = (submission.caller(), submission.amount("amount")?);
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
