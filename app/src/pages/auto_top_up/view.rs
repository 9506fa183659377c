use chrono::{DateTime, Months, Utc};
use domain::{payment::AutoTopUp, period::Period};
use leptos::prelude::*;

use super::{
    PATH,
    api::Page,
    fields::{AMOUNT, CAP, CARD, DO, OFF, ON, PORTAL, THRESHOLD},
};
use crate::parts::{
    form::{Field, Form, Tone, hidden, notice},
    layout::{head, pairs, section, stack},
    money,
    table::{link, text},
    time,
};

/// How the account is topped up by itself, and the forms that change it.
pub(crate) fn page(page: &Page) -> AnyView {
    let Page { auto, now, is_done, form, .. } = page;
    let auto = auto.as_ref();
    let done = auto.filter(|_| *is_done).map(|auto| {
        let words = if auto.terms.is_on { "It is on, as it stands below." } else { "It is off: nothing is paid by itself any more." };
        notice(Tone::Good, words)
    });
    let about = stack(vec![
        text("A saved card pays when the balance becomes too low. Months are UTC. "),
        link("/billing".to_owned(), "Back to Billing"),
    ]);
    stack(vec![
        head("Auto top-up", about, ()),
        form.problem_view(),
        done.into_any(),
        auto.map(|auto| stack(vec![trouble(auto, *now), section("Now", state(auto))])).into_any(),
        section(if auto.is_some_and(|auto| auto.terms.is_on) { "Change it" } else { "Turn it on" }, ask(page)),
        auto.map(|auto| section("Card", card(auto, form))).into_any(),
    ])
}

/// What keeps it from paying, and what to do.
fn trouble(auto: &AutoTopUp, now: DateTime<Utc>) -> AnyView {
    if !auto.terms.is_on {
        return ().into_any();
    }
    if let Some((since, why)) = &auto.stopped {
        let words = format!(
            "Auto top-up has stopped on {} UTC: {why} Nothing is paid until you turn it on again in its settings, or save another card there. You can also top up by hand.",
            time::minute(*since)
        );
        return notice(Tone::Bad, words);
    }
    if auto.held {
        return notice(Tone::Bad, "A payment of yours waits for the operator; nothing more is paid by itself until they decide.");
    }
    if auto.method.is_none() {
        return notice(Tone::Bad, "No card is saved yet: nothing is paid by itself until one is.");
    }
    if auto.is_capped() {
        let next = Period::ThisMonth.range(now).from.checked_add_months(Months::new(1)).map(time::day).unwrap_or_default();
        return notice(
            Tone::Plain,
            format!("This month's cap leaves no room for another payment: it goes on on {next}, or with a higher cap."),
        );
    }
    ().into_any()
}

fn state(auto: &AutoTopUp) -> AnyView {
    let terms = auto.terms;
    let rows = [
        (
            "Auto top-up",
            if auto.stopped.is_some() && terms.is_on {
                "Stopped"
            } else if auto.held && terms.is_on {
                "Waits for the operator"
            } else if terms.is_on {
                "On"
            } else {
                "Off"
            }
            .to_owned(),
        ),
        ("When the balance is below", money::exact(terms.threshold)),
        ("It pays", money::exact(terms.amount)),
        ("Paid this month", format!("{} of at most {}", money::exact(auto.this_month), money::exact(terms.monthly_cap))),
        ("Under way", auto.pending.map_or_else(|| "Nothing".to_owned(), money::exact)),
        ("Card", auto.method.clone().unwrap_or_else(|| "None".to_owned())),
    ];
    pairs("pairs said", rows.map(|(name, words)| (name.to_owned(), text(words))).into())
}

fn ask(page: &Page) -> AnyView {
    let Page { auto, range: (smallest, largest), form, .. } = page;
    let initial = |of: fn(&AutoTopUp) -> domain::money::Amount, else_: &str| {
        auto.as_ref().map_or_else(|| else_.to_owned(), |auto| of(auto).to_string())
    };
    let is_on = auto.as_ref().is_some_and(|auto| auto.terms.is_on && auto.stopped.is_none());
    let button = match auto {
        Some(auto) if auto.method.is_some() && is_on => "Save",
        Some(auto) if auto.method.is_some() => "Turn on",
        _ => "Turn on and save a card at Stripe",
    };
    let range = format!("From {} to {}.", money::exact(*smallest), money::exact(*largest));
    let off = auto.as_ref().filter(|auto| auto.terms.is_on).map(|_| {
        view! {
            <form class="row-form" method="post" action=PATH>{form.once_field()}{hidden(DO, OFF)}<button>"Turn off"</button></form>
        }
    });
    view! {
        <p class="subtitle prose">
            "By turning it on you let this gateway charge the saved card by these terms while you are not there. A payment that is declined stops it."
        </p>
        <form class="grid-form" method="post" action=PATH>
            {form.once_field()}
            {hidden(DO, ON)}
            {Field::amount(THRESHOLD, "When the balance is below, in US dollars").initial(initial(|auto| auto.terms.threshold, "5")).required().view(form)}
            {Field::amount(AMOUNT, "Pay, in US dollars").initial(initial(|auto| auto.terms.amount, "25")).hint(range).required().view(form)}
            {Field::amount(CAP, "At most in a month, in US dollars")
                .hint("Whatever the balance: beyond it nothing is paid by itself.")
                .initial(initial(|auto| auto.terms.monthly_cap, "100"))
                .required()
                .view(form)}
            <button class="primary">{button}</button>
        </form>
        {off}
    }
    .into_any()
}

