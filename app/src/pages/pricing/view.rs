use domain::{
    catalog::{PriceVersion, PricedModel, PricedTier},
    own_price::{self, OwnPrice},
    plan::Plan,
};
use leptos::prelude::*;

use super::{estimate, page::Pricing};
use crate::{
    pages::offers::view as offers,
    parts::{
        form::{Field, Form},
        layout::{empty, head, section, stack},
        money, rates,
        table::{
            Column,
            Kind::{Figures, Words},
            Row, link, table, text,
        },
        time,
    },
};

/// The price list.
pub(crate) fn pricing(page: &Pricing) -> AnyView {
    let Pricing { models, own, offers, contact, bill, search, now } = page;
    let find = view! {
        <form class="row-form" method="get" action="/pricing" role="search">
            {Field::new("search", "search", "Find a model or a provider").initial(search.clone()).view(&Form::default())}
            <button>"Find"</button>
        </form>
    };
    let body = match (models.is_empty(), search.is_empty()) {
        (true, true) => empty("No model has a price yet, so none can be called.", ()),
        (true, false) => empty(format!("No model or provider contains “{search}”."), link("/pricing".to_owned(), "Every model")),
        _ => price_table(models),
    };
    let about = format!("In US dollars, at {} UTC. Streaming costs the same.", time::minute(*now));
    stack(vec![
        head("Pricing", about, ()),
        find.into_any(),
        agreed(own),
        body,
        sold(offers, contact.as_ref()),
        estimate::estimate(bill, search),
        method(),
    ])
}

/// What whoever is signed in pays instead. Of a model's prices the first one that has begun holds.
fn agreed(all: &[OwnPrice]) -> AnyView {
    const COLUMNS: [Column; 5] = [
        Column("Model", Words),
        Column("Prompt, per 1K tokens", Figures),
        Column("Completion, per 1K tokens", Figures),
        Column("From", Words),
        Column("Until", Words),
    ];
    if all.is_empty() {
        return ().into_any();
    }
    let rows = all.iter().map(|own| {
        let base = &own.version.rates.base;
        let next = own_price::over_at(own, all).map_or_else(|| "further notice".to_owned(), time::minute);
        let name = view! { <code>{own.model.clone()}</code> };
        let cells = vec![
            stack(vec![name.into_any(), rates::others_view(&own.version.rates)]),
            rates::rate(base.input),
            rates::rate(base.output),
            text(time::minute(own.version.effective_from)),
            text(next),
        ];
        cells.into()
    });
    let about = "They take the place of the prices below, and no discount is taken off them. Times are UTC.";
    let about = view! { <p class="subtitle prose">{about}</p> };
    section("Prices agreed with you", stack(vec![about.into_any(), table("cards", &COLUMNS, rows.collect(), None)]))
}

/// What is sold by the month or once, and where to ask for more.
fn sold(offers: &[Plan], contact: Option<&(String, String)>) -> AnyView {
    let ask = contact.map(|(href, words)| {
        view! { <p class="prose">"For larger volumes, invoices or terms of your own, ask "<a href=href.clone() rel="external">{words.clone()}</a>"."</p> }
    });
    match (offers.is_empty(), ask) {
        (true, None) => ().into_any(),
        (true, Some(ask)) => section("More than this", ask.into_any()),
        (false, ask) => {
            let about = "A plan's fee leaves the balance each month, a package's once; what they give is used before the balance.";
            let rows = offers.iter().map(|plan| offers::cells(plan, if plan.terms.is_monthly() { "by the month" } else { "" }).into());
            let about = view! { <p class="subtitle prose">{about}</p> };
            section("Plans and packages", stack(vec![about.into_any(), offers::offer_table(rows.collect(), false), ask.into_any()]))
        }
    }
}

fn price_table(models: &[PricedModel]) -> AnyView {
    const COLUMNS: [Column; 5] = [
        Column("Model", Words),
        Column("Provider", Words),
        Column("Prompt, per 1K tokens", Figures),
        Column("Completion, per 1K tokens", Figures),
        Column("In force since", Words),
    ];
    table("cards", &COLUMNS, models.iter().flat_map(rows).collect(), None)
}

