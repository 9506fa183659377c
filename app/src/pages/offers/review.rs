//! What a purchase would come to, and the one button that makes it.

use domain::{
    money::Amount,
    plan::{Bought, Quote, Subscription},
};
use leptos::prelude::*;

use super::{
    PATH,
    fields::{PLAN, VERSION},
};
use crate::parts::{
    form::{Form, Tone, hidden, notice_of},
    layout::{foreign, pairs},
    money, plan,
    table::{link, text},
    time,
};

/// The question with all that is to be known before it is answered.
pub(super) fn review(quote: &Quote, present: Option<&Subscription>, form: &Form) -> AnyView {
    let name = foreign(&quote.plan.name);
    let question = match (quote.bought, present) {
        (Bought::Then(_), _) => view! { "Change to “"{name}"” when the month is over?" }.into_any(),
        (Bought::Now(_), Some(_)) if quote.plan.terms.is_monthly() => view! { "Change to “"{name}"” now?" }.into_any(),
        (Bought::Now(_), _) => view! { "Buy “"{name}"”?" }.into_any(),
    };
    let missing = quote.missing();
    let decide = match missing {
        Some(missing) => lacking(missing),
        None => view! {
            <form class="row-form" method="post" action=PATH>
                {form.once_field()}
                {hidden(PLAN, quote.plan.id.to_string())}
                {hidden(VERSION, quote.plan.version.to_string())}
                <button class="primary">{button(quote)}</button>
                <a href=PATH rel="external">"Do nothing"</a>
            </form>
        }
        .into_any(),
    };
    view! {
        <section class="review" aria-labelledby="review">
            <h2 id="review" tabindex="-1" autofocus=true>{question}</h2>
            {pairs("pairs said", particulars(quote, present))}
            {decide}
        </section>
    }
    .into_any()
}

fn button(quote: &Quote) -> String {
    match quote.bought {
        Bought::Now(_) => format!("Buy for {}", money::exact(quote.due)),
        Bought::Then(_) => "Change then".to_owned(),
    }
}

/// How much more it takes, and where it is had.
fn lacking(missing: Amount) -> AnyView {
    let words = format!("The balance lacks {}. ", money::exact(missing));
    notice_of(Tone::Bad, view! { {words}{link("/billing".to_owned(), "Top up first")} }.into_any())
}

fn particulars(quote: &Quote, present: Option<&Subscription>) -> Vec<(String, AnyView)> {
    let Quote { plan: of, bought, credit, due, balance, room, now } = quote;
    let mut rows = vec![("Fee".to_owned(), text(plan::fee(&of.terms))), ("Gives".to_owned(), text(gives(quote)))];
    let is_change = of.terms.is_monthly() && matches!(bought, Bought::Now(_));
    if let Some(present) = present.filter(|_| is_change) {
        let words = format!(
            ": {} at {} UTC, the lesser part of the month and of the allowance that are left; a little less with every second",
            money::exact(*credit),
            time::second(*now)
        );
        rows.push(("Comes back".to_owned(), view! { "Of "{foreign(&present.plan.name)}{words} }.into_any()));
        rows.push(("Ends now".to_owned(), text("The allowance that there is: what is left of it lapses.")));
    }
    rows.push(("Charged now".to_owned(), text(money::exact(*due))));
    let after = quote.balance_after().map_or_else(String::new, money::exact);
    // What is not bought leaves the balance as it is.
    let balance_words =
        if due.is_zero() || quote.missing().is_some() { money::exact(*balance) } else { format!("{} → {after}", money::exact(*balance)) };
    rows.push(("Prepaid balance".to_owned(), text(balance_words)));
    if room < balance && *due > Amount::ZERO {
        let words = format!("{}: running calls hold the rest, and what is lent pays for no fee", money::exact(*room));
        rows.push(("Of it can pay".to_owned(), text(words)));
    }
    rows.push(("Then".to_owned(), text(then(quote))));
    rows
}

