use axum::{extract::Path, response::Response};
use domain::id::AccountId;
use ledger::MoneyIn;

use crate::{
    error::ConsoleError,
    parts::money,
    server::{Refusal, Submission, see_other},
};

/// `POST /admin/customers/{id}`: gives credit, or takes back what is still available, with a reason.
pub(crate) async fn credit(Path(id): Path<String>, submission: Submission) -> Response {
    let outcome = try_credit(&id, &submission).await;
    submission.answer(outcome).await
}

async fn try_credit(id: &str, submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let operator = caller.operator().await?;
    let account: AccountId = id.parse().map_err(|_| ConsoleError::NotFound)?;
    let amount = submission.amount("amount")?;
    let money = MoneyIn {
        amount,
        idempotency_key: &submission.once()?.to_string(),
        memo: submission.text("reason"),
        actor: caller.actor()?,
        now: submission.visitor.now,
    };
    let posted = operator.credit(account, money).await.map_err(refusal)?;
    let again = if posted.replayed { "&again=yes" } else { "" };
    Ok(see_other(&format!("/admin/customers/{account}?done={}{again}", posted.posting)))
}

fn refusal(error: ledger::Error) -> Refusal {
    match error {
        ledger::Error::InsufficientCredit { available, .. } => Refusal::field(
            "amount",
            format!("Only {} is available to take back; the rest is spent or held by running calls.", money::exact(available)),
        ),
        other => other.into(),
    }
}
