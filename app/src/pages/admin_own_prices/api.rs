use chrono::{DateTime, Utc};
use domain::{
    catalog::PriceKind,
    id::AccountId,
    own_price::{self, OwnPrice},
    price_history::LEAD_MIN,
    pricing::Discount,
    rates::Rates,
    service_tier::ServiceTier,
};
use http::StatusCode;
use ledger::Operator;

use super::{
    fields::{REVIEW, REVISION, typed},
    page::{Chosen, Done, OwnPrices, Review},
};
use crate::{
    error::ConsoleError,
    pages::admin_pricing::{
        fields::{self, EFFECTIVE, MODEL},
        post::instant,
    },
    parts::{
        form::{Form, Problem},
        search::{SEARCH, Search},
    },
    server::{Caller, FormAnswer, Refusal, page_status, parameter},
};

/// What one customer pays, for operators.
pub(crate) async fn prices(caller: &Caller, id: &str, query: &str) -> Result<OwnPrices, ConsoleError> {
    let (operator, now) = (caller.operator().await?, later_clock(caller).await?);
    let account: AccountId = id.parse().map_err(|_| ConsoleError::NotFound)?;
    let customer = operator.customer(account, now).await?;
    let own = operator.own_prices(account).await?;
    let models: Vec<_> = operator.priced_models(now).await?.into_iter().map(|priced| priced.model.name).collect();
    let mut form = caller.form();
    if FormAnswer::here().is_none() {
        form.typed = typed(query);
    }
    let chosen = match form.typed(MODEL).filter(|model| !model.is_empty()).map(str::to_owned) {
        Some(model) if models.contains(&model) => {
            let own: Vec<_> = own.iter().filter(|own| own.model == model).cloned().collect();
            let discount = operator.discount(account).await?;
            Some(choose(&operator, &own, discount, (model, &mut form), now).await?)
        }
        Some(model) => {
            wrong(&mut form, Problem::new(MODEL, format!("There is no model “{model}”. Choose one that is listed.")));
            None
        }
        None => None,
    };
    let done = parameter(query, "done").and_then(|done| match done.as_str() {
        "set" => Some(Done::Set),
        "ended" => Some(Done::Ended),
        _ => None,
    });
    let mut listed = own.clone();
    let search = Search::narrow(parameter(query, SEARCH), &mut listed, |own| own.model.as_str());
    Ok(OwnPrices { customer, own, listed, search, models, chosen, form, done, now })
}

/// What the form of a model holds, and what it would change if it was sent to be looked at.
async fn choose(
    operator: &Operator,
    own: &[OwnPrice],
    discount: Discount,
    (model, form): (String, &mut Form),
    now: DateTime<Utc>,
) -> Result<Chosen, ConsoleError> {
    let history = operator.price_history(&model, ServiceTier::Default).await?;
    let current = own_price::in_force(own, now);
    let filled = current.map(|own| &own.version).or_else(|| history.at(PriceKind::Sale, now)).map(|version| version.rates.clone());
    let said = |name: &str| form.typed(name).map(str::to_owned);
    let (unit, is_asked) = (fields::unit(&said), said(REVIEW).is_some());
    let read = is_asked.then(|| read(form));
    // Whoever is told that it is out of date goes by what is there now.
    if form.problem.is_some() || !is_asked {
        form.typed.insert(REVISION.to_owned(), own_price::revision(own).to_string());
    }
    let review = match read {
        None => None,
        Some(Err(problem)) => {
            wrong(form, problem);
            None
        }
        Some(Ok((rates, effective_from))) if effective_from.is_none_or(|instant| instant >= now + LEAD_MIN) => {
            let sides = own_price::sides(own, &history, discount, effective_from.unwrap_or(now + LEAD_MIN));
            Some(Review { rates, sides, effective_from })
        }
        Some(Ok(_)) => {
            wrong(form, Problem::new(EFFECTIVE, TOO_SOON));
            None
        }
    };
    Ok(Chosen { model, unit, filled, is_own: current.is_some(), discount, review })
}

/// Now, by the later one of this machine's clock and PostgreSQL's: proxies go by that one.
pub(super) async fn later_clock(caller: &Caller) -> Result<DateTime<Utc>, ConsoleError> {
    Ok(caller.console.ledger.clock().await?.max(caller.visitor.now))
}

/// What to do about an instant that has passed, or is about to.
pub(super) const TOO_SOON: &str = "Choose an instant at least a minute ahead, so that every proxy knows the price before it is in force.";

fn wrong(form: &mut Form, problem: Problem) {
    // What its sender was told already comes first.
    if form.problem.is_none() {
        form.problem = Some(problem);
        page_status(StatusCode::UNPROCESSABLE_ENTITY);
    }
}

type Asked = (Rates, Option<DateTime<Utc>>);

fn read(form: &Form) -> Result<Asked, Problem> {
    let said = |name: &str| form.typed(name).map(str::to_owned);
    let rates = fields::rates(&said, None).map_err(|(field, message)| Problem::new(&field, message))?;
    match instant(form.typed(EFFECTIVE).unwrap_or_default()) {
        Ok(effective_from) => Ok((rates, effective_from)),
        Err(Refusal::Form(_, problem)) => Err(problem),
        Err(_) => Err(Problem::new(EFFECTIVE, TOO_SOON)),
    }
}
