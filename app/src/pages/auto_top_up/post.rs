use axum::{http::StatusCode, response::Response};
use domain::{money::Amount, payment::AutoTerms};
use ledger::AccountOwner;

use super::{
    PATH,
    api::unavailable,
    fields::{AMOUNT, CAP, CARD, DO, OFF, PORTAL, THRESHOLD},
};
use crate::{
    error::ConsoleError,
    parts::form::Problem,
    server::{NewSetup, NotTaken, Refusal, Stripe, Submission, see_other},
};

/// `POST /billing/auto-top-up`: turns it on as it was typed, or off; or leads to Stripe's pages, on which a card is saved, or cards and receipts are seen to.
pub(crate) async fn submit(submission: Submission) -> Response {
    let outcome = try_submit(&submission).await;
    submission.answer(outcome).await
}

async fn try_submit(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let owner = caller.owner().await?;
    let stripe = caller.stripe().ok_or_else(unavailable)?;
    let known = owner.auto_top_up(submission.visitor.now).await?;
    match submission.text(DO) {
        CARD => save_card(submission, &owner, stripe, known.as_ref().and_then(|known| known.customer.as_deref())).await,
        PORTAL => {
            let customer = known.and_then(|known| known.customer).ok_or(ConsoleError::NotFound)?;
            let back = format!("{}/billing", submission.console.settings.console_url);
            lead(stripe.portal(&customer, &back, submission.once()?).await)
        }
        OFF => {
            let known = known.ok_or(ConsoleError::NotFound)?;
            owner.set_auto_top_up(AutoTerms { is_on: false, ..known.terms }, caller.actor()?).await?;
            Ok(see_other(&format!("{PATH}?done=yes")))
        }
        _ => {
            owner.set_auto_top_up(terms(submission, stripe.range())?, caller.actor()?).await?;
            match known.as_ref() {
                Some(known) if known.method.is_some() => Ok(see_other(&format!("{PATH}?done=yes"))),
                known => save_card(submission, &owner, stripe, known.and_then(|known| known.customer.as_deref())).await,
            }
        }
    }
}

fn terms(submission: &Submission, (smallest, largest): (Amount, Amount)) -> Result<AutoTerms, Refusal> {
    let (threshold, amount, monthly_cap) = (submission.amount(THRESHOLD)?, submission.amount(AMOUNT)?, submission.amount(CAP)?);
    if !(smallest..=largest).contains(&amount) {
        return Err(Refusal::field(AMOUNT, format!("Write an amount from {smallest} to {largest}.")));
    }
    Ok(AutoTerms { is_on: true, threshold, amount, monthly_cap })
}

async fn save_card(submission: &Submission, owner: &AccountOwner, stripe: &Stripe, customer: Option<&str>) -> Result<Response, Refusal> {
    let (caller, url) = (submission.caller(), &submission.console.settings.console_url);
    let setup = NewSetup {
        account: owner.id(),
        once: submission.once()?,
        customer,
        email: caller.actor()?,
        // Stripe writes the page's id there (https://docs.stripe.com/payments/checkout/custom-success-page).
        back: &format!("{url}{PATH}?setup={{CHECKOUT_SESSION_ID}}"),
        cancelled: &format!("{url}{PATH}"),
    };
    lead(stripe.begin_setup(owner, &setup).await)
}

fn lead(to: Result<String, NotTaken>) -> Result<Response, Refusal> {
    match to {
        Ok(address) => Ok(see_other(&address)),
        Err(NotTaken::Ledger(error)) => Err(error.into()),
        Err(error) if error.is_refusal() => {
            tracing::error!(%error, "Stripe refuses to make a page");
            let words = "Stripe has refused this, and nothing was charged. Ask the operator of this gateway: its log says why.";
            Err(Refusal::Form(StatusCode::BAD_GATEWAY, Problem::new("", words)))
        }
        Err(error) => {
            tracing::error!(%error, "Stripe makes no page");
            let words = "Stripe cannot be reached right now, and nothing was charged. Send this form again in a moment.";
            Err(Refusal::Form(StatusCode::SERVICE_UNAVAILABLE, Problem::new("", words)))
        }
    }
}
