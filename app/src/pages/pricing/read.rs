//! From an address to an estimate.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    catalog::PricedModel,
    estimate::{CALLS_MAX, Estimate, Expected, ExpectedPrice, TOKENS_MAX, estimate},
    own_price::{self, OwnPrice},
    plan::Plan,
};
use http::StatusCode;

use super::estimate::{Bill, ROWS};
use crate::{
    parts::form::{Form, Problem},
    server::{page_status, parameter},
};

/// What was typed, and what it comes to without a plan and with each, for whoever has agreed on these prices.
pub(super) fn bill(priced: &[PricedModel], own: &[OwnPrice], plans: &[Plan], query: &str, now: DateTime<Utc>) -> Bill {
    let prices = prices(priced, own, now);
    let typed = ROWS.iter().flatten().filter_map(|field| Some(((*field).to_owned(), parameter(query, field)?))).collect();
    let form = Form { typed, ..Form::default() };
    let models = prices.iter().map(|(name, price)| ((*name).to_owned(), !price.rates().per_call.is_zero())).collect();
    let expected = expected(&prices, &form);
    let (problem, agreed, ways) = match expected.and_then(|expected| Ok((agreed(&expected), ways(&expected, plans)?))) {
        Ok((agreed, ways)) => (None, agreed, ways),
        Err(problem) => {
            page_status(StatusCode::BAD_REQUEST);
            (Some(problem), vec![], vec![])
        }
    };
    Bill { form: Form { problem, ..form }, models, agreed, ways }
}

/// What each model costs now whoever asks: what they have agreed on takes the place of what everyone pays.
fn prices<'a>(priced: &'a [PricedModel], own: &'a [OwnPrice], now: DateTime<Utc>) -> BTreeMap<&'a str, ExpectedPrice<'a>> {
    let of = |one: &'a PricedModel| {
        let name = one.model.name.as_str();
        let everyones = || one.sale.as_ref().map(|sale| ExpectedPrice::Everyones(&sale.rates));
        let own = own_price::in_force(own.iter().filter(|own| own.model == name), now);
        Some((name, own.map(|own| ExpectedPrice::Own(&own.version.rates)).or_else(everyones)?))
    };
    priced.iter().filter_map(of).collect()
}

/// Of which of them it was agreed what they cost.
fn agreed(expected: &[Expected<'_>]) -> Vec<String> {
    let own = expected.iter().filter(|one| matches!(one.price, ExpectedPrice::Own(_)));
    let mut names: Vec<_> = own.map(|one| one.model.to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

fn expected<'a>(prices: &BTreeMap<&'a str, ExpectedPrice<'a>>, form: &Form) -> Result<Vec<Expected<'a>>, Problem> {
    let mut rows = Vec::new();
    for [model, prompt, completion, calls] in ROWS {
        let counts = (count(form, prompt, TOKENS_MAX)?, count(form, completion, TOKENS_MAX)?, count(form, calls, CALLS_MAX)?);
        let Some(named) = form.typed(model) else {
            if counts != (0, 0, 0) {
                return Err(Problem::new(model, "Choose the model of these tokens."));
            }
            continue;
        };
        let found = prices.get_key_value(named);
        let (model, price) = found.ok_or_else(|| Problem::new(model, "This model has no price: choose another one."))?;
        let (prompt, completion, calls) = counts;
        if counts != (0, 0, 0) {
            rows.push(Expected { model, price: *price, prompt, completion, calls });
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
    use chrono::TimeDelta;
    use domain::{
        catalog::{Model, ModelBounds, OutputCapField, PriceKind, PriceVersion},
        credit::{Quantity, Unit},
        id::{AccountId, ModelId, PlanId, PriceId, ProviderId},
        money::Amount,
        plan::{Overage, PlanLimits, PlanTerms, Term},
        pricing::Discount,
        rates::Rates,
        service_tier::ServiceTier,
        tokens::Tokens,
    };

    use super::*;

    fn form(fields: &[(&str, &str)]) -> Form {
        Form { typed: fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(), ..Form::default() }
    }

    #[test]
    fn rows_are_read_as_people_write_them_and_mistakes_are_said_at_their_field() {
        let rates = Rates::plain("0.1".parse().unwrap(), "0.2".parse().unwrap());
        let models = BTreeMap::from([("small", ExpectedPrice::Everyones(&rates))]);
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

    #[test]
    fn a_model_is_counted_at_what_was_agreed_from_when_that_holds() {
        let begins: DateTime<Utc> = "2026-11-23T10:00:00Z".parse().unwrap();
        let version = |prompt: &str| PriceVersion {
            id: PriceId::new(begins, [1; 10]),
            model_id: ModelId::new(begins, [2; 10]),
            kind: PriceKind::Sale,
            effective_from: begins,
            rates: Rates::plain(prompt.parse().unwrap(), "1".parse().unwrap()),
            created_at: begins,
            created_by: String::new(),
            service_tier: ServiceTier::Default,
        };
        let priced = |name: &str, sale| {
            let (id, provider_id) = (ModelId::new(begins, [2; 10]), ProviderId::new(begins, [3; 10]));
            let model = Model {
                id,
                name: name.to_owned(),
                provider_id,
                provider: String::new(),
                upstream_name: String::new(),
                context_window: Tokens::from_sum(1),
                default_output_hold: Tokens::from_sum(1),
                output_cap_field: OutputCapField::MaxTokens,
                opened: Vec::new(),
                bounds: ModelBounds::default(),
            };
            PricedModel { model, sale, cost: None, scheduled: vec![], service_tiers: vec![] }
        };
        let own = |model: &str, prompt| OwnPrice {
            version: version(prompt),
            model: model.to_owned(),
            account: AccountId::new(begins, [4; 10]),
            ends_at: None,
            withdrawn_at: None,
        };
        let models = [priced("large", Some(version("0.4"))), priced("new", None), priced("small", Some(version("0.2")))];
        let agreed = [own("small", "0.1"), own("new", "0.3")];
        let discount = Discount::from_bps(5_000).unwrap();
        let half = Plan {
            id: PlanId::new(begins, [5; 10]),
            version: 1,
            name: "Half".to_owned(),
            terms: PlanTerms {
                term: Term::Monthly,
                fee: Amount::ZERO,
                unit: Unit::Money,
                allowance: Quantity::ZERO,
                models: None,
                overage: Overage::Wallet,
                discount,
                limits: PlanLimits::NONE,
            },
            is_offered: true,
        };
        let query = "model1=small&prompt1=1000&model2=large&prompt2=1000";
        let bill = |own: &[OwnPrice], now| bill(&models, own, std::slice::from_ref(&half), query, now);
        let totals = |bill: &Bill| bill.ways.iter().map(|(_, way)| way.total.to_string()).collect::<Vec<_>>();
        let agreed_on = bill(&agreed, begins);
        assert_eq!((totals(&agreed_on), &agreed_on.agreed[..]), (vec!["0.5".to_owned(), "0.3".to_owned()], &["small".to_owned()][..]));
        let names: Vec<_> = agreed_on.models.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["large", "new", "small"], "who agreed on what a model costs may call it");
        for everyone in [bill(&[], begins), bill(&agreed, begins - TimeDelta::seconds(1))] {
            assert_eq!((totals(&everyone), everyone.agreed.len()), (vec!["0.6".to_owned(), "0.3".to_owned()], 0));
            assert_eq!(everyone.models.len(), 2);
        }
    }
}
