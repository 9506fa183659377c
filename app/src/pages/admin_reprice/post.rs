use axum::{http::StatusCode, response::Response};
use domain::{money::Amount, replay::Replay};
use ledger::Reprice;

use super::{
    address,
    api::{Asked, INSTANT, replay},
    fields::{DONE, FROM, MODEL, NOTE, PRICE, REVIEW, SEEN, TO},
};
use crate::{
    error::ConsoleError,
    pages::admin_pricing::post::service_tier,
    parts::form::Problem,
    server::{Refusal, Submission, incomplete, see_other},
};

/// `POST /admin/pricing/reprice`: posts what was looked at before. The same again finds nothing left that would go back.
pub(crate) async fn post(submission: Submission) -> Response {
    let outcome = try_post(&submission).await;
    submission.answer(outcome).await
}

async fn try_post(submission: &Submission) -> Result<Response, Refusal> {
    let caller = submission.caller();
    let operator = caller.operator().await?;
    let model = submission.text(MODEL);
    let tier = service_tier(submission)?;
    let history = operator.price_history(model, tier).await.map_err(ConsoleError::from)?;
    let asked = Asked::read(|field| submission.text(field).to_owned(), &history, submission.visitor.now);
    let asked = asked.map_err(|problem| Refusal::Form(StatusCode::UNPROCESSABLE_ENTITY, problem))?;
    let seen: Amount = submission.text(SEEN).parse().map_err(|_| incomplete())?;
    let replay = replay(&operator, (model, tier), &asked, &history).await?;
    expect_seen(&replay, seen).map_err(|problem| Refusal::Form(StatusCode::CONFLICT, problem))?;
    let Asked { from, to, price, note } = asked;
    operator.reprice(Reprice { model, from, to, price, note: &note, actor: caller.actor()? }).await?;
    let (from, to, price) = (from.format(INSTANT).to_string(), to.format(INSTANT).to_string(), price.to_string());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([(FROM, from.as_str()), (TO, &to), (PRICE, &price), (NOTE, &note), (REVIEW, "yes"), (DONE, "yes")]);
    Ok(see_other(&format!("{}&{}", address((model, tier)), query.finish())))
}

/// No more goes back than was looked at, of no more calls than a page looks at: a call that ran then may have ended since. What is less by now was posted
/// by the same form before.
fn expect_seen(replay: &Replay, seen: Amount) -> Result<(), Problem> {
    if replay.left_out > 0 {
        let words = "There are more calls by now than a page can charge anew. Nothing was posted: look again, and choose a shorter window.";
        return Err(Problem::new("", words));
    }
    if replay.sums.given_back > seen {
        let words = "More calls have ended since you looked, and more would go back. Nothing was posted: look at what goes back again.";
        return Err(Problem::new("", words));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::replay::Replayed;

    use super::*;

    #[test]
    fn no_more_is_posted_than_was_looked_at() {
        let replay = |given_back, left_out| Replay {
            from: DateTime::UNIX_EPOCH,
            to: DateTime::UNIX_EPOCH,
            sums: Replayed { given_back: Amount::from_nanos(given_back), ..Replayed::default() },
            provider: None,
            customers: vec![],
            left_out,
        };
        let taken = |given_back, left_out| expect_seen(&replay(given_back, left_out), Amount::from_nanos(5)).is_ok();
        assert_eq!([taken(5, 0), taken(4, 0), taken(0, 0)], [true; 3], "what is less was posted before");
        assert_eq!([taken(6, 0), taken(5, 1)], [false; 2]);
    }
}
