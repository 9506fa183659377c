use chrono::{DateTime, Utc};
use domain::{
    billing::Balance,
    credit::{LimitState, Mode},
    money::Amount,
    payment::PaymentState,
    pricing::Excess,
};
use leptos::prelude::*;

use super::{
    held,
    page::{Billing, Payment, Returned},
};
use crate::{
    pages::limits::address,
    parts::{
        again,
        credit::{self, Posted},
        form::{Field, Form, Tone, notice, notice_of},
        layout::{drawn, head, section, stack},
        limit, money,
        table::{link, table},
        whose::Whose,
    },
};

/// Credit and books.
pub(crate) fn billing(page: Billing, whose: &Whose) -> AnyView {
    let Billing { balance, journal, held, limits, now, done, returned, payment, form, more } = page;
    stack(vec![
        head("Billing", rule(&balance), ()),
        done.map(|posted| receipt_of(posted, &balance)).into_any(),
        returned.map(|returned| outcome(returned, &balance)).into_any(),
        held::outcome(&held).into_any(),
        credit::balance(&balance),
        held::rules(&balance, &held, now),
        held::plans(&held, now, &form),
        paying_in(&balance, payment, &form),
        (!more.is_empty()).then(|| drawn(more)).into_any(),
        section("Credit", credit::grants(&balance.grants)),
        bounds(&limits, now, whose),
        documents(whose),
        section("Journal", drawn(journal)),
    ])
}

/// When a call starts. What is held for one is the most that it can cost, unless the account pays also what it costs beyond that.
const fn rule(balance: &Balance) -> &'static str {
    match balance.excess {
        _ if matches!(balance.mode, Mode::Quota) => {
            "Calls are paid from plans, packages and promotional credit alone; the balance pays for none. A call starts only if one of them covers \
             the most it could take. Times are UTC."
        }
        Excess::WrittenOff => "A call starts only if the credit that is available covers the most it could cost. Times are UTC.",
        Excess::Charged => "A call starts only if the credit that is available covers what is held for it. Times are UTC.",
    }
}

/// The way to what is on paper.
fn documents(whose: &Whose) -> AnyView {
    let way = link(whose.at("/billing/documents"), "Receipts, invoices and monthly statements");
    section("Documents", view! { <p>{way}</p> }.into_any())
}

/// What was just paid or redeemed, read from the books and not from the address.
fn receipt_of(Posted { amount, again }: Posted, balance: &Balance) -> AnyView {
    let amount = money::exact(amount);
    let message = if again {
        format!("{amount} had already been added: the form was sent twice, and counted once.")
    } else {
        format!("{amount} added. The balance is now {}.", money::exact(balance.balance))
    };
    notice(Tone::Good, message)
}

/// What has become of a payment, as far as it is known. While it is not, the page looks again.
fn outcome(returned: Returned, balance: &Balance) -> AnyView {
    let Returned { id, amount, state, is_cancelled, is_fresh } = returned;
    let amount = money::exact(amount);
    match state {
        PaymentState::Credited => notice(Tone::Good, format!("{amount} added. The balance is now {}.", money::exact(balance.balance))),
        PaymentState::Ended => notice(Tone::Plain, format!("Nothing was paid of the {amount}, and nothing was added.")),
        PaymentState::Held => notice(
            Tone::Bad,
            format!("Your payment of {amount} has arrived, and the operator must look at it before it is credited. It is payment {id}."),
        ),
        PaymentState::Dismissed => {
            notice(Tone::Bad, format!("Your payment of {amount} was not credited. Ask the operator about payment {id}."))
        }
        PaymentState::Pending if is_cancelled => notice(
            Tone::Plain,
            format!("The payment of {amount} was not completed, and nothing was added. Start again below whenever you like."),
        ),
        PaymentState::Pending => {
            if is_fresh {
                again::soon();
            }
            let words = format!("The payment of {amount} is not confirmed yet. It is added as soon as Stripe says that it is paid. ");
            notice_of(Tone::Plain, view! { {words} {link(format!("/billing?payment={id}"), "Look again")} }.into_any())
        }
    }
}

/// What keeps calls from using all of it: those of single keys stand with the keys.
fn bounds(limits: &[LimitState], now: DateTime<Utc>, whose: &Whose) -> AnyView {
    if limits.is_empty() {
        return ().into_any();
    }
    let rows = limits.iter().map(|state| Vec::from(limit::cells(state, now, whose)).into());
    let way = link(whose.at(&address(None)), "Limits of the account");
    section("Limits", stack(vec![table("cards", &limit::COLUMNS, rows.collect(), None), way]))
}

/// Where what is paid in pays for no call.
fn of_no_use(balance: &Balance) -> AnyView {
    let words =
        "The balance pays for no call of this account: plans, packages and promotional credit do. Ask the operator for more of these.";
    (balance.mode == Mode::Quota).then(|| notice(Tone::Plain, words)).into_any()
}

/// How credit comes in, for whoever it concerns.
fn paying_in(balance: &Balance, payment: Payment, form: &Form) -> AnyView {
    if payment == Payment::None { ().into_any() } else { section("Top up", stack(vec![of_no_use(balance), top_up(payment, form)])) }
}

fn top_up(payment: Payment, form: &Form) -> AnyView {
    match payment {
        Payment::None => ().into_any(),
        Payment::ByOperator => notice(
            Tone::Plain,
            "No payment provider is set up. Top-ups are made by the operator of this gateway: ask them, and the credit appears here with their reason.",
        ),
        Payment::NotAllowed => notice(Tone::Plain, "Only an owner of this account can top it up."),
        Payment::Stripe { is_test, smallest, largest } => stripe(is_test, (smallest, largest), form),
        Payment::Test => view! {
            <form class="row-form" method="post" action="/billing">
                {form.once_field()}
                {form.problem_view()}
                {Field::amount("amount", "Amount in US dollars")
                    .initial("25.00")
                    .hint("A test payment: no card, no money. It exists because this is a demo.")
                    .required()
                    .view(form)}
                <button class="primary">"Make a test payment"</button>
            </form>
        }
        .into_any(),
    }
}

