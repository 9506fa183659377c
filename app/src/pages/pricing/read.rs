//! From an address to an estimate.

use domain::{
    catalog::PricedModel,
    estimate::{CALLS_MAX, Estimate, Expected, TOKENS_MAX, estimate},
    plan::Plan,
    rates::Rates,
};
use http::StatusCode;

use super::estimate::{Bill, ROWS};
use crate::{
    parts::form::{Form, Problem},
    server::{page_status, parameter},
};

/// What was typed, and what it comes to without a plan and with each.
pub(super) fn bill(priced: &[PricedModel], plans: &[Plan], query: &str) -> Bill {
    let models: Vec<(&str, &Rates)> =
        priced.iter().filter_map(|one| one.sale.as_ref().map(|sale| (one.model.name.as_str(), &sale.rates))).collect();
    let typed = ROWS.iter().flatten().filter_map(|field| Some(((*field).to_owned(), parameter(query, field)?))).collect();
    let form = Form { typed, ..Form::default() };
    let known = models.iter().map(|(name, rates)| ((*name).to_owned(), !rates.per_call.is_zero())).collect();
    let (problem, ways) = match expected(&models, &form).and_then(|expected| ways(&expected, plans)) {
        Ok(ways) => (None, ways),
        Err(problem) => {
            page_status(StatusCode::BAD_REQUEST);
            (Some(problem), vec![])
        }
    };
    Bill { form: Form { problem, ..form }, models: known, ways }
}

fn expected<'a>(models: &[(&'a str, &'a Rates)], form: &Form) -> Result<Vec<Expected<'a>>, Problem> {
    let mut rows = Vec::new();
    for [model, prompt, completion, calls] in ROWS {
        let counts = (count(form, prompt, TOKENS_MAX)?, count(form, completion, TOKENS_MAX)?, count(form, calls, CALLS_MAX)?);
        let Some(named) = form.typed(model) else {
            if counts != (0, 0, 0) {
                return Err(Problem::new(model, "Choose the model of these tokens."));
            }
            continue;
        };
        let found = models.iter().find(|(name, _)| *name == named);
        let (model, rates) = *found.ok_or_else(|| Problem::new(model, "This model has no price: choose another one."))?;
        let (prompt, completion, calls) = counts;
        if counts != (0, 0, 0) {
            rows.push(Expected { model, rates, prompt, completion, calls });
        }
    }
    Ok(rows)
}

/// Nothing is none.
fn count(form: &Form, field: &'static str, most: i64) -> Result<i64, Problem> {
    let text: String = form.typed(field).unwrap_or_default().chars().filter(|letter| !matches!(letter, ',' | ' ' | '_')).collect();
    if text.is_empty() {
        return Ok(0);
    }
    let problem = || Problem::new(field, "Write a whole number, such as 1,000,000.");
    let count: i64 = text.parse().map_err(|_| problem())?;
    match count {
        0.. if count <= most => Ok(count),
        0.. => Err(Problem::new(field, "This is more than anybody needs in a month.")),
        _ => Err(problem()),
    }
}

fn ways(expected: &[Expected<'_>], plans: &[Plan]) -> Result<Vec<(Option<String>, Estimate)>, Problem> {
    if expected.is_empty() {
        return Ok(vec![]);
    }
    let monthly = plans.iter().filter(|plan| plan.terms.is_monthly()).map(Some);
    let ways = std::iter::once(None).chain(monthly).map(|plan| {
        let way = estimate(expected, plan.map(|plan| &plan.terms));
        way.map(|way| (plan.map(|plan| plan.name.clone()), way))
            .ok_or_else(|| Problem::new("", "This comes to more than can be written down."))
    });
    ways.collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Form {
        Form { typed: fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(), ..Form::default() }
    }

    #[test]
    fn rows_are_read_as_people_write_them_and_mistakes_are_said_at_their_field() {
        let rates = Rates::plain("0.1".parse().unwrap(), "0.2".parse().unwrap());
        let models = [("small", &rates)];
        let rows = expected(&models, &form(&[("model2", "small"), ("prompt2", "1,000 000"), ("completion2", "")])).unwrap();
        assert_eq!((rows.len(), rows[0].prompt, rows[0].completion), (1, 1_000_000, 0));
        assert!(expected(&models, &form(&[("model1", "small")])).unwrap().is_empty(), "nothing is expected of it");
        for (fields, at) in [
            (&[("model1", "gone"), ("prompt1", "1")][..], "model1"),
            (&[("prompt3", "1")], "model3"),
            (&[("model1", "small"), ("prompt1", "many")], "prompt1"),
            (&[("model1", "small"), ("completion1", "-1")], "completion1"),
            (&[("model1", "small"), ("prompt1", "1000000000000001")], "prompt1"),
        ] {
            assert_eq!(expected(&models, &form(fields)).unwrap_err().field, at);
        }
    }
}
