use axum::{extract::Path, response::Response};
use domain::{id::AccountId, money::Amount};
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
        ledger::Error::InsufficientCredit { available, .. } => Refusal::field("amount", left(available)),
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
