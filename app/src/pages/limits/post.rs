use std::num::IntErrorKind;

use axum::{extract::Path, response::Response};
use domain::{
    credit::{Hardness, Quantity, Unit, Window},
    id::{KeyId, LimitId},
};
use ledger::NewLimit;

use super::{
    address,
    fields::{CAPACITY, ENDS, HARDNESS, REMOVE, UNIT, WINDOW},
    subject,
};
use crate::{
    error::ConsoleError,
    server::{Refusal, Submission, incomplete, see_other},
};

/// `POST /keys/{id}`: removes the limit that the form names, or sets one. Both may come twice: the same again changes nothing.
pub(crate) async fn change(Path(id): Path<String>, submission: Submission) -> Response {
    let outcome = try_change(&id, &submission).await;
    submission.answer(outcome).await
}

async fn try_change(id: &str, submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let key = subject(id)?;
    let done = match submission.text(REMOVE) {
        "" => {
            let new = limit(key, submission)?;
            let id =
                if key.is_some() { caller.member().await?.set_limit(&new).await? } else { caller.owner().await?.set_limit(&new).await? };
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

fn limit(key: Option<KeyId>, submission: &Submission) -> Result<NewLimit, Refusal> {
    let unit = chosen(submission, UNIT, &Unit::ALL, Unit::name)?;
    Ok(NewLimit {
        id: LimitId::new(submission.visitor.now, rand::random()),
        key,
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
    match unit {
        Unit::Money => submission.amount(CAPACITY).map(Quantity::from),
        Unit::Tokens | Unit::Requests => count(submission.text(CAPACITY)).map_err(|problem| Refusal::field(CAPACITY, problem)),
    }
}

fn count(typed: &str) -> Result<Quantity, &'static str> {
    typed.parse::<i64>().map(Quantity::from_count).map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow => "This is too large.",
        _ => "This is not a whole number: write it like 1000.",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_whole_number() {
        assert_eq!(count("1000"), Ok(Quantity::from_count(1_000)));
        for wrong in ["", "1.5", "1,000", "1 000", "a lot", "1e3"] {
            assert!(count(wrong).is_err_and(|problem| problem.contains("not a whole number")), "{wrong}");
        }
        assert_eq!(count("9223372036854775808"), Err("This is too large."));
    }
}