/// What people often pay, in units.
const PRESETS: [i64; 3] = [10, 25, 100];

/// The amount of one's own comes first: that is what Enter sends.
fn stripe(is_test: bool, (smallest, largest): (Amount, Amount), form: &Form) -> AnyView {
    let range = format!(
        "From {} to {}. You pay on Stripe's page; no card number reaches this gateway.",
        money::exact(smallest),
        money::exact(largest)
    );
    let presets = PRESETS.into_iter().filter_map(Amount::from_units).filter(|amount| (smallest..=largest).contains(amount));
    let presets = presets.map(|amount| view! { <button name="preset" value=amount.to_string() formnovalidate=true>{format!("Pay {}", money::exact(amount))}</button> });
    let notice =
        is_test.then(|| notice(Tone::Plain, "Stripe's test mode: no card is charged, and no real money is paid. Use Stripe's test cards."));
    let form = view! {
        <form class="row-form" method="post" action="/billing">
            {form.once_field()}
            {form.problem_view()}
            {Field::amount("amount", "Amount in US dollars").hint(range).required().view(form)}
            <button class="primary">"Continue to Stripe"</button>
            <div class="presets" role="group" aria-label="Usual amounts">{presets.collect_view()}</div>
        </form>
    };
    stack(notice.into_iter().chain([form.into_any()]).collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::credit::CreditLine;

    use super::*;

    fn page(payment: Payment, done: Option<Posted>) -> String {
        page_of(Excess::WrittenOff, payment, done)
    }

    fn page_of(excess: Excess, payment: Payment, done: Option<Posted>) -> String {
        let data = Billing {
            balance: Balance { balance: "29.5".parse().unwrap(), excess, ..Balance::default() },
            journal: String::new(),
            held: held::Held {
                next_grace: None,
                line: CreditLine { excess, ..CreditLine::default() },
                subscription: None,
                packages: vec![],
                is_offered: false,
                can_buy: true,
                done: None,
            },
            limits: vec![],
            now: "2026-11-23T10:04:05Z".parse().unwrap(),
            done,
            returned: None,
            payment,
            form: Form { once: "0".to_owned(), ..Form::default() },
            more: String::new(),
        };
        Owner::new().with(|| billing(data, &Whose::Own).to_html())
    }

    #[test]
    fn without_a_payment_provider_there_is_no_form_and_the_page_says_why() {
        let html = page(Payment::ByOperator, None);
        assert!(html.contains("No payment provider is set up") && !html.contains("<form"));
        assert!(page(Payment::Test, None).contains("no card, no money"));
    }

    #[test]
    fn with_stripe_enter_sends_the_amount_of_ones_own_and_test_keys_say_so() {
        let of = |is_test| page(Payment::Stripe { is_test, smallest: "20".parse().unwrap(), largest: "50".parse().unwrap() }, None);
        let (test, live) = (of(true), of(false));
        assert!(test.contains("no real money is paid") && !live.contains("no real money is paid"));
        let (own, usual) = (live.find("Continue to Stripe").unwrap(), live.find("Pay $25.00").unwrap());
        assert!(own < usual, "Enter takes the first button");
        assert!(!live.contains("Pay $10.00") && !live.contains("Pay $100.00"), "what cannot be paid is not offered");
    }

    #[test]
    fn only_what_is_credited_is_called_added() {
        let balance = Balance { balance: "29.5".parse().unwrap(), ..Balance::default() };
        for (state, is_cancelled, words) in [
            (PaymentState::Credited, true, "$25.00 added. The balance is now $29.50."),
            (PaymentState::Pending, false, "is not confirmed yet"),
            (PaymentState::Pending, true, "was not completed"),
            (PaymentState::Ended, false, "Nothing was paid"),
            (PaymentState::Held, false, "the operator must look at it"),
            (PaymentState::Dismissed, false, "was not credited"),
        ] {
            let (id, amount) = (domain::id::PaymentId::from_uuid(uuid::Uuid::nil()), "25".parse().unwrap());
            let returned = Returned { id, amount, state, is_cancelled, is_fresh: false };
            let html = Owner::new().with(|| outcome(returned, &balance).to_html());
            assert!(html.contains(words) && (html.contains("$25.00 added.") == (state == PaymentState::Credited)), "{html}");
        }
    }

    #[test]
    fn only_of_a_strict_account_the_most_that_a_call_could_cost_is_covered() {
        let [strict, lenient] = [Excess::WrittenOff, Excess::Charged].map(|excess| page_of(excess, Payment::Test, None));
        assert!(strict.contains("covers the most it could cost") && !strict.contains("beyond what was held"), "{strict}");
        assert!(lenient.contains("covers what is held for it") && lenient.contains("also beyond what was held for them"), "{lenient}");
        assert!(!lenient.contains("the most it could cost"), "{lenient}");
    }

    #[test]
    fn what_was_paid_is_said_once_however_often_the_form_was_sent() {
        let done = |again| page(Payment::Test, Some(Posted { amount: "25".parse().unwrap(), again }));
        assert!(done(false).contains("$25.00 added. The balance is now $29.50."));
        assert!(done(true).contains("counted once"));
        assert!(!page(Payment::Test, None).contains("added."));
    }
}
