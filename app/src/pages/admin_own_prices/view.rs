use chrono::{DateTime, Utc};
use domain::{
    catalog::PriceKind,
    own_price::{self, OwnPrice},
    price_change::PriceChange,
    pricing::Discount,
    rate_unit::RateUnit,
};
use leptos::prelude::*;

use super::{
    fields::{END, REVIEW, REVISION, address},
    page::{Chosen, Done, OwnPrices, Review},
};
use crate::{
    pages::{
        Page,
        admin_pricing::{
            fields::{EFFECTIVE, MODEL, NAMED, PER, TIERS, TIERS_MAX},
            form, review,
        },
    },
    parts::{
        confirm::confirm,
        form::{Field, ONCE, Tone, choice, hidden, notice},
        layout::{empty, foreign, head, section, stack},
        plan, rates,
        table::{
            Column,
            Kind::{Action, Figures, Words},
            Row, table, text, with_note,
        },
        time,
        whose::customer_ways,
    },
};

/// What a customer has agreed to pay, and the form that writes it.
pub(crate) fn prices(page: &OwnPrices) -> AnyView {
    let OwnPrices { customer, own, done, .. } = page;
    let about = "In place of what everyone pays, from an instant on until it ends. No discount is taken off. Times are UTC.";
    let done = done.map(|done| {
        let words = match done {
            Done::Set => "It is set. Calls from its instant on are charged by it; past calls keep their price.",
            Done::Ended => "It ends within a minute, or never begins.",
        };
        notice(Tone::Good, words)
    });
    let list = match own.is_empty() {
        true => empty("This customer pays what everyone pays.", ()),
        false => list(page),
    };
    stack(vec![
        head(view! { "Prices of "{foreign(&customer.name)} }.into_any(), about, ()),
        customer_ways(customer.id, Page::OwnPrices),
        done.into_any(),
        list,
        agree(page),
    ])
}

fn list(page: &OwnPrices) -> AnyView {
    const COLUMNS: [Column; 6] = [
        Column("Model", Words),
        Column("Prompt, per 1K tokens", Figures),
        Column("Completion, per 1K tokens", Figures),
        Column("From", Words),
        Column("Until", Words),
        Column("End", Action),
    ];
    let rows = page.listed.iter().map(|own| {
        let base = &own.version.rates.base;
        let is_over = own.withdrawn_at.is_some() || own_price::over_at(own, &page.own).is_some_and(|end| end <= page.now);
        let cells = vec![
            stack(vec![
                with_note(text(own.model.clone()), format!("by {}", own.version.created_by)),
                rates::others_view(&own.version.rates),
            ]),
            rates::rate(base.input),
            rates::rate(base.output),
            text(time::minute(own.version.effective_from)),
            text(until(own, page)),
            if is_over || own.ends_at.is_some() { ().into_any() } else { end(own, page) },
        ];
        Row { cells, faded: is_over }
    });
    page.search.list(address(page.customer.id), "prices", table("cards", &COLUMNS, rows.collect(), None))
}

/// When it is over, by its end or by what follows it.
fn until(own: &OwnPrice, page: &OwnPrices) -> String {
    match (own.withdrawn_at, own_price::over_at(own, &page.own)) {
        (Some(_), _) => "never began".to_owned(),
        (None, Some(end)) => time::minute(end),
        (None, None) => "further notice".to_owned(),
    }
}

fn end(own: &OwnPrice, page: &OwnPrices) -> AnyView {
    let name = format!("End the price of {} for {}", own.model, page.customer.name);
    let words = if own.version.effective_from > page.now {
        "It never begins: the customer goes on to pay what they pay now."
    } else {
        "From a minute on the customer pays what everyone pays. Past calls keep their price."
    };
    let form = view! {
        <form method="post" action=address(page.customer.id)>
            {page.form.once_field()}
            {hidden(END, own.version.id.to_string())}
            <p>{format!("{name}?")}</p>
            <p class="hint">{words}</p>
            <button class="danger">"End it"</button>
        </form>
    };
    confirm(format!("end-{}", own.version.id), "End", name, form.into_any())
}

