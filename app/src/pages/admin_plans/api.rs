use domain::{id::PlanId, plan::PlanVersion};
use http::StatusCode;
use ledger::{NewPlan, Operator};

use super::{
    draft::Draft,
    fields::{self, REVIEW, SEEN},
    page::{OnePlan, Plans, Review},
    subject,
};
use crate::{
    error::ConsoleError,
    parts::form::{Form, Problem},
    server::{Caller, FormAnswer, page_status, parameter, sentence, typed_form},
};

/// Accounts that are listed; there is a search for customers.
const HOLDERS_MAX: usize = 200;

/// What is sold, for operators.
pub(crate) async fn plans(caller: &Caller) -> Result<Plans, ConsoleError> {
    Ok(Plans { plans: caller.operator().await?.plans().await? })
}

/// One plan, or the form for a new one, for operators.
pub(crate) async fn plan(caller: &Caller, id: &str, query: &str) -> Result<OnePlan, ConsoleError> {
    let operator = caller.operator().await?;
    let plan = subject(id)?;
    let (versions, mut holders) = match plan {
        Some(plan) => (operator.plan_versions(plan).await?, operator.plan_holders(plan, HOLDERS_MAX as i64 + 1).await?),
        None => (vec![], vec![]),
    };
    let more = holders.len() > HOLDERS_MAX;
    holders.truncate(HOLDERS_MAX);
    let (form, review) = match FormAnswer::here() {
        Some(answer) => (answer.form, None),
        None => review(caller, &operator, plan, &versions, query).await?,
    };
    let models = caller.console.ledger.price_list(caller.visitor.now).await?;
    Ok(OnePlan {
        models: models.into_iter().map(|priced| priced.model.name).collect(),
        versions,
        holders,
        more,
        form,
        review,
        done: parameter(query, "done").and_then(|version| version.parse().ok()),
    })
}

/// The form as the address has it, with what would become of it or what is wrong with it.
async fn review(
    caller: &Caller,
    operator: &Operator,
    plan: Option<PlanId>,
    versions: &[PlanVersion],
    query: &str,
) -> Result<(Form, Option<Review>), ConsoleError> {
    let typed = |field: &str| parameter(query, field);
    let mut form = Form { typed: typed_form(query, &fields::TERMS, REVIEW), ..caller.form() };
    form.typed.extend(typed(SEEN).map(|seen| (SEEN.to_owned(), seen)));
    if typed(REVIEW).is_none() {
        return Ok((form, None));
    }
    let reviewed = match Draft::read(|field| typed(field).unwrap_or_default()) {
        Ok(draft) => {
            let seen = typed(SEEN).and_then(|seen| seen.parse().ok());
            let new = new_plan(caller, plan, versions, &draft, seen)?;
            operator.review_plan(new).await.map_err(problem)
        }
        Err(problem) => Err(Ok(problem)),
    };
    match reviewed {
        Ok(plan) => Ok((form, Some(plan.map_or(Review::Nothing, Review::Sell)))),
        Err(problem) => {
            form.problem = Some(problem?);
            page_status(StatusCode::UNPROCESSABLE_ENTITY);
            Ok((form, None))
        }
    }
}

/// What is to be sold. Another version has the name that the plan has.
pub(super) fn new_plan<'a>(
    caller: &'a Caller,
    plan: Option<PlanId>,
    versions: &'a [PlanVersion],
    draft: &'a Draft,
    seen: Option<i64>,
) -> Result<NewPlan<'a>, ConsoleError> {
    Ok(NewPlan {
        id: plan.unwrap_or_else(|| PlanId::from_uuid(caller.new_id())),
        name: versions.first().map_or(&draft.name, |newest| &newest.plan.name),
        is_offered: draft.is_offered,
        terms: draft.terms.clone(),
        seen: Some(seen.unwrap_or(0)),
        actor: caller.actor()?,
        now: caller.visitor.now,
    })
}

/// What is wrong with a form, or why it could not be looked at.
pub(super) fn problem(error: ledger::Error) -> Result<Problem, ConsoleError> {
    match error {
        ledger::Error::Invalid { field, problem } => Ok(Problem::new(field, sentence(&problem))),
        ledger::Error::Taken(what) => Ok(taken(what)),
        other => Err(other.into()),
    }
}

fn taken(what: &str) -> Problem {
    let first = sentence(what);
    let first = first.trim_end_matches('.');
    Problem::new("", format!("{first} was written meanwhile, or before. Look at it, and write yours over that one."))
}
