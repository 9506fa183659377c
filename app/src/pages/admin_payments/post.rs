use axum::{http::StatusCode, response::Response};
use domain::id::PaymentId;
use ledger::{Error, NewRefund, NewReturn, Operator, PaymentCredit, SentBack};

use super::{
    PATH,
    api::Decision,
    fields::{AMOUNT, BY, DO, PAYMENT, REASON, REFERENCE, SEEN},
};
use crate::{
    error::ConsoleError,
    parts::{form::Problem, money},
    server::{NotTaken, Refusal, Submission, incomplete, see_other, sentence},
};

/// `POST /admin/payments`: credits what is held, dismisses it, has Stripe pay a payment back, or notes what went
/// back of a bank transfer: what `farebox payments` does, and what was looked at before.
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
        (Decision::Dismiss, Ok(payment)) => operator.dismiss_payment(payment, submission.raw(SEEN), reason).await.map_err(refusal)?,
        (Decision::Dismiss, Err(_)) => operator.dismiss_stray(name, reason).await?,
        (Decision::Credit, Ok(payment)) => {
            let (amount, seen) = (Some(submission.amount(AMOUNT)?), submission.raw(SEEN));
            operator.credit_payment(payment, PaymentCredit { amount, reason, seen, actor }).await.map(drop).map_err(refusal)?;
        }
        (Decision::Refund, Ok(payment)) => refund(submission, &operator, payment).await?,
        (Decision::Return, Ok(payment)) => {
            let by = SentBack::named(submission.text(BY)).ok_or_else(incomplete)?;
            let (reference, amount) = (submission.text(REFERENCE), Some(submission.amount(AMOUNT)?));
            let new = NewReturn { payment, reference, amount, by, reason, actor };
            operator.return_transfer(new).await.map_err(refusal)?;
        }
        (Decision::Credit | Decision::Refund | Decision::Return, Err(_)) => return Err(ConsoleError::NotFound.into()),
    }
    let payment = if name.parse::<PaymentId>().is_ok() { format!("&payment={name}") } else { String::new() };
    Ok(see_other(&format!("{PATH}?done={}{payment}", decision.name())))
}

/// What is wrong with the payment is so because of what others did meanwhile: it is said of the whole form, which is to be begun anew.
fn refusal(error: Error) -> Refusal {
    match error {
        Error::Invalid { field: PAYMENT | SEEN, problem } => Refusal::Form(StatusCode::CONFLICT, Problem::new("", sentence(&problem))),
        Error::InsufficientCredit { available, .. } => {
            let words =
                format!("Only {} of it is in the balance yet; the rest is spent or held by running calls.", money::exact(available));
            Refusal::field(AMOUNT, words)
        }
        other => other.into(),
    }
}

async fn refund(submission: &Submission, operator: &Operator, payment: PaymentId) -> Result<(), Refusal> {
    let caller = submission.caller();
    let Some(stripe) = caller.stripe() else {
        return Err(ConsoleError::Forbidden("This gateway has no key of Stripe's: it cannot ask for a refund.".to_owned()).into());
    };
    let (amount, reason) = (submission.amount(AMOUNT)?, submission.text(REASON));
    let new = NewRefund { id: submission.once()?, payment, amount, reason, actor: caller.actor()? };
    let asked = operator.begin_refund(new).await.map_err(refusal)?;
    let error = match stripe.refund(&caller.console.ledger, &asked).await {
        Ok(()) => return Ok(()),
        Err(NotTaken::Ledger(error)) => return Err(error.into()),
        Err(error) => error,
    };
    tracing::error!(%payment, %error, "Stripe does not pay a payment back, or has not said so");
    let (status, words) = match error.verdict() {
        // Stripe says the same of the same form for a day: another one is another question.
        Some(why) => (StatusCode::CONFLICT, format!("Stripe does not pay it back: {}", sentence(why))),
        None => {
            let words = "Stripe is asked again by itself, and to send this form again is the same refund.";
            (StatusCode::SERVICE_UNAVAILABLE, format!("It is not known whether it is paid back: {error}. {words}"))
        }
    };
    Err(Refusal::Form(status, Problem::new("", words)))
}