fn gives(quote: &Quote) -> String {
    let terms = &quote.plan.terms;
    let beyond = if terms.is_monthly() { format!("; beyond it {}", plan::beyond_inline(terms)) } else { String::new() };
    let discount = match plan::discount(terms.discount).as_str() {
        "None" => String::new(),
        discount => format!("; {discount} off every call at the price list's prices"),
    };
    let scope = terms.models.as_ref().map(|models| format!(" for {}", models.join(", "))).unwrap_or_default();
    let limits = plan::at_most(terms.limits).map(|limits| format!("; {limits}")).unwrap_or_default();
    // Who has spent much before it begins is refused at once.
    let counted = if terms.limits.money_a_month.is_some() { ", in which this month's calls count that came before it" } else { "" };
    format!("{} of credit{scope}{beyond}{discount}{limits}{counted}", plan::allowance(terms))
}

/// What comes when it is over.
fn then(quote: &Quote) -> String {
    let fee = money::exact(quote.plan.terms.fee);
    match (quote.bought, quote.plan.terms.is_monthly()) {
        (Bought::Now(until), true) => {
            format!(
                "It renews at {} UTC for {fee}, and so each month, until you end it. What is left of the allowance lapses.",
                time::minute(until)
            )
        }
        (Bought::Now(until), false) => format!("It ends at {} UTC; what is left of it lapses then.", time::minute(until)),
        (Bought::Then(from), _) => {
            format!("It begins at {} UTC for {fee}, and renews each month. Until then nothing changes.", time::minute(from))
        }
    }
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::{DateTime, TimeDelta, Utc};
    use domain::{
        credit::{Quantity, Unit},
        id::PlanId,
        plan::{Overage, Plan, PlanLimits, PlanTerms, Term},
        pricing::Discount,
    };

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn quote(due: &str, room: &str) -> Quote {
        let terms = PlanTerms {
            term: Term::Monthly,
            fee: "10".parse().unwrap(),
            unit: Unit::Money,
            allowance: Quantity::from_count(12_000_000_000),
            models: None,
            overage: Overage::Wallet,
            discount: Discount::NONE,
            limits: PlanLimits::NONE,
        };
        let plan = Plan { id: PlanId::new(NOW, [1; 10]), name: "<b>".to_owned(), version: 3, is_offered: true, terms };
        let bought = Bought::Now(NOW + TimeDelta::days(31));
        Quote {
            plan,
            bought,
            credit: Amount::ZERO,
            due: due.parse().unwrap(),
            balance: "8".parse().unwrap(),
            room: room.parse().unwrap(),
            now: NOW,
        }
    }

    fn html(quote: &Quote) -> String {
        let form = Form { once: "7".to_owned(), ..Form::default() };
        Owner::new().with(|| review(quote, None, &form).to_html()).replace("<!>", "")
    }

    #[test]
    fn what_is_charged_and_what_is_left_stand_beside_the_button() {
        let html = html(&quote("6.5", "6.5"));
        for words in
            ["Buy “<bdi>&lt;b&gt;</bdi>”?", "$8.00 → $1.50", "Buy for $6.50", r#"name="version" value="3""#, "running calls hold the rest"]
        {
            assert!(html.contains(words), "{words} is missing: {html}");
        }
    }

    #[test]
    fn what_a_plan_bounds_is_said_with_what_counts_in_it() {
        let mut quote = quote("6.5", "6.5");
        quote.plan.terms.limits = PlanLimits { requests_a_minute: Some(Quantity::from_count(60)), ..PlanLimits::NONE };
        assert!(gives(&quote).ends_with("; at most 60 requests per minute"), "{}", gives(&quote));
        quote.plan.terms.limits = PlanLimits { money_a_month: Some(Quantity::from_count(5_000_000_000)), ..PlanLimits::NONE };
        let expected = "; at most $5.00 per month, in which this month's calls count that came before it";
        assert!(gives(&quote).ends_with(expected), "{}", gives(&quote));
    }

    #[test]
    fn what_the_balance_lacks_stands_instead_of_the_button() {
        let html = html(&quote("6.5", "5"));
        assert!(html.contains("The balance lacks $1.50.") && html.contains(r#"href="/billing""#), "{html}");
        assert!(!html.contains("<button") && !html.contains("→"), "{html}");
    }
}