fn card(auto: &AutoTopUp, form: &Form) -> AnyView {
    let words = if auto.method.is_some() { "Use another card" } else { "Save a card" };
    view! {
        <p>{auto.method.clone().map_or_else(|| "No card is saved.".to_owned(), |method| format!("Stripe keeps it: {method}. No card number reaches this gateway."))}</p>
        <form class="row-form" method="post" action=PATH>{form.once_field()}{hidden(DO, CARD)}<button>{words}</button></form>
    }
    .into_any()
}

/// What Billing says of it.
pub(crate) fn summary(auto: Option<&AutoTopUp>, form: &Form, now: DateTime<Utc>) -> AnyView {
    let words = match auto.filter(|auto| auto.terms.is_on) {
        None => "Off: have a saved card pay before the balance runs out.".to_owned(),
        Some(auto) => {
            let terms = auto.terms;
            let by = auto.method.as_ref().map(|method| format!(" by {method}")).unwrap_or_default();
            let (amount, threshold) = (money::exact(terms.amount), money::exact(terms.threshold));
            let paid = format!("{} of at most {}", money::exact(auto.this_month), money::exact(terms.monthly_cap));
            format!("When the balance is below {threshold}, {amount} is paid{by}. This month: {paid}.")
        }
    };
    let way = link(PATH.to_owned(), if auto.is_some() { "Auto top-up settings" } else { "Set up auto top-up" });
    let portal = auto.filter(|auto| auto.customer.is_some()).map(|_| {
        view! {
            <form class="row-form" method="post" action=PATH>{form.once_field()}{hidden(DO, PORTAL)}<button>"Cards and receipts at Stripe"</button></form>
        }
    });
    section(
        "Auto top-up",
        stack(vec![auto.map(|auto| trouble(auto, now)).into_any(), view! { <p>{words}" "{way}</p> }.into_any(), portal.into_any()]),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::payment::AutoTerms;

    use super::*;

    fn auto() -> AutoTopUp {
        let amount = |text: &str| text.parse().unwrap();
        AutoTopUp {
            terms: AutoTerms { is_on: true, threshold: amount("5"), amount: amount("20"), monthly_cap: amount("50") },
            customer: Some("cus_1".to_owned()),
            method: Some("visa ending in 4242".to_owned()),
            this_month: amount("20"),
            pending: None,
            held: false,
            stopped: None,
        }
    }

    fn html(auto: &AutoTopUp) -> String {
        let now = "2026-12-23T10:04:05Z".parse().unwrap();
        Owner::new().with(|| summary(Some(auto), &Form::default(), now).to_html())
    }

    #[test]
    fn what_keeps_it_from_paying_is_said_with_what_to_do() {
        assert!(
            html(&auto())
                .contains("When the balance is below $5.00, $20.00 is paid by visa ending in 4242. This month: $20.00 of at most $50.00.")
        );
        let stopped =
            AutoTopUp { stopped: Some(("2026-12-20T10:04:05Z".parse().unwrap(), "Your card was declined.".to_owned())), ..auto() };
        assert!(
            html(&stopped).contains("Auto top-up has stopped on 20 Dec 2026, 10:04 UTC: Your card was declined. Nothing is paid until you")
        );
        let capped = AutoTopUp { this_month: "40".parse().unwrap(), ..auto() };
        assert!(html(&capped).contains("it goes on on 1 Jan 2027"));
        assert!(html(&AutoTopUp { held: true, ..auto() }).contains("A payment of yours waits for the operator"));
        assert!(html(&AutoTopUp { method: None, ..auto() }).contains("No card is saved yet"));
        let off = AutoTopUp { terms: AutoTerms { is_on: false, ..auto().terms }, ..stopped };
        assert!(!html(&off).contains("has stopped"));
    }
}