/// The form: first of which model, then of its rates.
fn agree(page: &OwnPrices) -> AnyView {
    let OwnPrices { customer, models, chosen, form, .. } = page;
    let names = models.iter().map(|name| (name.clone(), name.clone())).collect();
    let first = models.first().map_or("", String::as_str);
    let which = view! {
        <form class="row-form" method="get" action=address(customer.id)>
            {choice(form, MODEL, "Model", names, first)}
            {choice(form, PER, "Prices per", RateUnit::ALL.map(|unit| (unit.name().to_owned(), format!("{} tokens", unit.name()))).to_vec(), RateUnit::default().name())}
            <button>"Choose"</button>
        </form>
    };
    let Some(chosen) = chosen else { return section("Agree on a price", which.into_any()) };
    let reviewed = chosen.review.as_ref().map(|review| confirmed(page, chosen, review));
    stack(vec![reviewed.into_any(), section("Agree on a price", which.into_any()), section("Rates", rates_form(page, chosen))])
}

fn rates_form(page: &OwnPrices, chosen: &Chosen) -> AnyView {
    let Chosen { model, unit, filled, is_own, .. } = chosen;
    let (form, rates) = (&page.form, filled.as_ref());
    let count = rates.map_or(0, |rates| rates.tiers.len()) + 1;
    let count = form.typed(TIERS).and_then(|count| count.parse().ok()).unwrap_or(count).min(TIERS_MAX);
    let filled = match (rates, is_own) {
        (None, _) => format!("{model} has no price yet."),
        (Some(_), true) => "Filled with what this customer pays now, which is their own.".to_owned(),
        (Some(_), false) if chosen.discount != Discount::NONE => {
            let words = "Filled with what everyone pays now. This customer's discount is not taken off a price of their own:";
            format!("{words} {}", plan::discount(chosen.discount))
        }
        (Some(_), false) => "Filled with what everyone pays now.".to_owned(),
    };
    view! {
        <p class="hint">{filled}</p>
        <form class="grid-form" method="get" action=address(page.customer.id)>
            {hidden(REVIEW, "yes")}
            {hidden(MODEL, model.clone())}
            {hidden(PER, unit.name())}
            {hidden(REVISION, form.typed(REVISION).unwrap_or_default().to_owned())}
            {hidden(TIERS, count.to_string())}
            {form.problem_view()}
            {form::rate_fields(None, rates.map(|rates| &rates.base), *unit, form, form::is_plain)}
            {Field::new("datetime-local", EFFECTIVE, "In force from, UTC").hint("At least a minute ahead; empty means in a minute.").view(form)}
            {form::further(rates, *unit, form)}
            {(1..=count).map(|tier| form::tier_fields(tier, count, rates, *unit, form)).collect_view()}
            <button>"Review"</button>
        </form>
    }
    .into_any()
}

/// Each rate as it is and as it would be, and the one button that sets it.
fn confirmed(page: &OwnPrices, chosen: &Chosen, review: &Review) -> AnyView {
    let OwnPrices { customer, form, .. } = page;
    let carried = form.typed.iter().filter(|(name, _)| !matches!(name.as_str(), ONCE | NAMED));
    let carried = carried.map(|(name, text)| hidden(name.clone(), text.clone())).collect_view();
    let sides = review.sides.each_ref().map(Option::as_ref);
    let change = PriceChange::of(PriceKind::Sale, sides[0], &review.rates, sides[1]);
    let discounted = (!chosen.is_own && chosen.discount != Discount::NONE).then(|| {
        let words = "Before is what everyone pays less this customer's discount of";
        view! { <p class="prose">{format!("{words} {}, which is not taken off this price.", plan::discount(chosen.discount))}</p> }
    });
    let is_extreme = change.is_extreme();
    let named = is_extreme.then(|| {
        let label = format!("To set this, write the model's name: {}", chosen.model);
        stack(vec![
            notice(Tone::Bad, "Look at what is marked above: it leaps, or is below cost."),
            Field::new("text", NAMED, label).required().view(form),
        ])
    });
    view! {
        <section class="review" aria-labelledby="review">
            <h2 id="review" tabindex="-1" autofocus=true>"Set this price of "{chosen.model.clone()}" for "{foreign(&customer.name)}"?"</h2>
            <p class="prose">{when(review.effective_from)}" Nothing is set yet."</p>
            {discounted}
            {review::changes(&change, &review.rates, sides, (chosen.unit, PriceKind::Sale))}
            <form class="column-form" method="post" action=address(customer.id)>
                {form.once_field()}
                {carried}
                {named}
                <p class="row-form">
                    <button class="primary">"Set it"</button>
                    <a href=address(customer.id) rel="external">"Do nothing"</a>
                </p>
            </form>
        </section>
    }
    .into_any()
}

fn when(effective_from: Option<DateTime<Utc>>) -> String {
    effective_from.map_or_else(
        || "From a minute after it is set on, until you end it.".to_owned(),
        |instant| format!("From {} UTC on, until you end it.", time::second(instant)),
    )
}
