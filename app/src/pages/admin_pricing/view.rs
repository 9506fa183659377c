use chrono::{DateTime, Utc};
use domain::{
    catalog::{PriceKind, PriceVersion, PricedModel},
    money::Amount,
    rates::Rates,
};
use leptos::prelude::*;

use super::{
    fields,
    page::{Chosen, Prices},
};
use crate::parts::{
    form::{Field, Form, Tone, hidden, notice},
    layout::{empty, head, section, stack},
    money, rates,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, link, table, text, with_note,
    },
    tabs::{Tab, tabs},
    time,
};

/// Every price, or one model's.
pub(crate) fn prices(page: &Prices) -> AnyView {
    match &page.chosen {
        Some(chosen) => one(chosen, page.now),
        None => list(&page.models),
    }
}

fn list(models: &[PricedModel]) -> AnyView {
    const COLUMNS: [Column; 8] = [
        Column("Model", Words),
        Column("Provider", Words),
        Column("Prompt price, per 1K", Figures),
        Column("Prompt cost, per 1K", Figures),
        Column("Prompt margin, per 1K", Figures),
        Column("Completion price, per 1K", Figures),
        Column("Completion cost, per 1K", Figures),
        Column("Completion margin, per 1K", Figures),
    ];
    let body = if models.is_empty() {
        empty("There is no model yet. Add one with this command.", view! { <code>"farebox model add"</code> })
    } else {
        table("cards wide", &COLUMNS, models.iter().map(row).collect(), None)
    };
    stack(vec![head("Prices", "In force now, in US dollars. A model without a price is refused.", ()), body])
}

fn row(priced: &PricedModel) -> Row {
    let PricedModel { model, sale, cost, scheduled } = priced;
    let name = view! { <a href=fields::address(&model.name, PriceKind::Sale)><code>{model.name.clone()}</code></a> };
    let note = match (sale, scheduled.first()) {
        (Some(_), Some(next)) => format!("changes {} UTC", time::minute(next.effective_from)),
        (None, Some(next)) => format!("no price until {} UTC: its calls are refused until then", time::minute(next.effective_from)),
        (None, None) => "no price: its calls are refused".to_owned(),
        (Some(_), None) => String::new(),
    };
    let side = |rate: fn(&Rates) -> Amount| {
        amounts(sale.as_ref().map(|version| rate(&version.rates)), cost.as_ref().map(|version| rate(&version.rates)))
    };
    let named = [with_note(name.into_any(), note), text(model.provider.clone())];
    let cells: Vec<_> = named.into_iter().chain(side(|rates| rates.base.input)).chain(side(|rates| rates.base.output)).collect();
    cells.into()
}

/// Price, cost and margin; the margin also as a share of the price.
fn amounts(sale: Option<Amount>, cost: Option<Amount>) -> [AnyView; 3] {
    let exact = |amount: Option<Amount>| text(amount.map_or_else(|| money::ABSENT.to_owned(), money::exact));
    let margin = sale.zip(cost).and_then(|(sale, cost)| sale.checked_sub(cost));
    let share = margin.zip(sale).map(|(margin, sale)| money::share(margin.nanos(), sale.nanos())).unwrap_or_default();
    [exact(sale), exact(cost), with_note(exact(margin), share)]
}

fn one(chosen: &Chosen, now: DateTime<Utc>) -> AnyView {
    let Chosen { priced, side: shown, history, published, form } = chosen;
    let done = history.iter().find(|version| Some(version.id) == *published).map(|version| {
        let (side, model, at) = (side(version.kind), &priced.model.name, time::second(version.effective_from));
        notice(Tone::Good, format!("Published: the {side} of {model} changes {at} UTC."))
    });
    let about = stack(vec![text(format!("{}. Times are UTC. ", priced.model.provider)), link("/admin/pricing".to_owned(), "All prices")]);
    stack(vec![
        head(view! { <code>{priced.model.name.clone()}</code> }, about, ()),
        done.into_any(),
        section("New version", stack(vec![sides(priced, *shown), new_version(priced, *shown, form)])),
        section("History", history_table(history, now)),
    ])
}

