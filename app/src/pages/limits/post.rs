use axum::{extract::Path, response::Response};
use domain::{
    credit::{Hardness, Quantity, Scope, Unit, Window},
    id::{KeyId, LimitId},
};
use ledger::NewLimit;

use super::{
    address,
    fields::{CAPACITY, CHANGE_MODELS, ENDS, HARDNESS, REMOVE, TELLS_COST, UNIT, WINDOW, tells},
    page::Done,
    subject,
};
use crate::{
    error::ConsoleError,
    parts::models::{self, MODELS},
    server::{Refusal, Submission, incomplete, see_other, sentence},
};

/// `POST /keys/{id}`: sets a limit, removes the one that the form names, or changes a setting of the key. The same form again changes nothing.
pub(crate) async fn change(Path(id): Path<String>, submission: Submission) -> Response {
    let outcome = try_change(&id, &submission).await;
    submission.answer(outcome).await
}

async fn try_change(id: &str, submission: &Submission) -> Result<Response, Refusal> {
    let key = subject(id)?;
    let done = match key {
        Some(key) => of_key(key, submission).await?,
        None => of_account(submission).await?,
    };
    Ok(see_other(&format!("{}?{}", address(key), done.to_query())))
}

async fn of_key(key: KeyId, submission: &Submission) -> Result<Done, Refusal> {
    // Who may not is told so, whatever the form says.
    let member = submission.caller().member().await?;
    if !submission.text(CHANGE_MODELS).is_empty() {
        member.set_key_models(key, models::typed(submission.text(MODELS)).as_deref()).await?;
        return Ok(Done::Models);
    }
    if !submission.text(TELLS_COST).is_empty() {
        let tells_cost = chosen(submission, TELLS_COST, &[true, false], tells)?;
        member.set_key_cost(key, tells_cost).await?;
        return Ok(Done::Cost);
    }
    Ok(match removed(submission)? {
        Some(limit) => {
            member.remove_limit(limit).await?;
            Done::Removed(limit)
        }
        None => Done::Set(member.set_limit(&limit(Some(key), submission)?).await?),
    })
}

async fn of_account(submission: &Submission) -> Result<Done, Refusal> {
    let owner = submission.caller().owner().await?;
    Ok(match removed(submission)? {
        Some(limit) => {
            owner.remove_limit(limit).await?;
            Done::Removed(limit)
        }
        None => Done::Set(owner.set_limit(&limit(None, submission)?).await?),
    })
}

/// The limit that is to be removed; `None` where one is to be set.
fn removed(submission: &Submission) -> Result<Option<LimitId>, Refusal> {
    match submission.text(REMOVE) {
        "" => Ok(None),
        typed => Ok(Some(typed.parse().map_err(|_| ConsoleError::NotFound)?)),
    }
}

fn limit(key: Option<KeyId>, submission: &Submission) -> Result<NewLimit, Refusal> {
    let unit = chosen(submission, UNIT, &Unit::ALL, Unit::name)?;
    Ok(NewLimit {
        id: LimitId::new(submission.visitor.now, rand::random()),
        scope: key.map_or(Scope::Account, Scope::Key),
        window: chosen(submission, WINDOW, &Window::ALL, Window::name)?,
        unit,
        hardness: chosen(submission, HARDNESS, &ENDS, Hardness::name)?,
        capacity: capacity(submission, unit)?,
    })
}

fn chosen<T: Copy>(submission: &Submission, field: &str, offered: &[T], name: fn(T) -> &'static str) -> Result<T, Refusal> {
    offered.iter().copied().find(|choice| name(*choice) == submission.text(field)).ok_or_else(incomplete)
}

fn capacity(submission: &Submission, unit: Unit) -> Result<Quantity, Refusal> {
    Quantity::parse(submission.text(CAPACITY), unit).map_err(|error| Refusal::field(CAPACITY, sentence(&format!("this {error}"))))
}
