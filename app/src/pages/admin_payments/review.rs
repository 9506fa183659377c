//! One payment: what is known of it, what can be decided, and what is asked for before it is done.

use domain::{
    money::Amount,
    payment::{PaymentState, SeenPayment},
};
use leptos::prelude::*;

use super::{
    PATH,
    api::{Chosen, Decision, Payments},
    fields::{AMOUNT, DO, PAYMENT, REASON},
};
use crate::parts::{
    form::{Field, Form, hidden},
    layout::{foreign, pairs, section, stack},
    money,
    table::text,
    time,
};

/// What is looked at, with what can be decided of it, or with what is to be done now.
pub(super) fn one(page: &Payments, chosen: &Chosen) -> AnyView {
    let next = match &page.review {
        Some((decision, amount)) => confirm(chosen, *decision, *amount, &page.form),
        None => stack(chosen.decisions().into_iter().map(|decision| ask(chosen, decision, &page.form)).collect()),
    };
    stack(vec![section("Payment", known(chosen)), next])
}

fn known(chosen: &Chosen) -> AnyView {
    let rows = match chosen {
        Chosen::Stray(stray) => vec![
            ("Stripe calls it", foreign(&stray.reference)),
            ("Paid", text(stray.sum.to_string())),
            ("Heard of", text(format!("{} UTC", time::minute(stray.heard_at)))),
            (
                "What to look at",
                text("It names no payment of ours. Find out at Stripe whose it is: credit it to that customer, or pay it back there."),
            ),
        ],
        Chosen::Payment(SeenPayment { payment, account_name, left }) => {
            let left = payment.currency.amount(*left).unwrap_or_default();
            let mut rows = vec![
                ("Customer", view! { <a href=format!("/admin/customers/{}", payment.account)>{foreign(account_name)}</a> }.into_any()),
                ("Amount", text(money::exact(payment.amount))),
                ("State", text(state(payment.state))),
                ("Begun", text(format!("{} UTC", time::minute(payment.made_at)))),
                ("By", foreign(&payment.made_by)),
                ("Id", text(payment.id.to_string())),
                ("Stripe calls it", foreign(payment.session.as_deref().unwrap_or("nothing yet"))),
            ];
            if payment.state == PaymentState::Credited {
                rows.push(("Can be paid back", text(money::exact(left))));
            }
            rows.extend(payment.problem.as_ref().map(|problem| ("What to look at", foreign(problem))));
            rows
        }
    };
    pairs("pairs said", rows.into_iter().map(|(name, words)| (name.to_owned(), words)).collect())
}

/// A state, in words.
pub(super) const fn state(state: PaymentState) -> &'static str {
    match state {
        PaymentState::Pending => "Pending",
        PaymentState::Ended => "Not paid",
        PaymentState::Held => "Held",
        PaymentState::Credited => "Credited",
        PaymentState::Dismissed => "Dismissed",
    }
}

fn id_of(chosen: &Chosen) -> String {
    match chosen {
        Chosen::Payment(seen) => seen.payment.id.to_string(),
        Chosen::Stray(stray) => stray.reference.clone(),
    }
}

/// The form of a decision. What is wrong with one that came back stands in that one alone.
fn ask(chosen: &Chosen, decision: Decision, form: &Form) -> AnyView {
    let fresh = Form { once: form.once.clone(), ..Form::default() };
    let form = if form.typed(DO) == Some(decision.name()) { form } else { &fresh };
    let (title, hint) = match decision {
        Decision::Credit => ("Credit it", "The customer reads the reason in the journal."),
        Decision::Dismiss => ("Dismiss it", "It leaves this list. What is held is never credited then."),
        Decision::Refund => ("Pay it back", "Stripe pays it back, and the balance is less by it once Stripe says so."),
    };
    let initial = match chosen {
        Chosen::Payment(SeenPayment { payment, left, .. }) if decision == Decision::Refund => {
            payment.currency.amount(*left).unwrap_or_default()
        }
        Chosen::Payment(seen) => seen.payment.amount,
        Chosen::Stray(_) => Amount::ZERO,
    };
    let amount = (decision != Decision::Dismiss)
        .then(|| Field::amount(AMOUNT, "Amount in US dollars").initial(initial.to_string()).required().view(form));
    let body = view! {
        <form class="row-form" method="get" action=PATH>
            {hidden(PAYMENT, id_of(chosen))}
            {hidden(DO, decision.name())}
            {form.problem_view()}
            {amount}
            {Field::new("text", REASON, "Reason").hint(hint).required().view(form)}
            <button>"Review"</button>
        </form>
    };
    section(title, body.into_any())
}

/// What would be done, and the one button that does it.
fn confirm(chosen: &Chosen, decision: Decision, amount: Option<Amount>, form: &Form) -> AnyView {
    let amount = amount.map(money::exact).unwrap_or_default();
    let (question, button) = match decision {
        Decision::Credit => (format!("Credit {amount}?"), format!("Credit {amount}")),
        Decision::Dismiss => ("Dismiss it?".to_owned(), "Dismiss it".to_owned()),
        Decision::Refund => (format!("Have Stripe pay {amount} back?"), format!("Pay {amount} back")),
    };
    let class = if decision == Decision::Credit { "primary" } else { "danger" };
    let typed: Vec<_> = [AMOUNT, REASON].into_iter().filter_map(|field| Some(hidden(field, form.typed(field)?.to_owned()))).collect();
    let back = format!("{PATH}?{PAYMENT}={}", id_of(chosen));
    view! {
        <section class="review" aria-labelledby="review">
            <h2 id="review" tabindex="-1" autofocus=true>{question}</h2>
            <p class="subtitle prose">"Reason: "{foreign(form.typed(REASON).unwrap_or_default())}</p>
            <form class="row-form" method="post" action=PATH>
                {form.once_field()}
                {hidden(PAYMENT, id_of(chosen))}
                {hidden(DO, decision.name())}
                {typed}
                <button class=class>{button}</button>
                <a href=back rel="external">"Do nothing"</a>
            </form>
        </section>
    }
    .into_any()
}
