use domain::{
    catalog::{PriceKind, PriceVersion},
    rate_unit::RateUnit,
    replay::Replay,
};
use leptos::prelude::*;

use super::{
    address,
    api::{Asked, INSTANT, Repricing},
    fields::{FROM, MODEL, NOTE, PRICE, REVIEW, SEEN, SERVICE_TIER, TO},
};
use crate::{
    pages::admin_pricing::{fields, words},
    parts::{
        form::{Field, Form, Tone, choice, hidden, notice_of},
        layout::{foreign, head, pairs, section, stack},
        money,
        table::{
            Column,
            Kind::{Figures, Words},
            Row, link, table, text, with_note,
        },
        time,
    },
};

/// The customers that are listed.
const LISTED_MAX: usize = 100;
/// Where it is posted.
const PATH: &str = "/admin/pricing/reprice";

/// What would go back, and the form that asks.
pub(crate) fn repricing(page: &Repricing) -> AnyView {
    let Repricing { model, review, form, .. } = page;
    let at_tier = page.service_tier.other().map(|tier| format!(" at the {} tier", tier.name()));
    let title = view! { "Charge past calls of "<code>{foreign(model)}</code>{at_tier}" anew" };
    let prices = fields::address((model, page.service_tier), PriceKind::Sale, RateUnit::default());
    let about = view! { "What they cost more than by the price that you choose goes back. Nobody pays more. Times are UTC. "{link(prices, "Its prices")} };
    let asked = review.as_ref().map(|(asked, replay)| comes_to(page, asked, replay));
    let section_title = if review.is_some() { "Or choose others" } else { "Which calls" };
    let problem = form.problem_view();
    stack(vec![head(title.into_any(), about.into_any(), ()), problem, asked.into_any(), section(section_title, ask(page))])
}

fn ask(page: &Repricing) -> AnyView {
    let Repricing { model, versions, current, form, .. } = page;
    let named = |version: &PriceVersion| {
        let now = if Some(version.id) == *current { "In force, from" } else { "From" };
        (version.id.to_string(), format!("{now} {}: {}", words::begins(version), words::figures(&version.rates)))
    };
    let chosen = current.or_else(|| versions.first().map(|version| version.id)).map(|id| id.to_string()).unwrap_or_default();
    // What is wrong with the whole of it stands above.
    let own = Form { problem: form.problem.clone().filter(|problem| !problem.field.is_empty()), ..form.clone() };
    view! {
        <form class="grid-form" method="get" action=PATH>
            {hidden(MODEL, model.clone())}
            {hidden(SERVICE_TIER, page.service_tier.name())}
            {hidden(REVIEW, "yes")}
            {Field::new("datetime-local", FROM, "Calls that began from, UTC").required().view(&own)}
            {Field::new("datetime-local", TO, "And before, UTC").hint("Empty means now.").view(&own)}
            {choice(&own, PRICE, "Charged by", versions.iter().map(named).collect(), &chosen)}
            {Field::new("text", NOTE, "Note").hint("Each customer reads it in the journal and on the receipt.").required().view(&own)}
            <button>"See what goes back"</button>
        </form>
    }
    .into_any()
}

/// What it comes to: to be confirmed, or that there is nothing to do.
fn comes_to(page: &Repricing, asked: &Asked, replay: &Replay) -> AnyView {
    let sums = &replay.sums;
    let question = if sums.lowered == 0 {
        "Nothing goes back".to_owned()
    } else {
        format!("Give {} back to {}?", money::exact(sums.given_back), customers(replay.customers.len()))
    };
    let done = (page.is_done && sums.lowered == 0).then(|| {
        let audit = link("/admin/audit?operation=call.reprice".to_owned(), "the audit log");
        notice_of(
            Tone::Good,
            view! { "It is posted: no call of this window costs more than by that price. What went back to whom is in "{audit}"." }
                .into_any(),
        )
    });
    view! {
        {done}
        <section class="review" aria-labelledby="review">
            <h2 id="review" tabindex="-1" autofocus=true>{question}</h2>
            {particulars(page, asked, replay)}
            {whom(replay)}
            {(sums.lowered > 0).then(|| confirm(page, asked, replay))}
        </section>
    }
    .into_any()
}

