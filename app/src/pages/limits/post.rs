use axum::{extract::Path, response::Response};
use domain::{
    credit::{Hardness, Quantity, Scope, Unit, Window},
    id::{KeyId, LimitId},
};
use ledger::NewLimit;

use super::{
    address,
    fields::{CAPACITY, CHANGE_MODELS, ENDS, HARDNESS, REMOVE, TELLS, TELLS_COST, TELLS_NOT, UNIT, WINDOW},
    subject,
};
use crate::{
    error::ConsoleError,
    parts::models::{self, MODELS},
    server::{Refusal, Submission, incomplete, see_other, sentence},
};

/// `POST /keys/{id}`: removes the limit that the form names, sets one, or a setting of the key. All may come
/// twice: the same again changes nothing.
pub(crate) async fn change(Path(id): Path<String>, submission: Submission) -> Response {
    let outcome = try_change(&id, &submission).await;
    submission.answer(outcome).await
}

async fn try_change(id: &str, submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let key = subject(id)?;
    if let Some(key) = key
        && let Some(set) = set(key, submission).await?
    {
        return Ok(see_other(&format!("{}?{set}=set", address(Some(key)))));
    }
    let done = match submission.text(REMOVE) {
        "" => {
            // Who may not is told so, whatever the form says.
            let id = if key.is_some() {
                caller.member().await?.set_limit(&limit(key, submission)?).await?
            } else {
                caller.owner().await?.set_limit(&limit(key, submission)?).await?
            };
            format!("set={id}")
        }
        typed => {
            let limit: LimitId = typed.parse().map_err(|_| ConsoleError::NotFound)?;
            if key.is_some() {
                caller.member().await?.remove_limit(limit).await?
            } else {
                caller.owner().await?.remove_limit(limit).await?
            }
            format!("removed={limit}")
        }
    };
    Ok(see_other(&format!("{}?{done}", address(key))))
}

/// Sets which models the key may call, or whether answers to it tell their cost, and says which it was; `None` if the form is about neither.
async fn set(key: KeyId, submission: &Submission) -> Result<Option<&'static str>, Refusal> {
    let tells_cost = match submission.text(TELLS_COST) {
        "" => None,
        TELLS => Some(true),
        TELLS_NOT => Some(false),
        _ => return Err(incomplete()),
    };
    let changes_models = !submission.text(CHANGE_MODELS).is_empty();
    if tells_cost.is_none() && !changes_models {
        return Ok(None);
    }
    let member = submission.caller().member().await?;
    if let Some(tells_cost) = tells_cost {
        member.set_key_cost(key, tells_cost).await?;
        return Ok(Some("cost"));
    }
    member.set_key_models(key, models::typed(submission.text(MODELS)).as_deref()).await?;
    Ok(Some("models"))
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
