use chrono::{DateTime, Utc};
use domain::{
    catalog::{PriceKind, PriceVersion, PricedModel, PricedTier},
    money::Amount,
    rate_unit::RateUnit,
    rates::Rates,
    service_tier::ServiceTier,
    wanted::WantedModel,
};
use leptos::prelude::*;

use super::{
    fields, form, history,
    page::{Chosen, Done, Prices, Stage},
    review, words,
};
use crate::{
    pages::admin_reprice,
    parts::{
        form::{Tone, notice},
        layout::{empty, foreign, head, section, stack},
        money,
        table::{
            Column,
            Kind::{Figures, Words},
            Row, link, table, text, with_note,
        },
        tabs::{Tab, tabs},
        time,
    },
};

/// Every price, or one model's.
pub(crate) fn prices(page: &Prices) -> AnyView {
    match &page.chosen {
        Some(chosen) => one(chosen, page.now),
        None => list(page),
    }
}

fn list(Prices { models, wanted, .. }: &Prices) -> AnyView {
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
        table("cards wide", &COLUMNS, models.iter().flat_map(rows).collect(), None)
    };
    let way = link("/admin/pricing/import".to_owned(), "Import a price list");
    stack(vec![head("Prices", "In force now, in US dollars. A model without a price is refused.", way), body, asked_for(wanted)])
}

/// What customers asked for and did not get, the most wanted first.
fn asked_for(wanted: &[WantedModel]) -> AnyView {
    const COLUMNS: [Column; 4] =
        [Column("Asked for", Words), Column("Refused calls", Figures), Column("Last", Words), Column("What it lacks", Words)];
    if wanted.is_empty() {
        return ().into_any();
    }
    let rows = wanted.iter().map(|model| -> Row {
        let lacks = if model.is_known {
            link(fields::address((&model.name, ServiceTier::Default), PriceKind::Sale, RateUnit::default()), "A price: set one")
        } else {
            view! { <span>"A model: "<code>"farebox model add"</code></span> }.into_any()
        };
        let last = time::time_view(model.last_at, time::minute(model.last_at));
        vec![view! { <code>{foreign(&model.name)}</code> }.into_any(), text(money::grouped(model.calls)), last, lacks].into()
    });
    section("Asked for, and not to be had", table("cards", &COLUMNS, rows.collect(), None))
}

/// A model, and below it each service tier that has a price.
fn rows(priced: &PricedModel) -> impl Iterator<Item = Row> {
    let PricedModel { model, sale, cost, scheduled, service_tiers } = priced;
    let address = |tier| fields::address((&model.name, tier), PriceKind::Sale, RateUnit::default());
    let name = view! { <a href=address(ServiceTier::Default)><code>{model.name.clone()}</code></a> };
    let own = row(name.into_any(), &model.provider, [sale.as_ref(), cost.as_ref(), scheduled.first()], "its calls are refused");
    let tiers = service_tiers.iter().map(move |tier| {
        let PricedTier { service_tier, sale, cost, scheduled } = tier;
        let name =
            view! { <a href=address(*service_tier)><code>{model.name.clone()}</code>{format!(", {} tier", service_tier.name())}</a> };
        let without =
            if service_tier.wants_a_price() { "calls that ask for it are refused" } else { "its calls cost what the default does" };
        row(name.into_any(), &model.provider, [sale.as_ref(), cost.as_ref(), scheduled.first()], without)
    });
    std::iter::once(own).chain(tiers)
}

fn row(name: AnyView, provider: &str, [sale, cost, next]: [Option<&PriceVersion>; 3], without: &str) -> Row {
    let note = match (sale, next) {
        (Some(_), Some(next)) => format!("changes {} UTC", time::minute(next.effective_from)),
        (None, Some(next)) => format!("no price until {} UTC: {without} until then", time::minute(next.effective_from)),
        (None, None) => format!("no price: {without}"),
        (Some(_), None) => String::new(),
    };
    let side = |rate: fn(&Rates) -> Amount| amounts(sale.map(|version| rate(&version.rates)), cost.map(|version| rate(&version.rates)));
    let named = [with_note(name, note), text(provider.to_owned())];
    let cells: Vec<_> = named.into_iter().chain(side(|rates| rates.base.input)).chain(side(|rates| rates.base.output)).collect();
    cells.into()
}

