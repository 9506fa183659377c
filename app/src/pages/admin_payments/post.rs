use axum::{http::StatusCode, response::Response};
use domain::id::PaymentId;
use ledger::{NewRefund, Operator, PaymentCredit};

use super::{
    PATH,
    api::Decision,
    fields::{AMOUNT, DO, PAYMENT, REASON},
};
use crate::{
    error::ConsoleError,
    parts::form::Problem,
    server::{NotTaken, Refusal, Submission, incomplete, see_other},
};

/// `POST /admin/payments`: credits what is held, dismisses it, or has Stripe pay a payment back: what `farebox payments` does, and what was looked at before.
pub(crate) async fn decide(submission: Submission) -> Response {
    let outcome = try_decide(&submission).await;
    submission.answer(outcome).await
}

async fn try_decide(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let operator = caller.operator().await?;
    let decision = Decision::of(submission.text(DO)).ok_or_else(incomplete)?;
    let (name, reason, actor) = (submission.text(PAYMENT), submission.text(REASON), caller.actor()?);
    match (decision, name.parse::<PaymentId>()) {
        (Decision::Dismiss, Ok(payment)) => operator.dismiss_payment(payment, reason).await?,
        (Decision::Dismiss, Err(_)) => operator.dismiss_stray(name, reason).await?,
        (Decision::Credit, Ok(payment)) => {
            let amount = Some(submission.amount(AMOUNT)?);
            operator.credit_payment(payment, PaymentCredit { amount, reason, actor }).await.map(drop)?;
        }
        (Decision::Refund, Ok(payment)) => refund(submission, &operator, payment).await?,
        (Decision::Credit | Decision::Refund, Err(_)) => return Err(ConsoleError::NotFound.into()),
    }
    let payment = if name.parse::<PaymentId>().is_ok() { format!("&payment={name}") } else { String::new() };
    Ok(see_other(&format!("{PATH}?done={}{payment}", decision.name())))
}

async fn refund(submission: &Submission, operator: &Operator, payment: PaymentId) -> Result<(), Refusal> {
    let caller = submission.caller();
    let Some(stripe) = caller.stripe() else {
        return Err(ConsoleError::Forbidden("This gateway has no key of Stripe's: it cannot ask for a refund.".to_owned()).into());
    };
    let (amount, reason) = (submission.amount(AMOUNT)?, submission.text(REASON));
    let new = NewRefund { id: submission.once()?, payment, amount, reason, actor: caller.actor()? };
    let asked = operator.begin_refund(new).await?;
    match stripe.refund(&caller.console.ledger, &asked).await {
        Ok(()) => Ok(()),
        Err(NotTaken::Ledger(error)) => Err(error.into()),
        Err(NotTaken::Stripe(error)) => {
            tracing::error!(%payment, %error, "Stripe does not pay a payment back");
            let words = format!(
                "Nothing is known to be paid back: {error}. Send this form again, which asks for it once, or look in Stripe's dashboard."
            );
            Err(Refusal::Form(StatusCode::SERVICE_UNAVAILABLE, Problem::new("", words)))
        }
        Err(_) => Err(ConsoleError::Unavailable.into()),
    }
}
