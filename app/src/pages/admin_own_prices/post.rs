use axum::{extract::Path, http::StatusCode, response::Response};
use domain::{
    id::{AccountId, PriceId},
    price_history::LEAD_MIN,
};
use ledger::{NewOwnPrice, OwnReview};

use super::{
    api::{TOO_SOON, later_clock},
    fields::{END, REVISION, address},
};
use crate::{
    error::ConsoleError,
    pages::admin_pricing::{
        fields::{self, EFFECTIVE, MODEL, NAMED},
        post::instant,
    },
    parts::form::Problem,
    server::{Refusal, Submission, incomplete, see_other, sentence},
};

/// `POST /admin/customers/{id}/prices`: writes what was looked at before, or ends a price. The same again changes nothing.
pub(crate) async fn set(Path(id): Path<String>, submission: Submission) -> Response {
    let outcome = match id.parse().map_err(|_| ConsoleError::NotFound.into()) {
        Ok(account) if submission.field(END).is_some() => end(account, &submission).await,
        Ok(account) => try_set(account, &submission).await,
        Err(refusal) => Err(refusal),
    };
    submission.answer(outcome).await
}

async fn try_set(account: AccountId, submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let (operator, now) = (caller.operator().await?, later_clock(&caller).await?);
    let said = |name: &str| submission.field(name).map(str::to_owned);
    let effective_from = instant(submission.text(EFFECTIVE))?;
    let new = NewOwnPrice {
        id: PriceId::from_uuid(submission.once()?),
        account,
        model: submission.text(MODEL),
        rates: fields::rates(&said, None).map_err(|(field, message)| Refusal::field(&field, message))?,
        effective_from: effective_from.unwrap_or(now + LEAD_MIN),
        actor: caller.actor()?,
        now,
    };
    let review = OwnReview { revision: submission.text(REVISION).parse().map_err(|_| incomplete())?, named: submission.field(NAMED) };
    operator.set_own_price(new, review).await.map_err(refusal)?;
    Ok(see_other(&format!("{}?done=set", address(account))))
}

async fn end(account: AccountId, submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let (operator, now) = (caller.operator().await?, later_clock(&caller).await?);
    let price = submission.text(END).parse().map_err(|_| incomplete())?;
    operator.end_own_price(account, price, now, caller.actor()?, now).await.map_err(refusal)?;
    Ok(see_other(&format!("{}?done=ended", address(account))))
}

fn refusal(error: ledger::Error) -> Refusal {
    let message = match error {
        ledger::Error::Invalid { field: "price", problem } => {
            return Refusal::Form(StatusCode::CONFLICT, Problem::new("", sentence(&problem)));
        }
        ledger::Error::PriceTooSoon => TOO_SOON,
        ledger::Error::Taken(_) => "Another price of this customer for this model begins at this very instant. Choose another one.",
        ledger::Error::PriceMoved => {
            let message = "Somebody else has written a price of this customer for this model meanwhile. Look at what it is now, and review yours again.";
            return Refusal::Form(StatusCode::CONFLICT, Problem::new("", message));
        }
        ledger::Error::PriceNotAgreed => {
            return Refusal::field(NAMED, "Write the model's name exactly as it stands above to set this.");
        }
        other => return other.into(),
    };
    Refusal::field(EFFECTIVE, message)
}