fn sides(priced: &PricedModel, shown: PriceKind) -> AnyView {
    let sides = fields::SIDES.map(|kind| Tab {
        label: match kind {
            PriceKind::Sale => "Price: what customers pay",
            PriceKind::Cost => "Cost: what the provider charges",
        }
        .to_owned(),
        href: fields::address(&priced.model.name, kind),
        current: kind == shown,
    });
    tabs("Side", sides.into())
}

/// The form of one side, filled in with what is in force on it.
fn new_version(priced: &PricedModel, shown: PriceKind, form: &Form) -> AnyView {
    let in_force = match shown {
        PriceKind::Sale => &priced.sale,
        PriceKind::Cost => &priced.cost,
    };
    let rates = in_force.as_ref().map(|version| &version.rates);
    let initial = |rate: Option<Amount>| rate.map(|rate| rate.to_string()).unwrap_or_default();
    let further = fields::further(rates);
    let is_open = further.iter().any(|(name, _, rate)| {
        rate.is_some() || form.problem_at(name).is_some() || form.typed(name).is_some_and(|typed| !typed.is_empty())
    });
    let further =
        further.into_iter().map(|(name, label, rate)| Field::amount(name, label).initial(initial(rate)).view(form)).collect_view();
    view! {
        <form class="grid-form" method="post" action=fields::address(&priced.model.name, shown)>
            {form.once_field()}
            {hidden("model", priced.model.name.clone())}
            {hidden("kind", shown.name())}
            {form.problem_view()}
            {Field::amount(fields::PROMPT, "Prompt tokens, per 1K").initial(initial(rates.map(|rates| rates.base.input))).required().view(form)}
            {Field::amount(fields::COMPLETION, "Completion tokens, per 1K").initial(initial(rates.map(|rates| rates.base.output))).required().view(form)}
            {Field::new("datetime-local", "effective", "In force from, UTC").hint("At least a minute ahead; empty means in a minute.").view(form)}
            <details class="fold wide" open=is_open>
                <summary>"Rates of their own, and a fee per call"</summary>
                <div class="grid-form">{further}</div>
                <p class="hint">"An empty rate falls back to the plain prompt or completion price."</p>
            </details>
            <button class="primary">{format!("Publish {} for {}", side(shown), priced.model.name)}</button>
        </form>
    }
    .into_any()
}

fn history_table(history: &[PriceVersion], now: DateTime<Utc>) -> AnyView {
    const COLUMNS: [Column; 7] = [
        Column("In force from", Words),
        Column("Side", Words),
        Column("State", Words),
        Column("Prompt, per 1K", Figures),
        Column("Completion, per 1K", Figures),
        Column("Other rates", Words),
        Column("Written", Words),
    ];
    if history.is_empty() {
        return empty("It never had a price.", ());
    }
    let in_force = |kind| history.iter().find(|version| version.kind == kind && version.effective_from <= now).map(|version| version.id);
    let in_force = [in_force(PriceKind::Sale), in_force(PriceKind::Cost)];
    let rows = history.iter().map(|version| {
        let state = match version {
            _ if in_force.contains(&Some(version.id)) => "in force",
            _ if version.effective_from > now => "scheduled",
            _ => "past",
        };
        let written = time::time_view(version.created_at, time::minute(version.created_at));
        vec![
            time::time_view(version.effective_from, time::minute(version.effective_from)),
            text(side(version.kind)),
            text(state),
            text(money::exact(version.rates.base.input)),
            text(money::exact(version.rates.base.output)),
            rates::others_view(&version.rates),
            with_note(written, format!("by {}", version.created_by)),
        ]
        .into()
    });
    table("cards wide", &COLUMNS, rows.collect(), None)
}

const fn side(kind: PriceKind) -> &'static str {
    match kind {
        PriceKind::Sale => "price",
        PriceKind::Cost => "cost",
    }
}
