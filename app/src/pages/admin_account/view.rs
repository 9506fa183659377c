use chrono::{DateTime, Utc};
use domain::{
    credit::{CreditLine, Mode},
    money::Amount,
};
use leptos::prelude::*;

use super::{
    fields::{self, GRACE, LENIENT, LENT, MODE, MODES, REVIEW, SEEN, STRICT, TERMS, UNTIL},
    page::AccountSettings,
};
use crate::{
    pages::Page,
    parts::{
        credit_line,
        form::{Field, Form, Tone, choice, hidden, notice},
        layout::{foreign, head, pairs, section, stack},
        money,
        table::{Column, Kind::Words, Row, table, text},
        time,
        whose::customer_ways,
    },
};

/// How a customer's calls are paid, and the form that sets it.
pub(crate) fn settings(page: &AccountSettings) -> AnyView {
    let AccountSettings { customer, line, next_grace, now, form, review, done, .. } = page;
    let path = format!("/admin/customers/{}/settings", customer.id);
    let about = view! { {customer.owner_email.as_deref().map_or_else(|| text("no owner"), foreign)}". Times are UTC." };
    let set = done.then(|| notice(Tone::Good, "It is set, and holds for every call that begins from now on."));
    let asked = review.map(|asked| match asked == in_force(line, *now) {
        true => notice(Tone::Plain, "Nothing differs from what is set already."),
        false => confirm(&path, page, &asked),
    });
    let rules = credit_line::rules(line, *now).into_iter().chain(credit_line::next_grace(*next_grace));
    let now_set = rules.map(|(name, words)| (name.to_owned(), text(words))).collect();
    let title = if review.is_some() { "Or change it" } else { "Change it" };
    stack(vec![
        head(view! { "Account settings of "{foreign(&customer.name)} }.into_any(), about.into_any(), ()),
        customer_ways(customer.id, Page::AccountSettings),
        set.into_any(),
        asked.into_any(),
        section("Set now", pairs("pairs said", now_set)),
        section(title, ask(path.clone(), line, *now, form)),
    ])
}

/// Without a grace that has ended: that is not set again.
fn in_force(line: &CreditLine, now: DateTime<Utc>) -> CreditLine {
    CreditLine { grace: line.grace.filter(|grace| now < grace.until), ..*line }
}

fn ask(path: String, line: &CreditLine, now: DateTime<Utc>, form: &Form) -> AnyView {
    let grace = in_force(line, now).grace;
    let or_nothing = |amount: Amount| if amount.is_zero() { String::new() } else { amount.to_string() };
    let modes = MODES.map(|mode| (mode.name().to_owned(), mode_label(mode).to_owned())).to_vec();
    let terms = [(STRICT, "Strict: at most what was held"), (LENIENT, "Lenient: all that it comes to")];
    let terms = terms.map(|(name, label)| (name.to_owned(), label.to_owned())).to_vec();
    view! {
        <form class="grid-form" method="get" action=path>
            {hidden(REVIEW, "yes")}
            {hidden(SEEN, seen(line, form))}
            {form.problem_view()}
            {choice(form, MODE, "What calls are paid from", modes, line.mode().name())}
            {Field::amount(LENT, "Credit line in US dollars")
                .hint("How far below zero the balance of a postpaid account may go.")
                .initial(or_nothing(line.amount))
                .view(form)}
            {choice(form, TERMS, "What a call costs beyond what was held for it", terms, if line.excess.is_charged() { LENIENT } else { STRICT })}
            {Field::amount(GRACE, "Grace in US dollars")
                .hint("Lent on top of it for a while, once a calendar month.")
                .initial(or_nothing(grace.map(|grace| grace.amount).unwrap_or_default()))
                .view(form)}
            {Field::new("datetime-local", UNTIL, "Grace until, UTC")
                .hint("What is owed then stays owed; no call starts below the credit line.")
                .initial(grace.map(|grace| grace.until.format("%Y-%m-%dT%H:%M").to_string()).unwrap_or_default())
                .view(form)}
            <button>"Review"</button>
        </form>
    }
    .into_any()
}

const fn mode_label(mode: Mode) -> &'static str {
    match mode {
        Mode::Prepaid => "Prepaid: the balance and credit",
        Mode::Postpaid => "Postpaid: also what is lent",
        Mode::Quota => "Quota: plans and packages alone",
    }
}

/// What was set when the form was filled; whoever was told that this is out of date goes by what is set now.
fn seen(line: &CreditLine, form: &Form) -> String {
    if form.problem.is_some() { fields::seen(line) } else { form.typed(SEEN).map_or_else(|| fields::seen(line), str::to_owned) }
}

/// Each term as it is and as it would be, what that does to the next call, and the one button that sets it.
fn confirm(path: &str, page: &AccountSettings, asked: &CreditLine) -> AnyView {
    const COLUMNS: [Column; 3] = [Column("Term", Words), Column("Now", Words), Column("From now on", Words)];
    let AccountSettings { customer, wallet, line, now, form, .. } = page;
    let rows = credit_line::rules(line, *now).into_iter().zip(credit_line::rules(asked, *now)).map(|((name, was), (_, will))| {
        let is_same = was == will;
        let changed = if is_same { text("Unchanged") } else { view! { <strong>{will}</strong> }.into_any() };
        Row { cells: vec![text(name), text(was), changed], faded: is_same }
    });
    let fields: Vec<_> = fields::ALL.into_iter().filter_map(|field| Some(hidden(field, form.typed(field)?.to_owned()))).collect();
    let back = path.to_owned();
    view! {
        <section class="review" aria-labelledby="review">
            <h2 id="review" tabindex="-1" autofocus=true>"Set this for "{foreign(&customer.name)}"?"</h2>
            {table("cards", &COLUMNS, rows.collect(), None)}
            <p class="subtitle prose">{effect(*wallet, asked, *now)}</p>
            <form class="row-form" method="post" action=path.to_owned()>
                {fields}
                {hidden(SEEN, seen(line, form))}
                <button class="primary">"Set it"</button>
                <a href=back rel="external">"Do nothing"</a>
            </form>
        </section>
    }
    .into_any()
}

/// What becomes of the balance that there is.
fn effect(balance: Amount, asked: &CreditLine, now: DateTime<Utc>) -> String {
    let is_below = asked.floor(now).get() > balance.nanos();
    let balance = money::exact(balance);
    if asked.is_quota {
        format!("Nothing is set yet. The prepaid balance is {balance}, and pays for no call once it is.")
    } else if is_below {
        format!(
            "Nothing is set yet. The prepaid balance is {balance}, below what would be lent: it pays for no call until that is made up."
        )
    } else {
        let end = asked.grace.map(|grace| format!(" The grace ends at {} UTC by itself.", time::minute(grace.until))).unwrap_or_default();
        format!("Nothing is set yet. The prepaid balance is {balance}. Running calls end as they began.{end}")
    }
}
