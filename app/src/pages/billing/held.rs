//! How an account's calls are paid, its plan and its packages, in words.

use chrono::{DateTime, Utc};
use domain::{
    billing::Balance,
    credit::{CreditLine, Mode},
    money::Amount,
    plan::{HeldPackage, Plan, Subscription},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    pages::offers::{PATH, end::end_form, fields::KEEP},
    parts::{
        credit_line,
        form::{Form, Tone, hidden, notice_of},
        layout::{empty, foreign, pairs, section, stack},
        money, plan,
        table::{
            Column,
            Kind::{Figures, Words},
            name, table, text, with_note,
        },
        time,
    },
};

/// What the account has beside its balance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Held {
    /// What is lent to it, and by which terms.
    pub(crate) line: CreditLine,
    /// When the next grace may begin, where one has begun this month.
    pub(crate) next_grace: Option<DateTime<Utc>>,
    /// Its plan.
    pub(crate) subscription: Option<Subscription>,
    /// Its packages.
    pub(crate) packages: Vec<HeldPackage>,
    /// Whether there is anything that it may buy.
    pub(crate) is_offered: bool,
    /// Whether the visitor may buy, and end what was bought.
    pub(crate) can_buy: bool,
    /// What was just done to it.
    pub(crate) done: Option<Done>,
}

/// What was done to a plan or a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Done {
    /// It was bought, or is to follow.
    Bought,
    /// It is to end.
    Ended,
    /// It stays.
    Kept,
}

impl Done {
    /// Every one with its name in an address.
    #[cfg(feature = "ssr")]
    pub(crate) const NAMES: [(Self, &str); 3] = [(Self::Bought, "bought"), (Self::Ended, "ended"), (Self::Kept, "kept")];
}

/// What was just done, as far as what the account has bears it out.
pub(super) fn outcome(held: &Held) -> Option<AnyView> {
    let day = |at| time::minute(at);
    let plan = held.subscription.as_ref();
    let words = match (held.done?, plan) {
        (Done::Bought, Some(Subscription { next: Some(next), period, .. })) => {
            view! { "From "{day(period.to)}" UTC on: "{foreign(&next.name)}". Until then nothing changes." }.into_any()
        }
        (Done::Bought, _) if plan.is_some() || !held.packages.is_empty() => text("It is bought. What you have now stands below."),
        (Done::Ended, Some(Subscription { ends: true, plan, period, .. })) => {
            view! { {foreign(&plan.name)}" ends at "{day(period.to)}" UTC. Until then nothing changes." }.into_any()
        }
        (Done::Kept, Some(Subscription { ends: false, next: None, plan, period, .. })) => {
            view! { {foreign(&plan.name)}" stays, and renews at "{day(period.to)}" UTC." }.into_any()
        }
        _ => return None,
    };
    Some(notice_of(Tone::Good, words))
}

/// What calls are paid from, and what that means for the next one.
pub(super) fn rules(balance: &Balance, held: &Held, now: DateTime<Utc>) -> AnyView {
    let next = ("The next call", next_call(balance, now));
    let rows = credit_line::rules(&held.line, now)
        .into_iter()
        .chain(credit_line::next_grace(held.next_grace))
        .chain([next])
        .map(|(name, words)| (name.to_owned(), text(words)));
    section("How calls are paid", pairs("pairs said", rows.collect()))
}

fn next_call(balance: &Balance, now: DateTime<Utc>) -> String {
    let in_tokens = balance.in_tokens().any(|grant| grant.in_force(now) && grant.leased < grant.balance);
    let available = money::exact(balance.available);
    match (balance.available > Amount::ZERO, in_tokens) {
        (true, true) => {
            format!("Starts if the tokens below cover it whole, or {available} do; smaller answers are asked for before it is refused.")
        }
        (true, false) => format!("Starts if {available} cover it; smaller answers are asked for before it is refused."),
        (false, true) => "Starts if the tokens below cover it whole; otherwise it is refused.".to_owned(),
        (false, false) if balance.mode == Mode::Quota => "Is refused unless it is free: no allowance is left.".to_owned(),
        (false, false) => "Is refused unless it is free: nothing is available.".to_owned(),
    }
}