/// Price, cost and margin; the margin also as a share of the price.
fn amounts(sale: Option<Amount>, cost: Option<Amount>) -> [AnyView; 3] {
    let exact = |amount: Option<Amount>| text(amount.map_or_else(|| money::ABSENT.to_owned(), money::exact));
    let margin = sale.zip(cost).and_then(|(sale, cost)| sale.checked_sub(cost));
    let share = margin.zip(sale).map(|(margin, sale)| money::share(margin.nanos(), sale.nanos())).unwrap_or_default();
    let is_loss = margin.is_some_and(Amount::is_negative);
    let margin = with_note(exact(margin), share);
    let margin = if is_loss { view! { <span class="alarm">{margin}<strong>"below cost"</strong></span> }.into_any() } else { margin };
    [exact(sale), exact(cost), margin]
}

fn one(chosen: &Chosen, now: DateTime<Utc>) -> AnyView {
    let about = stack(vec![
        text(format!("{}. Times are UTC. ", chosen.priced.model.provider)),
        link("/admin/pricing".to_owned(), "All prices"),
        text(" · "),
        link(admin_reprice::address(chosen.of()), "Charge past calls anew"),
    ]);
    let name = view! { <code>{chosen.priced.model.name.clone()}</code> };
    let body = match &chosen.stage {
        Stage::Review(review) => section("Review", review::view(chosen, review)),
        Stage::Moved(moved) => {
            stack(vec![section("Changed meanwhile", review::moved(chosen, moved)), section("New version", written(chosen, now))])
        }
        Stage::Form => section("New version", written(chosen, now)),
    };
    stack(vec![head(name, about, ()), done(chosen).into_any(), body, section("History", history::view(chosen, now))])
}

fn written(chosen: &Chosen, now: DateTime<Utc>) -> AnyView {
    let switches = view! { <div class="tab-row">{service_tiers(chosen)}{sides(chosen)}{form::units(chosen)}</div> };
    stack(vec![switches.into_any(), about_tier(chosen), form::filled_from(chosen, now), form::view(chosen)])
}

/// What was just done, with its figures.
fn done(chosen: &Chosen) -> Option<AnyView> {
    let of = words::of(chosen.of());
    let words = match chosen.done? {
        Done::Published(id) => {
            let version = chosen.history.version(id)?;
            let (side, at) = (words::side(version.kind), time::second(version.effective_from));
            format!("Published: the {side} of {of} changes {at} UTC: {}.", words::figures(&version.rates))
        }
        Done::Withdrawn(id) => {
            let version = chosen.history.version(id)?;
            chosen.history.withdrawal(id)?;
            format!("Withdrawn: the {} of {of} does not change at {}.", words::side(version.kind), words::begins(version))
        }
    };
    Some(notice(Tone::Good, words))
}

/// The service tiers: each has versions of its own.
fn service_tiers(chosen: &Chosen) -> AnyView {
    let all = ServiceTier::ALL.map(|tier| Tab {
        label: tier.label().to_owned(),
        href: fields::address((chosen.of().0, tier), chosen.side, chosen.unit),
        current: tier == chosen.service_tier,
    });
    tabs("Service tier", all.into())
}

/// What a price of this service tier is for.
fn about_tier(chosen: &Chosen) -> AnyView {
    let words = match chosen.service_tier {
        ServiceTier::Default => return ().into_any(),
        ServiceTier::Batch => "Nobody can ask for this tier: it is charged where an answer says that it was served so.",
        ServiceTier::Scale => "Without a price of its own it costs what the default does: its capacity is paid for in advance.",
        ServiceTier::Flex | ServiceTier::Priority => {
            "Calls may ask for this tier once it has a price. They are charged at the tier that served them, which the answer says."
        }
    };
    view! { <p class="hint">{words}</p> }.into_any()
}

fn sides(chosen: &Chosen) -> AnyView {
    let sides = fields::SIDES.map(|kind| Tab {
        label: match kind {
            PriceKind::Sale => "Price: what customers pay",
            PriceKind::Cost => "Cost: what the provider charges",
        }
        .to_owned(),
        href: fields::address(chosen.of(), kind, chosen.unit),
        current: kind == chosen.side,
    });
    tabs("Side", sides.into())
}
