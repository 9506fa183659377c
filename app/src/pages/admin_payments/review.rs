//! One payment: what is known of it, what can be decided, and what is asked for before it is done.

use domain::{
    money::Amount,
    payment::{PaymentState, Provider, SeenPayment},
};
use leptos::prelude::*;

use super::{
    PATH,
    api::{Chosen, Decision, Payments},
    fields::{AMOUNT, BY, DO, PAYMENT, REASON, REFERENCE, SEEN},
};
use crate::parts::{
    form::{Field, Form, choice, hidden},
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
    let asked = page.form.typed(DO).and_then(Decision::of).filter(|decision| chosen.decisions().contains(decision));
    // Where the form is gone that it is about, it stands alone.
    let problem = (page.review.is_none() && asked.is_none()).then(|| page.form.problem_view());
    stack(vec![problem.into_any(), section("Payment", known(chosen)), next])
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
                match payment.provider {
                    Provider::Stripe => ("Stripe calls it", foreign(payment.session.as_deref().unwrap_or("nothing yet"))),
                    Provider::Bank => ("Bank reference", foreign(payment.session.as_deref().unwrap_or_default())),
                },
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

/// Who may have sent a bank transfer back, by [`ledger::SentBack::name`].
const SENT_BACK: [(&str, &str); 2] = [("us", "We did"), ("bank", "The bank, unasked")];

/// The form of a decision. What is wrong with one that came back stands in that one alone.
fn ask(chosen: &Chosen, decision: Decision, form: &Form) -> AnyView {
    let fresh = Form { once: form.once.clone(), ..Form::default() };
    let form = if form.typed(DO) == Some(decision.name()) { form } else { &fresh };
    let (title, hint) = match decision {
        Decision::Credit => ("Credit it", "The customer reads the reason in the journal."),
        Decision::Dismiss => ("Dismiss it", "It leaves this list. What is held is never credited then."),
        Decision::Refund => ("Pay it back", "Stripe pays it back, and the balance is less by it once Stripe says so."),
        Decision::Return => (
            "Note what went back",
            "The balance is less by it at once, and below zero if the bank took what is spent. The customer gets a credit note.",
        ),
    };
    let initial = match chosen {
        Chosen::Payment(SeenPayment { payment, left, .. }) if matches!(decision, Decision::Refund | Decision::Return) => {
            payment.currency.amount(*left).unwrap_or_default()
        }
        Chosen::Payment(seen) => seen.payment.amount,
        Chosen::Stray(_) => Amount::ZERO,
    };
    let amount = (decision != Decision::Dismiss)
        .then(|| Field::amount(AMOUNT, "Amount in US dollars").initial(initial.to_string()).required().view(form));
    let went_back = (decision == Decision::Return).then(|| {
        let by = SENT_BACK.map(|(name, words)| (name.to_owned(), words.to_owned())).to_vec();
        let reference = Field::new("text", REFERENCE, "Bank reference").hint("Of what went back, as on the bank's statement.").required();
        view! { {reference.view(form)} {choice(form, BY, "Who sent it back", by, SENT_BACK[0].0)} }
    });
    let body = view! {
        <form class="row-form" method="get" action=PATH>
            {hidden(PAYMENT, id_of(chosen))}
            {hidden(DO, decision.name())}
            {form.problem_view()}
            {amount}
            {went_back}
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
        Decision::Return => (format!("Note that {amount} went back?"), format!("Take {amount} out of the balance")),
    };
    let class = if decision == Decision::Credit { "primary" } else { "danger" };
    let typed: Vec<_> =
        [AMOUNT, REFERENCE, BY, REASON].into_iter().filter_map(|field| Some(hidden(field, form.typed(field)?.to_owned()))).collect();
    let back = format!("{PATH}?{PAYMENT}={}", id_of(chosen));
    let seen = match chosen {
        Chosen::Payment(seen) => form.typed(SEEN).or(seen.payment.problem.as_deref()).map(|problem| hidden(SEEN, problem)),
        Chosen::Stray(_) => None,
    };
    let went_back = (decision == Decision::Return).then(|| {
        let by = SENT_BACK.iter().find(|(name, _)| form.typed(BY) == Some(*name)).map(|(_, words)| format!("Who sent it back: {words}."));
        view! { <p class="subtitle prose">"Bank reference: "{foreign(form.typed(REFERENCE).unwrap_or_default())}</p><p class="subtitle prose">{by}</p> }
    });
    view! {
        <section class="review" aria-labelledby="review">
            <h2 id="review" tabindex="-1" autofocus=true>{question}</h2>
            {form.problem_view()}
            {went_back}
            <p class="subtitle prose">"Reason: "{foreign(form.typed(REASON).unwrap_or_default())}</p>
            <form class="row-form" method="post" action=PATH>
                {form.once_field()}
                {hidden(PAYMENT, id_of(chosen))}
                {hidden(DO, decision.name())}
                {typed}
                {seen}
                <button class=class>{button}</button>
                <a href=back rel="external">"Do nothing"</a>
            </form>
        </section>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::payment::{Currency, Payment};

    use super::*;
    use crate::parts::form::Problem;

    #[test]
    fn a_confirmation_that_comes_back_is_the_same_form_with_what_was_seen() {
        let (id, amount) = (domain::id::PaymentId::from_uuid(uuid::Uuid::nil()), "25".parse().unwrap());
        let payment = Payment {
            account: domain::id::AccountId::from_uuid(uuid::Uuid::nil()),
            id,
            provider: Provider::Stripe,
            amount,
            minor: 2_500,
            currency: Currency::USD,
            made_by: "ada@example.com".to_owned(),
            made_at: "2026-11-23T10:04:05Z".parse().unwrap(),
            session: None,
            state: PaymentState::Credited,
            problem: Some("a refund failed".to_owned()),
        };
        let chosen = Chosen::Payment(SeenPayment { payment, account_name: "Example".to_owned(), left: 0 });
        let problem = Some(Problem::new("", "Stripe did not answer."));
        let html = |form: Form| Owner::new().with(|| confirm(&chosen, Decision::Refund, Some(amount), &form).to_html());
        let back = html(Form { once: "7".to_owned(), problem, ..Form::default() });
        for words in ["value=\"7\"", "Stripe did not answer.", "Pay $25.00 back", "value=\"a refund failed\""] {
            assert!(back.contains(words), "{words}: {back}");
        }
        let typed = [(SEEN.to_owned(), "what stood there before".to_owned())].into();
        assert!(html(Form { typed, ..Form::default() }).contains("value=\"what stood there before\""));
    }

    #[test]
    fn what_went_back_is_asked_for_with_its_reference_and_confirmed_with_who_sent_it() {
        let payment = Payment {
            account: domain::id::AccountId::from_uuid(uuid::Uuid::nil()),
            id: domain::id::PaymentId::from_uuid(uuid::Uuid::nil()),
            provider: Provider::Bank,
            amount: "25".parse().unwrap(),
            minor: 2_500,
            currency: Currency::USD,
            made_by: "root@example.com".to_owned(),
            made_at: "2026-11-23T10:04:05Z".parse().unwrap(),
            session: Some("RF18 5390".to_owned()),
            state: PaymentState::Credited,
            problem: None,
        };
        let chosen = Chosen::Payment(SeenPayment { payment, account_name: "Example".to_owned(), left: 2_000 });
        assert_eq!(chosen.decisions(), [Decision::Return]);
        assert_eq!(SENT_BACK.map(|(name, _)| name), ledger::SentBack::ALL.map(ledger::SentBack::name));
        let asked = Owner::new().with(|| ask(&chosen, Decision::Return, &Form::default()).to_html());
        for words in [r#"name="reference""#, r#"name="by""#, r#"value="20""#, "Who sent it back"] {
            assert!(asked.contains(words), "{words}: {asked}");
        }
        let typed = [(REFERENCE, "R<1>"), (BY, "bank"), (REASON, "recalled"), (AMOUNT, "20"), (DO, "return")];
        let typed = typed.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let form = Form { typed, ..Form::default() };
        let confirmed = Owner::new().with(|| confirm(&chosen, Decision::Return, "20".parse().ok(), &form).to_html()).replace("<!>", "");
        for words in [
            "Note that $20.00 went back?",
            "Bank reference: <bdi>R&lt;1&gt;</bdi>",
            "The bank, unasked",
            r#"name="by" value="bank""#,
            r#"name="reference" value="R"#,
        ] {
            assert!(confirmed.contains(words), "{words}: {confirmed}");
        }
    }
}