fn particulars(page: &Repricing, asked: &Asked, replay: &Replay) -> AnyView {
    let sums = &replay.sums;
    let window = format!("From {} to {} UTC", time::second(asked.from), time::second(asked.to));
    let price = page.versions.iter().find(|version| version.id == asked.price);
    let price = price.map_or_else(String::new, |version| format!("{}, from {}", words::figures(&version.rates), words::begins(version)));
    let mut rows = vec![
        ("Calls that began", text(window)),
        ("Charged by", text(price)),
        ("Were charged", text(format!("{} for {}", money::exact(sums.charged), calls(sums.calls)))),
        ("Come to", text(money::exact(sums.replayed))),
        ("Goes back", text(format!("{} for {}", money::exact(sums.given_back), calls(sums.lowered)))),
        ("Note", foreign(&asked.note)),
    ];
    if sums.in_tokens > 0 {
        rows.push(("Not among them", text(format!("{} that were paid in tokens, which no price changes", calls(sums.in_tokens)))));
    }
    pairs("pairs said", rows.into_iter().map(|(name, words)| (name.to_owned(), words)).collect())
}

/// To whom, those first who get most.
fn whom(replay: &Replay) -> AnyView {
    const COLUMNS: [Column; 5] = [
        Column("Customer", Words),
        Column("Calls that cost less", Figures),
        Column("Charged", Figures),
        Column("By this price", Figures),
        Column("Goes back", Figures),
    ];
    if replay.customers.is_empty() {
        return ().into_any();
    }
    let rows = replay.customers.iter().take(LISTED_MAX).map(|customer| -> Row {
        let name = view! { <a href=format!("/admin/customers/{}", customer.account)>{foreign(&customer.name)}</a> }.into_any();
        let sums = &customer.sums;
        vec![
            with_note(name, customer.email.clone().unwrap_or_default()),
            text(count(sums.lowered)),
            money::exact_view(sums.charged),
            money::exact_view(sums.replayed),
            money::exact_view(sums.given_back),
        ]
        .into()
    });
    let more = replay.customers.len().saturating_sub(LISTED_MAX);
    let more = (more > 0).then(|| view! { <p class="hint">{format!("And {} more, who get less.", customers(more))}</p> });
    stack(vec![table("cards", &COLUMNS, rows.collect(), None), more.into_any()])
}

fn confirm(page: &Repricing, asked: &Asked, replay: &Replay) -> AnyView {
    if replay.left_out > 0 {
        let words = format!(
            "There are too many calls for a page: those of {} are not among them. Choose a shorter window, or use this command.",
            customers(usize::try_from(replay.left_out).unwrap_or(usize::MAX))
        );
        return view! { <p class="problem">{words}" "<code>"farebox price reprice"</code></p> }.into_any();
    }
    let asked = [
        (MODEL, page.model.clone()),
        (SERVICE_TIER, page.service_tier.name().to_owned()),
        (FROM, asked.from.format(INSTANT).to_string()),
        (TO, asked.to.format(INSTANT).to_string()),
        (PRICE, asked.price.to_string()),
        (NOTE, asked.note.clone()),
        (SEEN, replay.sums.given_back.to_string()),
    ];
    let asked: Vec<_> = asked.into_iter().map(|(field, value)| hidden(field, value)).collect();
    view! {
        <p class="subtitle prose">
            "Nothing is posted yet. What is posted stays in the books for ever. A call that was charged less stays as it is, and so does one at a price of a customer's own. \
            To send this again posts nothing twice."
        </p>
        <form class="row-form" method="post" action=PATH>
            {page.form.once_field()}
            {asked}
            <button class="primary">{format!("Give {} back", money::exact(replay.sums.given_back))}</button>
            <a href=address((&page.model, page.service_tier)) rel="external">"Do nothing"</a>
        </form>
    }
    .into_any()
}

fn calls(number: u64) -> String {
    if number == 1 { "1 call".to_owned() } else { format!("{} calls", count(number)) }
}

fn customers(number: usize) -> String {
    if number == 1 { "1 customer".to_owned() } else { format!("{} customers", money::grouped(i64::try_from(number).unwrap_or(i64::MAX))) }
}

fn count(number: u64) -> String {
    money::grouped(i64::try_from(number).unwrap_or(i64::MAX))
}
