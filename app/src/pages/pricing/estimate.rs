//! "Estimate my bill": what is typed, and what it comes to. The form is a GET, so that an estimate has an address.

use domain::estimate::Estimate;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::parts::{
    form::{Field, Form, choice, hidden},
    layout::{foreign, section, stack},
    money,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, name, table, text, with_note,
    },
};

/// The fields of a row: the model, its prompt and completion tokens, and calls.
pub(super) const ROWS: [[&str; 4]; 5] = [
    ["model1", "prompt1", "completion1", "calls1"],
    ["model2", "prompt2", "completion2", "calls2"],
    ["model3", "prompt3", "completion3", "calls3"],
    ["model4", "prompt4", "completion4", "calls4"],
    ["model5", "prompt5", "completion5", "calls5"],
];

/// A bill before there is one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Bill {
    /// What was typed, and what is wrong with it.
    pub(crate) form: Form,
    /// The models that have a price, and whether a call of them has a fee.
    pub(crate) models: Vec<(String, bool)>,
    /// Those of them that were typed, and cost whoever is signed in what was agreed with them.
    pub(crate) agreed: Vec<String>,
    /// What the month comes to, with each plan, and first without one; empty before anything is typed.
    pub(crate) ways: Vec<(Option<String>, Estimate)>,
}

/// The form, and below it what it comes to.
pub(super) fn estimate(bill: &Bill, search: &str) -> AnyView {
    if bill.models.is_empty() {
        return ().into_any();
    }
    let search = (!search.is_empty()).then(|| hidden("search", search.to_owned()));
    let filled = ROWS.iter().rposition(|[model, ..]| bill.form.typed(model).is_some()).map_or(0, |last| last + 1);
    let rows = ROWS.iter().take(filled + 1).map(|row| expected(row, bill)).collect_view();
    let answer = (!bill.ways.is_empty()).then(|| ways(bill));
    let form = view! {
        <form class="estimate" method="get" action="/pricing#estimate">
            {search}
            {bill.form.problem_view()}
            {rows}
            <button>"Estimate"</button>
        </form>
    };
    let about = "Tokens in and out that you expect in a month. The address of the page has what you typed, so that you can share it.";
    view! {
        <section id="estimate">
            <h2>"Estimate my bill"</h2>
            <p class="subtitle prose">{about}</p>
            {form}
            {answer}
        </section>
    }
    .into_any()
}

fn expected([model, prompt, completion, calls]: &[&'static str; 4], bill: &Bill) -> AnyView {
    let none = std::iter::once((String::new(), "None".to_owned()));
    let models = none.chain(bill.models.iter().map(|(name, _)| (name.clone(), name.clone()))).collect();
    let first = if *model == ROWS[0][0] { bill.models[0].0.as_str() } else { "" };
    // A fee per call is of few models: others are not asked for their calls.
    let has_fee = bill.models.iter().any(|(_, has_fee)| *has_fee);
    // Any of them may stay empty, which need not be said of each.
    let count = |name, label| Field::filter(name, label, vec![]).inputmode("numeric");
    let calls = has_fee.then(|| count(calls, "Calls a month").view(&bill.form));
    view! {
        <fieldset class="row-form many">
            <legend class="unseen">"A model"</legend>
            {choice(&bill.form, model, "Model", models, first)}
            {count(prompt, "Prompt tokens a month").view(&bill.form)}
            {count(completion, "Completion tokens a month").view(&bill.form)}
            {calls}
        </fieldset>
    }
    .into_any()
}

fn ways(Bill { ways, agreed, .. }: &Bill) -> AnyView {
    const COLUMNS: [Column; 4] =
        [Column("Way to pay", Words), Column("Fee", Figures), Column("Calls beyond the allowance", Figures), Column("A month", Figures)];
    // What refuses a part of it is no cheaper way to have all of it.
    let whole = ways.iter().filter(|(_, way)| way.refused.is_zero());
    let least = whole.map(|(_, way)| way.total).min();
    let rows = ways.iter().map(|(plan, way)| {
        let note = if !way.refused.is_zero() {
            format!("refuses calls of {}", money::total(way.refused))
        } else if ways.len() > 1 && Some(way.total) == least {
            "the least for all of it".to_owned()
        } else {
            String::new()
        };
        let called = plan.as_ref().map_or_else(|| text("Without a plan"), |plan| name(plan));
        let cells = vec![with_note(called, note), money::total_view(way.fee), money::total_view(way.calls), money::total_view(way.total)];
        Row { cells, faded: !way.refused.is_zero() }
    });
    let rule = "An estimate at today's prices, before context tiers, caching and taxes. Where an allowance is counted in tokens, what goes beyond it \
                is taken to cost as much a token as all of them do.";
    let rule = view! { <p class="subtitle prose">{rule}</p> };
    section("What it comes to", stack(vec![at_own_prices(agreed), table("cards", &COLUMNS, rows.collect(), None), rule.into_any()]))
}

/// Which models are counted at what was agreed with whoever is signed in.
fn at_own_prices(agreed: &[String]) -> AnyView {
    if agreed.is_empty() {
        return ().into_any();
    }
    let comma = |place| if place == 0 { "" } else { ", " };
    let names = agreed.iter().enumerate().map(|(place, name)| view! { {comma(place)}<code>{foreign(name)}</code> }).collect_view();
    let rest = " at the price agreed with you, off which no plan's discount is taken; any other model at what everyone pays.";
    view! { <p class="subtitle prose">"Counted here: "{names}{rest}</p> }.into_any()
}