/// The plan, the packages, and the way to others.
pub(super) fn plans(held: &Held, now: DateTime<Utc>, form: &Form) -> AnyView {
    let Held { subscription, packages, is_offered, can_buy, .. } = held;
    if subscription.is_none() && packages.is_empty() && !is_offered {
        return ().into_any();
    }
    let words = if subscription.is_some() { "Change plan or buy a package" } else { "Choose a plan or buy a package" };
    let way = is_offered.then(|| if *can_buy { words } else { "See plans and packages" });
    let way = way.map(|words| view! { <p><a class="button" href=PATH>{words}</a></p> });
    let plan = match subscription {
        Some(subscription) => stack(vec![present(subscription, now), can_buy.then(|| choices(subscription, form)).into_any()]),
        None => empty("There is no plan: calls are paid one by one.", ()),
    };
    let packages = (!packages.is_empty()).then(|| section("Packages", package_table(packages)));
    stack(vec![section("Plan", stack(vec![plan, way.into_any()])), packages.into_any()])
}

fn present(subscription: &Subscription, now: DateTime<Utc>) -> AnyView {
    let Subscription { plan, period, left, .. } = subscription;
    let Plan { name, version, terms, .. } = plan;
    let of = format!("{} of {}", plan::quantity(*left, terms.unit), plan::quantity(terms.allowance, terms.unit));
    let scope = terms.models.as_ref().map(|models| format!(" for {}", models.join(", "))).unwrap_or_default();
    let over = now >= period.to;
    let mut rows = vec![
        ("Plan".to_owned(), view! { {foreign(name)}{format!(", version {version}")} }.into_any()),
        ("Left of the allowance".to_owned(), text(if over { "Nothing: the month is over".to_owned() } else { format!("{of}{scope}") })),
        ("What follows".to_owned(), follows(subscription)),
        ("Beyond the allowance".to_owned(), text(plan::beyond(terms))),
        ("Discount on calls".to_owned(), text(plan::discount(terms.discount))),
    ];
    if let Some(since) = subscription.unpaid_since {
        rows.push(("Not paid".to_owned(), text(unpaid(subscription, since))));
    }
    pairs("pairs said", rows)
}

/// When it renews and for how much, or what comes instead.
fn follows(subscription: &Subscription) -> AnyView {
    let Subscription { plan, period, next, ends, .. } = subscription;
    let at = format!("{} UTC", time::minute(period.to));
    match (ends, next) {
        (true, _) => text(format!("It ends at {at}. What is left of the allowance lapses then, and nothing is charged.")),
        (false, Some(next)) => {
            view! { "At "{at}" it is followed by "{foreign(&next.name)}{format!(" for {}.", plan::fee(&next.terms))} }.into_any()
        }
        (false, None) => text(format!(
            "It renews at {at} for {}, out of the balance; what is left of the allowance lapses then.",
            money::exact(plan.terms.fee)
        )),
    }
}

fn unpaid(subscription: &Subscription, since: DateTime<Utc>) -> String {
    let fee = subscription.next.as_ref().unwrap_or(&subscription.plan).terms.fee;
    format!(
        "Since {} UTC the balance does not cover the fee of {}. Top up, and a whole month begins; a week after that instant the plan ends.",
        time::minute(since),
        money::exact(fee)
    )
}

/// Ends it, or keeps what was to end or to be followed by another.
fn choices(subscription: &Subscription, form: &Form) -> AnyView {
    if subscription.ends || subscription.next.is_some() {
        return view! {
            <form method="post" action=PATH>
                {form.once_field()}
                {hidden(KEEP, subscription.plan.id.to_string())}
                <button><span>"Keep "{foreign(&subscription.plan.name)}</span></button>
            </form>
        }
        .into_any();
    }
    end_form(subscription, form)
}

fn package_table(packages: &[HeldPackage]) -> AnyView {
    const COLUMNS: [Column; 3] = [Column("Package", Words), Column("Left", Figures), Column("Ends", Words)];
    let rows = packages.iter().map(|HeldPackage { plan: Plan { name: called, terms, .. }, left, until, .. }| {
        let scope = terms.models.as_ref().map(|models| format!("for {}", models.join(", "))).unwrap_or_default();
        vec![
            with_note(name(called), scope),
            with_note(text(plan::quantity(*left, terms.unit)), format!("of {}", plan::quantity(terms.allowance, terms.unit))),
            time::time_view(*until, format!("{} UTC", time::minute(*until))),
        ]
        .into()
    });
    table("cards", &COLUMNS, rows.collect(), None)
}
