//! Money that an operator moves: asked for in one form, shown whole, and confirmed in another.

use domain::{account::Customer, billing::Adjustment, money::Amount};
use leptos::prelude::*;

use super::page::{Movement, Review};
use crate::parts::{
    form::{Field, Form, choice, hidden},
    layout::{foreign, pairs, section, stack},
    money,
    table::text,
};

/// What is done.
pub(super) const HOW: &str = "how";
/// Of how much.
pub(super) const AMOUNT: &str = "amount";
/// What the bank calls a transfer.
pub(super) const REFERENCE: &str = "reference";
/// Why.
pub(super) const REASON: &str = "reason";
/// The customer's name, typed to confirm what is much.
pub(super) const NAME: &str = "name";
/// That it was looked at.
pub(super) const CONFIRMED: &str = "confirmed";

/// The form; before it, what it asked for, to be confirmed.
pub(super) fn money_form(path: &str, customer: &Customer, review: Option<&Review>, form: &Form) -> AnyView {
    let Some(review) = review else { return section("Move money", ask(path, form)) };
    // What is wrong by now is said of the name that was to be typed.
    let typed = Form { problem: None, ..form.clone() };
    stack(vec![confirm(path, customer, review, form), section("Or change it", ask(path, &typed))])
}

fn ask(path: &str, form: &Form) -> AnyView {
    let transfer = (Movement::TRANSFER.to_owned(), TRANSFER.to_owned());
    let choices = std::iter::once(transfer).chain(Adjustment::ALL.map(|how| (how.name().to_owned(), label(how).to_owned()))).collect();
    view! {
        <form class="row-form" method="post" action=path.to_owned()>
            {form.once_field()}
            {form.problem_view()}
            {choice(form, HOW, "What to do", choices, Adjustment::Credit.name())}
            {Field::amount(AMOUNT, "Amount in US dollars").required().view(form)}
            {Field::new("text", REFERENCE, "Bank reference").hint("Of a bank transfer, which needs it: as on the bank's statement.").view(form)}
            {Field::new("text", REASON, "Reason").hint("The customer reads it in their journal.").required().view(form)}
            <button>"Review"</button>
        </form>
    }
    .into_any()
}

/// Everything that is about to happen, and the one button that does it.
fn confirm(path: &str, customer: &Customer, review: &Review, form: &Form) -> AnyView {
    let amount = money::exact(review.amount);
    let after = review.how.moved(review.amount).and_then(|moved| customer.balance.checked_add(moved));
    let owner = customer.owner_email.as_deref().map_or_else(|| text("nobody"), foreign);
    let (what, class) = match &review.how {
        Movement::Transfer { .. } => (TRANSFER, "primary"),
        Movement::Adjust(Adjustment::Credit) => (label(Adjustment::Credit), "primary"),
        Movement::Adjust(how) => (label(*how), "danger"),
    };
    let mut particulars = vec![
        ("Customer".to_owned(), foreign(&customer.name)),
        ("Owner".to_owned(), owner),
        (what.to_owned(), text(amount.clone())),
        ("Balance".to_owned(), text(format!("{} → {}", money::exact(customer.balance), after.map_or_else(String::new, money::exact)))),
    ];
    let reference = if let Movement::Transfer { reference } = &review.how { Some(reference) } else { None };
    particulars.extend(reference.map(|reference| ("Bank reference".to_owned(), foreign(reference))));
    particulars.push(("Reason".to_owned(), foreign(&review.reason)));
    let paper = match reference {
        Some(_) => "It counts as paid, and a receipt is issued of it. What is paid back of it is noted under Payments.",
        None => "What is posted stays in the books for ever; the opposite can be posted beside it.",
    };
    let name = review.needs_name.then(|| {
        let hint = "This is more than one posting may be without it. Type the name as it stands above.";
        Field::new("text", NAME, "The customer's name").hint(hint).required().view(form)
    });
    view! {
        <section class="review" aria-labelledby="review">
            <h2 id="review" tabindex="-1" autofocus=!review.needs_name>{question(&review.how, &amount, &customer.name)}</h2>
            {pairs("pairs", particulars)}
            <p class="subtitle">"Nothing is posted yet. "{paper}</p>
            <form class="row-form" method="post" action=path.to_owned()>
                {form.once_field()}
                {hidden(CONFIRMED, "yes")}
                {hidden(HOW, review.how.name())}
                {hidden(AMOUNT, review.amount.to_string())}
                {hidden(REASON, review.reason.clone())}
                {reference.map(|reference| hidden(REFERENCE, reference.clone()))}
                {name}
                <button class=class>{button(&review.how, review.amount)}</button>
                <a href=path.to_owned() rel="external">"Do nothing"</a>
            </form>
        </section>
    }
    .into_any()
}

