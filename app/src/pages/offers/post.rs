use axum::{http::StatusCode, response::Response};
use domain::id::SubscriptionId;
use ledger::{AccountOwner, Purchase};

use super::fields::{END, KEEP, PLAN, VERSION};
use crate::{
    pages::billing::held::Done,
    parts::{form::Problem, money},
    server::{Refusal, Submission, incomplete, see_other, sentence},
};

/// `POST /billing/plans`: buys a plan or a package, or says whether the plan that there is ends. Each may come twice, and is done once.
pub(crate) async fn choose(submission: Submission) -> Response {
    let outcome = try_choose(&submission).await;
    submission.answer(outcome).await
}

async fn try_choose(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let owner = caller.owner().await?;
    let done = match (submission.text(END), submission.text(KEEP)) {
        ("", "") => {
            let purchase = Purchase {
                id: SubscriptionId::from_uuid(submission.once()?),
                plan: submission.text(PLAN).parse().map_err(|_| incomplete())?,
                version: submission.text(VERSION).parse().map_err(|_| incomplete())?,
                actor: caller.actor()?,
            };
            owner.buy(purchase).await.map_err(refusal)?;
            Done::Bought
        }
        ("", kept) => {
            end(&owner, kept, false).await?;
            Done::Kept
        }
        (ended, _) => {
            end(&owner, ended, true).await?;
            Done::Ended
        }
    };
    let name = Done::NAMES.into_iter().find(|(one, _)| *one == done).map_or("", |(_, name)| name);
    Ok(see_other(&format!("/billing?{PLAN}={name}")))
}

/// Ends the plan of this id, or does not, if it is still the account's.
async fn end(owner: &AccountOwner, plan: &str, ends: bool) -> Result<(), Refusal> {
    let plan = plan.parse().map_err(|_| incomplete())?;
    owner.end_plan(plan, ends).await.map_err(|error| match error {
        ledger::Error::NotFound | ledger::Error::Invalid { field: "plan", .. } => {
            let words = "Nothing was changed: your plan is another one by now. Look at what you have under Billing.";
            Refusal::Form(StatusCode::CONFLICT, Problem::new("", words))
        }
        other => other.into(),
    })
}

/// What kept it from being bought is said above the offers, which are as they are now.
fn refusal(error: ledger::Error) -> Refusal {
    let message = match error {
        ledger::Error::InsufficientCredit { needed, available } => format!(
            "Nothing was bought: {} are needed, and {} of the balance can pay. Top up first.",
            money::exact(needed),
            money::exact(available)
        ),
        ledger::Error::Invalid { problem, .. } => format!("Nothing was bought. {}", sentence(&format!("it {problem}"))),
        other => return other.into(),
    };
    Refusal::Form(StatusCode::CONFLICT, Problem::new("", message))
}
