use chrono::{DateTime, Utc};
use domain::code::{Batch, BatchTerms, CodeKind};
use leptos::prelude::*;

use super::{
    FreshCodes, PATH,
    fields::{self, AMOUNT, CODES, CREDIT_DAYS, EXPIRES, KIND, NAME, ONE, REVIEW, REVOKE, SEVERAL, SOLE, USES, label},
    page::Codes,
};
use crate::{
    parts::{
        confirm::confirm,
        form::{Field, Form, Tone, choice, hidden, notice_of},
        layout::{empty, foreign, head, pairs, section, stack},
        money,
        table::{
            Column,
            Kind::{Action, Figures, Words},
            Row, name, table, text, with_note,
        },
        time,
    },
    server::csv,
};

/// The batches, and the form for another.
pub(crate) fn codes(page: &Codes) -> AnyView {
    let about = "Codes that give credit to whoever redeems them under Billing. Each is shown once, as it is made. Times are UTC.";
    let revoked = page.revoked.as_ref().map(|batch| {
        let words = " is revoked: none of its codes is redeemed any more. What was redeemed stays.";
        notice_of(Tone::Good, view! { "“"{foreign(&batch.terms.name)}"”"{words} }.into_any())
    });
    let asked = page.review.as_ref().map(|terms| confirm_batch(terms, &page.form));
    let title = if asked.is_some() { "Or change it" } else { "New batch" };
    stack(vec![
        head("Codes", about, ()),
        revoked.into_any(),
        page.fresh.as_ref().map(fresh).into_any(),
        asked.into_any(),
        section("Batches", list(page)),
        section(title, ask(&page.form)),
    ])
}

/// The codes that were just made, to be kept now.
fn fresh(FreshCodes { batch, codes }: &FreshCodes) -> AnyView {
    let text = codes.join("\n");
    let rows = codes.len().clamp(2, 12).to_string();
    let file = format!("data:text/csv;charset=utf-8,{}", encoded(&file(batch, codes)));
    let many = if codes.len() == 1 { "The code".to_owned() } else { format!("The {} codes", money::grouped(batch.terms.codes)) };
    view! {
        <section class="review" aria-labelledby="fresh">
            <h2 id="fresh" tabindex="-1" autofocus=true>{many.clone()}" of “"{foreign(&batch.terms.name)}"”"</h2>
            <p class="subtitle prose">
                "Keep them now: nobody can show them again, since only their digests are stored. Whoever lost them revokes the batch and makes another."
            </p>
            <textarea class="codes" readonly=true rows=rows aria-label=many spellcheck="false">{text}</textarea>
            <p><a class="button primary" href=file download="codes.csv" rel="external">"Download as CSV"</a></p>
        </section>
    }
    .into_any()
}

/// A file with a line for each code.
fn file(batch: &Batch, codes: &[String]) -> String {
    let terms = &batch.terms;
    let (amount, uses) = (terms.amount.to_string(), terms.uses.to_string());
    let until = terms.expires_at.map(time::iso).unwrap_or_default();
    let head = csv::line(["code", "batch", "amount", "currency", "uses", "redeem_before"]);
    let lines = codes.iter().map(|code| csv::line([code, &terms.name, &amount, terms.currency.code(), &uses, &until]));
    std::iter::once(head).chain(lines).collect()
}

/// As a `data:` address has it.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~,:".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn list(page: &Codes) -> AnyView {
    const COLUMNS: [Column; 6] = [
        Column("Batch", Words),
        Column("Each gives", Figures),
        Column("Redeemed", Figures),
        Column("Until", Words),
        Column("Made", Words),
        Column("Revoke", Action),
    ];
    if page.batches.is_empty() && page.search.is_of_all() {
        return empty("There are no codes yet.", ());
    }
    let rows = page.batches.iter().map(|(batch, used)| row(batch, *used, page.now, &page.form));
    page.search.list(PATH.to_owned(), "batches", table("cards wide", &COLUMNS, rows.collect(), None))
}

fn row(batch: &Batch, used: i64, now: DateTime<Utc>, form: &Form) -> Row {
    let Batch { id, terms, made_at, made_by, revoked_at } = batch;
    let is_over = revoked_at.is_some() || terms.expires_at.is_some_and(|expiry| expiry <= now);
    let until = match (revoked_at, terms.expires_at) {
        (Some(at), _) => with_note(text("Revoked"), time::minute(*at)),
        (None, Some(expiry)) => {
            with_note(time::time_view(expiry, time::minute(expiry)), if is_over { "expired".to_owned() } else { String::new() })
        }
        (None, None) => text("No end"),
    };
    let of = format!("of {}", money::grouped(terms.codes.saturating_mul(terms.uses)));
    let revoke = (!is_over).then(|| {
        let form = view! {
            <form method="post" action=PATH>
                {form.once_field()}
                {hidden(REVOKE, id.to_string())}
                <p>"No code of “"{foreign(&terms.name)}"” is redeemed any more, for good. The credit that was redeemed stays where it is."</p>
                <button class="danger">"Revoke the batch"</button>
            </form>
        };
        confirm(format!("revoke-{id}"), "Revoke", format!("Revoke {}", terms.name), form.into_any())
    });
    let cells = vec![
        with_note(name(&terms.name), many(terms)),
        with_note(text(money::exact(terms.amount)), lasts(terms)),
        with_note(text(money::grouped(used)), of),
        until,
        view! { <span>{time::time_view(*made_at, time::minute(*made_at))}</span><span class="by">"by "{foreign(made_by)}</span> }
            .into_any(),
        revoke.into_any(),
    ];
    Row { cells, faded: is_over }
}

