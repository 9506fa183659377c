use domain::plan::{Plan, Subscription};
use leptos::prelude::*;

use super::{PATH, fields::PLAN, page::Offers, review::review};
use crate::parts::{
    form::{Tone, notice},
    layout::{empty, head, section, stack},
    money, plan,
    table::{
        Column,
        Kind::{Action, Figures, Words},
        Row, link, name, table, text, with_note,
    },
};

/// What may be bought.
pub(crate) fn offers(page: &Offers) -> AnyView {
    let Offers { offers, subscription, quote, can_buy, form, .. } = page;
    let back = link("/billing".to_owned(), "Billing");
    let about = view! { "A plan's fee leaves the balance each month, a package's once. Times are UTC. "{back} }.into_any();
    let only = (!can_buy).then(|| notice(Tone::Plain, "Only an owner of this account can buy."));
    let asked = quote.as_ref().map(|quote| review(quote, subscription.as_ref(), form));
    let (plans, packages): (Vec<_>, Vec<_>) = offers.iter().partition(|plan| plan.terms.is_monthly());
    let list = |title, plans: Vec<&Plan>| {
        let rows = plans.iter().map(|plan| offer(plan, subscription.as_ref(), *can_buy));
        (!plans.is_empty()).then(|| section(title, offer_table(rows.collect(), *can_buy)))
    };
    let body = match offers.is_empty() {
        true => empty("There is nothing to buy: calls are paid one by one from the balance.", ()),
        false => stack(vec![list("Plans, by the month", plans).into_any(), list("Packages, once", packages).into_any()]),
    };
    stack(vec![head("Plans and packages", about, ()), form.problem_view(), only.into_any(), asked.into_any(), body])
}

const COLUMNS: [Column; 6] = [
    Column("Name", Words),
    Column("Fee", Figures),
    Column("Credit that it gives", Figures),
    Column("Beyond it", Words),
    Column("Discount on calls", Figures),
    Column("Choose", Action),
];

/// Nobody who may not buy has anything to choose.
pub(crate) fn offer_table(rows: Vec<Row>, can_buy: bool) -> AnyView {
    let columns = if can_buy { &COLUMNS[..] } else { &COLUMNS[..5] };
    table("cards", columns, rows, None)
}

fn offer(plan: &Plan, subscription: Option<&Subscription>, can_buy: bool) -> Row {
    let note = match subscription {
        Some(own) if (own.plan.id, own.plan.version) == (plan.id, plan.version) => "your plan",
        Some(own) if own.plan.id == plan.id => "your plan in a newer version",
        Some(own) if own.next.as_ref().is_some_and(|next| next.id == plan.id) => "follows when the month is over",
        _ => "",
    };
    let is_own = note == "your plan" && subscription.is_some_and(|own| own.next.is_none() && !own.ends);
    let mut cells = cells(plan, note);
    if can_buy {
        let label = format!("Choose {}", plan.name);
        let href = format!("{PATH}?{PLAN}={}", plan.id);
        cells.push(if is_own {
            ().into_any()
        } else {
            view! { <a class="button quiet" href=href aria-label=label>"Choose"</a> }.into_any()
        });
    }
    cells.into()
}

/// What it is, for whoever may buy it or only looks.
pub(crate) fn cells(plan: &Plan, note: &str) -> Vec<AnyView> {
    let terms = &plan.terms;
    let lasts = if terms.is_monthly() { String::new() } else { format!("for {}", plan::lasts(terms)) };
    let notes = [lasts, note.to_owned()].into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join("; ");
    let scope = terms.models.as_ref().map(|models| format!("for {}", models.join(", "))).unwrap_or_default();
    vec![
        with_note(name(&plan.name), notes),
        text(money::exact(terms.fee)),
        with_note(text(plan::quantity(terms.allowance, terms.unit)), scope),
        with_note(text(plan::beyond(terms)), plan::at_most(terms.limits).unwrap_or_default()),
        text(plan::discount(terms.discount)),
    ]
}
