use domain::account::Role;
use http::StatusCode;

use super::{fields::PLAN, page::Offers};
use crate::{
    error::ConsoleError,
    parts::form::Problem,
    server::{Caller, page_status, parameter, sentence},
};

/// What the caller's account may buy, and what the one that the address names would come to.
pub(crate) async fn offers(caller: &Caller, query: &str) -> Result<Offers, ConsoleError> {
    let reader = caller.seen("").await?.reader;
    let can_buy = caller.visitor.visit.role() == Some(Role::Owner);
    let mut form = caller.form();
    let chosen = parameter(query, PLAN).filter(|_| can_buy && form.problem.is_none());
    let quote = match chosen {
        None => None,
        Some(plan) => match caller.owner().await?.quote(plan.parse().map_err(|_| ConsoleError::NotFound)?).await {
            Ok(quote) => Some(quote),
            Err(ledger::Error::Invalid { problem, .. }) => {
                page_status(StatusCode::CONFLICT);
                form.problem = Some(Problem::new("", sentence(&format!("it {problem}"))));
                None
            }
            Err(error) => return Err(error.into()),
        },
    };
    Ok(Offers {
        offers: caller.console.ledger.offers().await?,
        subscription: reader.subscription().await?,
        quote,
        can_buy,
        now: caller.visitor.now,
        form,
    })
}