/// `100 codes, one use each, one per account`.
fn many(terms: &BatchTerms) -> String {
    let codes = if terms.codes == 1 { "1 code".to_owned() } else { format!("{} codes", money::grouped(terms.codes)) };
    let each = if terms.codes == 1 { "" } else { " each" };
    let uses = if terms.uses == 1 { format!("one use{each}") } else { format!("{} uses{each}", money::grouped(terms.uses)) };
    format!("{codes}, {uses}{}", if terms.is_sole { ", one per account" } else { "" })
}

/// What the credit is, and how long it lasts.
fn lasts(terms: &BatchTerms) -> String {
    match (terms.kind, terms.credit_days) {
        (CodeKind::Paid, _) => "paid credit".to_owned(),
        (CodeKind::Promo, None) => "promo, does not end".to_owned(),
        (CodeKind::Promo, Some(1)) => "promo, for 1 day".to_owned(),
        (CodeKind::Promo, Some(days)) => format!("promo, for {} days", money::grouped(days.into())),
    }
}

fn ask(form: &Form) -> AnyView {
    let kinds = CodeKind::ALL.map(|kind| (kind.name().to_owned(), label(kind).to_owned())).to_vec();
    let soles = [(ONE, "One only"), (SEVERAL, "As many as they have")];
    let soles = soles.map(|(value, label)| (value.to_owned(), label.to_owned())).to_vec();
    view! {
        <form class="grid-form" method="get" action=PATH>
            {hidden(REVIEW, "yes")}
            {form.problem_view()}
            {Field::new("text", NAME, "Name").hint("Customers read it in their journals.").required().view(form)}
            {Field::amount(AMOUNT, "Credit by each code, in US dollars").required().view(form)}
            {choice(form, KIND, "What it is in the books", kinds, CodeKind::Promo.name())}
            {Field::new("text", CODES, "How many codes").inputmode("numeric").hint("At most 10,000.").required().view(form)}
            {Field::new("text", USES, "Accounts that may redeem each code").inputmode("numeric").initial("1").required().view(form)}
            {choice(form, SOLE, "Codes that one account may redeem", soles, ONE)}
            {Field::new("date", EXPIRES, "Last day to redeem them").hint("Through that day, UTC; empty: until they are revoked.").view(form)}
            {Field::new("text", CREDIT_DAYS, "Days that the credit lasts")
                .inputmode("numeric")
                .hint("From when it is redeemed; empty: it does not end. Paid credit never ends.")
                .view(form)}
            <button>"Review"</button>
        </form>
    }
    .into_any()
}

/// Everything that would be made, and the one button that does it.
fn confirm_batch(terms: &BatchTerms, form: &Form) -> AnyView {
    let in_all = terms.in_all().map_or_else(|| "More than can be counted".to_owned(), money::exact);
    let until =
        terms.expires_at.map_or_else(|| "Until they are revoked".to_owned(), |expiry| format!("Before {} UTC", time::minute(expiry)));
    let ends = match (terms.kind, terms.credit_days) {
        (CodeKind::Paid, _) => "Never: it is part of the balance".to_owned(),
        (CodeKind::Promo, None) => "Never".to_owned(),
        (CodeKind::Promo, Some(days)) => format!("{} days after it was redeemed", money::grouped(days.into())),
    };
    let rows = [
        ("Codes", many(terms)),
        ("Each use gives", money::exact(terms.amount)),
        ("Which is", label(terms.kind).to_owned()),
        ("Redeemed", until),
        ("The credit ends", ends),
        ("All of them give at most", in_all),
    ];
    let rows = rows.map(|(name, words)| (name.to_owned(), text(words))).into();
    let typed: Vec<_> = fields::TERMS.into_iter().filter_map(|field| Some(hidden(field, form.typed(field)?.to_owned()))).collect();
    view! {
        <section class="review" aria-labelledby="review">
            <h2 id="review" tabindex="-1" autofocus=true>"Make the codes of “"{foreign(&terms.name)}"”?"</h2>
            {pairs("pairs said", rows)}
            <p class="subtitle prose">"Nothing is made yet. The codes are shown once, on the next page, and can be kept as a file there."</p>
            <form class="row-form" method="post" action=PATH>
                {form.once_field()}
                {typed}
                <button class="primary">"Make the codes"</button>
                <a href=PATH rel="external">"Do nothing"</a>
            </form>
        </section>
    }
    .into_any()
}
