use domain::payment::{Currency, PaymentFilter, SeenPayment, StrayPayment, Sum};
use leptos::prelude::*;

use super::{
    PATH,
    api::{Chosen, Decision, Payments},
    fields::{PAYMENT, SHOW},
    review::{one, state},
};
use crate::parts::{
    form::{Tone, notice},
    layout::{empty, foreign, head, section, stack},
    money,
    pager::pager,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, link, name_link, table, text, with_note,
    },
    tabs::{Tab, tabs},
    time,
};

/// Payments, and the one that is looked at.
pub(crate) fn payments(page: &Payments) -> AnyView {
    let about =
        "What customers pay through Stripe or by bank transfer. What was paid and cannot be credited by itself waits here. Times are UTC.";
    let done = page.done.map(|done| {
        notice(
            Tone::Good,
            match done {
                Decision::Credit => "It is credited.",
                Decision::Dismiss => "It is dismissed.",
                Decision::Return => "It is out of the balance, and the customer gets a credit note.",
                Decision::Refund => "Stripe is asked to pay it back. The balance is less by it once Stripe says that it is.",
            },
        )
    });
    let problem = page.chosen.is_none().then(|| page.form.problem_view());
    let chosen = page.chosen.as_ref().map(|chosen| one(page, chosen));
    let listed = stack(vec![filters(page), strays(page), list(page)]);
    let listed = if page.chosen.is_some() { section("All payments", listed) } else { listed };
    stack(vec![head("Payments", about, ()), done.into_any(), problem.into_any(), chosen.into_any(), listed])
}

fn address(filter: PaymentFilter) -> String {
    format!("{PATH}?{SHOW}={}", filter.name())
}

fn filters(page: &Payments) -> AnyView {
    let choices = PaymentFilter::ALL.map(|filter| Tab {
        label: match filter {
            PaymentFilter::ToLookAt => format!("{} ({})", filter.label(), money::grouped(page.waiting)),
            _ => filter.label().to_owned(),
        },
        href: address(filter),
        current: filter == page.filter,
    });
    tabs("Show", choices.into())
}

/// What is nobody's, where it is looked for.
fn strays(page: &Payments) -> AnyView {
    const COLUMNS: [Column; 3] = [Column("Heard of", Words), Column("Paid", Figures), Column("What to look at", Words)];
    if page.strays.is_empty() || page.filter != PaymentFilter::ToLookAt {
        return ().into_any();
    }
    let rows = page.strays.iter().map(|StrayPayment { reference, sum, heard_at }| {
        vec![
            with_note(link(format!("{PATH}?{PAYMENT}={reference}"), time::minute(*heard_at)), reference.clone()),
            text(paid(sum)),
            text("Names no payment of ours"),
        ]
        .into()
    });
    let older = (page.older_strays > 0).then(|| {
        let words = format!("And {} older ones, which stand here once these are dismissed.", money::grouped(page.older_strays));
        view! { <p>{words}</p> }
    });
    stack(vec![table("cards", &COLUMNS, rows.collect(), None), older.into_any()])
}

/// As money is written everywhere; that of another currency is said with it.
fn paid(sum: &Sum) -> String {
    let dollars = Currency::parse(&sum.currency).filter(|currency| *currency == Currency::USD);
    dollars.and_then(|currency| currency.amount(sum.minor)).map_or_else(|| sum.to_string(), money::exact)
}

fn list(page: &Payments) -> AnyView {
    const COLUMNS: [Column; 5] = [
        Column("Begun", Words),
        Column("Customer", Words),
        Column("Amount", Figures),
        Column("State", Words),
        Column("What to look at", Words),
    ];
    if page.listed.is_empty() {
        let words = match page.filter {
            PaymentFilter::ToLookAt if !page.strays.is_empty() => return ().into_any(),
            PaymentFilter::ToLookAt => "Nothing waits for you.",
            PaymentFilter::Pending => "No payment is pending.",
            PaymentFilter::Credited => "No payment is credited.",
            PaymentFilter::All => "Nobody has paid anything yet.",
        };
        return empty(words, ());
    }
    let chosen = page.chosen.as_ref().and_then(|chosen| match chosen {
        Chosen::Payment(seen) => Some(seen.payment.id),
        Chosen::Stray(_) => None,
    });
    let rows = page.listed.iter().map(|seen| Row { faded: chosen == Some(seen.payment.id), ..row(seen, page.filter) });
    let newest = page.has_newer.then(|| address(page.filter));
    let older = page.next.map(|next| format!("{}&before={next}", address(page.filter)));
    stack(vec![table("cards wide", &COLUMNS, rows.collect(), None), pager(newest, older)])
}

fn row(SeenPayment { payment, account_name, .. }: &SeenPayment, filter: PaymentFilter) -> Row {
    let way = format!("{PATH}?{SHOW}={}&{PAYMENT}={}", filter.name(), payment.id);
    vec![
        with_note(link(way, time::minute(payment.made_at)), format!("by {}", payment.made_by)),
        name_link(format!("/admin/customers/{}", payment.account), account_name),
        text(money::exact(payment.amount)),
        with_note(text(state(payment.state)), payment.provider.label().to_owned()),
        payment.problem.as_ref().map_or_else(|| text("Nothing"), |problem| foreign(problem)),
    ]
    .into()
}