/// A model, and below it each service tier that has a price.
fn rows(priced: &PricedModel) -> impl Iterator<Item = Row> {
    let PricedModel { model, sale, scheduled, service_tiers, .. } = priced;
    let own = row(view! { <code>{model.name.clone()}</code> }.into_any(), &model.provider, sale.as_ref(), scheduled);
    let tiers = service_tiers.iter().map(|tier| {
        let PricedTier { service_tier, sale, scheduled, .. } = tier;
        let name = view! { <span><code>{model.name.clone()}</code>{format!(", {} tier", service_tier.name())}</span> };
        row(name.into_any(), &model.provider, sale.as_ref(), scheduled)
    });
    std::iter::once(own).chain(tiers)
}

fn row(name: AnyView, provider: &str, sale: Option<&PriceVersion>, scheduled: &[PriceVersion]) -> Row {
    let others = sale.map(|sale| rates::others_view(&sale.rates));
    let changes: Vec<_> = scheduled.iter().map(change).collect();
    let (prompt, completion, since) = match sale {
        Some(PriceVersion { rates, effective_from, .. }) => {
            (rates::rate(rates.base.input), rates::rate(rates.base.output), time::time_view(*effective_from, time::day(*effective_from)))
        }
        None => (text("not yet"), text("not yet"), text("not yet")),
    };
    vec![stack(vec![name, others.into_any(), stack(changes)]), text(provider.to_owned()), prompt, completion, since].into()
}

/// A price that is written but not yet in force.
fn change(version: &PriceVersion) -> AnyView {
    let prices = format!(
        "From {} UTC: prompt {}, completion {} per 1K tokens",
        time::minute(version.effective_from),
        money::exact(version.rates.base.input),
        money::exact(version.rates.base.output),
    );
    view! { <div class="scheduled"><p>{prices}</p>{rates::others_view(&version.rates)}</div> }.into_any()
}

fn method() -> AnyView {
    let words = "Amount = prompt tokens ÷ 1,000 × prompt price + completion tokens ÷ 1,000 × completion price, counted by the upstream model \
                 and rounded once, at the end, to nine decimals. Tokens with a rate of their own, such as cached ones, are charged at it and not \
                 a second time. A call that asks for another service tier is charged at the tier that served it, as its answer says. Every call has a receipt with its lines.";
    section("How a call is charged", view! { <p class="prose">{words}</p> }.into_any())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{
        catalog::{Model, ModelBounds, OutputCapField, PriceKind},
        id::{ModelId, PriceId, ProviderId},
        rates::Rates,
        service_tier::ServiceTier,
        tokens::Tokens,
    };

    use super::{super::estimate::Bill, *};

    #[test]
    fn a_price_says_per_how_many_tokens_it_is_and_when_it_changes() {
        let now = "2026-11-23T10:04:05Z".parse().unwrap();
        let version = |prompt: &str| {
            let mut rates = Rates::plain(prompt.parse().unwrap(), "0.0006".parse().unwrap());
            rates.base.cache_read = Some("0.000075".parse().unwrap());
            let (id, model_id) = (PriceId::new(now, [1; 10]), ModelId::new(now, [2; 10]));
            PriceVersion {
                id,
                model_id,
                kind: PriceKind::Sale,
                effective_from: now,
                rates,
                created_at: now,
                created_by: String::new(),
                service_tier: ServiceTier::Default,
            }
        };
        let model = Model {
            id: ModelId::new(now, [2; 10]),
            name: "demo-mini".to_owned(),
            provider_id: ProviderId::new(now, [3; 10]),
            provider: "demo".to_owned(),
            upstream_name: String::new(),
            context_window: Tokens::from_sum(8_192),
            default_output_hold: Tokens::from_sum(1_024),
            output_cap_field: OutputCapField::MaxTokens,
            opened: Vec::new(),
            bounds: ModelBounds::default(),
        };
        let flex = PricedTier {
            service_tier: ServiceTier::Flex,
            sale: Some(PriceVersion { service_tier: ServiceTier::Flex, ..version("0.00007") }),
            cost: None,
            scheduled: vec![],
        };
        let priced = PricedModel {
            model,
            sale: Some(version("0.00015")),
            cost: None,
            scheduled: vec![version("0.0002")],
            service_tiers: vec![flex],
        };
        let page =
            Pricing { models: vec![priced], own: vec![], offers: vec![], contact: None, bill: Bill::default(), search: String::new(), now };
        let html = Owner::new().with(|| pricing(&page).to_html());
        for words in [
            "$0.00015",
            "$0.15 per 1M",
            ", flex tier",
            "$0.00007",
            "read from cache: $0.000075 per 1K ($0.075 per 1M)",
            "From 23 Nov 2026, 10:04 UTC: prompt $0.0002",
        ] {
            assert!(html.contains(words), "{words} is missing: {html}");
        }
    }
}