const TRANSFER: &str = "Credit a bank transfer";

const fn label(how: Adjustment) -> &'static str {
    match how {
        Adjustment::Credit => "Give credit",
        Adjustment::TakeBack => "Take credit back",
        Adjustment::Refund => "Refund, paid out elsewhere",
    }
}

fn question(how: &Movement, amount: &str, name: &str) -> AnyView {
    let (before, after) = match how {
        Movement::Transfer { .. } => (format!("Credit a bank transfer of {amount} to "), "?"),
        Movement::Adjust(Adjustment::Credit) => (format!("Give {amount} to "), "?"),
        Movement::Adjust(Adjustment::TakeBack) => (format!("Take {amount} back from "), "?"),
        Movement::Adjust(Adjustment::Refund) => (format!("Note a refund of {amount} to "), "?"),
    };
    view! { {before}{foreign(name)}{after} }.into_any()
}

fn button(how: &Movement, amount: Amount) -> String {
    let amount = money::exact(amount);
    match how {
        Movement::Transfer { .. } => format!("Credit {amount}"),
        Movement::Adjust(Adjustment::Credit) => format!("Give {amount}"),
        Movement::Adjust(Adjustment::TakeBack) => format!("Take {amount} back"),
        Movement::Adjust(Adjustment::Refund) => format!("Post the refund of {amount}"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{account::AccountState, id::AccountId};

    use super::*;

    fn html(review: Option<Review>) -> String {
        let created_at = "2026-11-23T10:04:05Z".parse().unwrap();
        let customer = Customer {
            id: AccountId::new(created_at, [1; 10]),
            name: "Acme".to_owned(),
            owner_email: Some("ada@example.com".to_owned()),
            state: AccountState::Active,
            plan: None,
            created_at,
            balance: "15.98".parse().unwrap(),
            reserved: Amount::ZERO,
            spent_30_days: Amount::ZERO,
            written_off_30_days: Amount::ZERO,
        };
        let form = Form { once: "7".to_owned(), ..Form::default() };
        Owner::new().with(|| money_form("/here", &customer, review.as_ref(), &form).to_html()).replace("<!>", "")
    }

    #[test]
    fn what_is_about_to_happen_is_named_whole_before_it_does() {
        let review = |how, needs_name| Some(Review { how, amount: "1000".parse().unwrap(), reason: "Sorry".to_owned(), needs_name });
        let give = html(review(Movement::Adjust(Adjustment::Credit), false));
        for text in
            ["Give $1,000.00 to <bdi>Acme</bdi>?", "<bdi>ada@example.com</bdi>", "$15.98 → $1,015.98", "<bdi>Sorry</bdi>", r#"value="7""#]
        {
            assert!(give.contains(text), "{text} is missing: {give}");
        }
        assert!(give.contains(r#"name="confirmed" value="yes""#) && !give.contains(r#"name="name""#), "{give}");
        let take = html(review(Movement::Adjust(Adjustment::TakeBack), true));
        assert!(take.contains("$15.98 → −$984.02") && take.contains(r#"name="name""#), "{take}");
        let transfer = html(review(Movement::Transfer { reference: "SEPA 7".to_owned() }, false));
        assert!(transfer.contains("<bdi>SEPA 7</bdi>") && transfer.contains(r#"name="reference" value="SEPA 7""#), "{transfer}");
        assert!(transfer.contains("a receipt is issued") && transfer.contains("$15.98 → $1,015.98"), "{transfer}");
        assert!(!html(None).contains("confirmed"), "what nobody looked at cannot be confirmed");
    }
}
