use leptos::prelude::*;

use super::page::{Changes, ListPage, ListReview, ReviewedRate};
use crate::parts::{
    form::{Field, Form, Tone, choice, hidden, notice},
    layout::{empty, foreign, head, section, stack},
    table::{
        Column,
        Kind::{Figures, Words},
        Row, link, table, text,
    },
};

/// Where the page is.
pub(crate) const ADDRESS: &str = "/admin/pricing/import";

pub(crate) const LIST: &str = "list";
pub(crate) const AGAINST: &str = "against";
pub(crate) const PROVIDER: &str = "provider";
pub(crate) const MODELS: &str = "models";
pub(crate) const SIDES: &str = "sides";
pub(crate) const BOTH: &str = "both";
pub(crate) const MARKUP: &str = "markup";
pub(crate) const ACCEPTED: &str = "accepted";
pub(crate) const CHANGES: &str = "changes";
pub(crate) const SEEN: &str = "seen";

/// A form for a list, and what the list that was sent comes to.
pub(crate) fn list(page: &ListPage) -> AnyView {
    let about = stack(vec![
        text("What providers charge, from a published list. Nothing is written before you have seen it. "),
        link("/admin/pricing".to_owned(), "All prices"),
    ]);
    let done = page.published.map(|count| {
        let prices = if count == 1 { "1 price".to_owned() } else { format!("{count} prices") };
        notice(Tone::Good, format!("Published: {prices}. Each is in the history of its model."))
    });
    let review = page.review.as_ref().map(review);
    let again = if page.review.is_some() { "Compare again" } else { "Compare a list" };
    stack(vec![head("Import a price list", about, ()), done.into_any(), review.into_any(), section(again, upload(&page.form))])
}

fn upload(form: &Form) -> AnyView {
    let sides =
        vec![("cost".to_owned(), "What the provider charges".to_owned()), (BOTH.to_owned(), "That, and what customers pay".to_owned())];
    view! {
        <form class="grid-form" method="post" action=ADDRESS enctype="multipart/form-data">
            {form.once_field()}
            {form.problem_view()}
            {Field::new("file", LIST, "Price list")
                .hint("The JSON of LiteLLM, models.dev or genai-prices, or an export of Farebox. At most 16 MiB.")
                .required()
                .view(form)}
            {Field::new("file", AGAINST, "A second list to check it against").hint("What is 100 times as much there, or a hundredth, is refused.").view(form)}
            {choice(form, SIDES, "Write", sides, "cost")}
            {Field::new("text", MARKUP, "Markup for customers, in basis points").hint("2000 is 20 %. An export says itself what customers pay.").view(form)}
            {Field::new("text", PROVIDER, "Only this provider of the list").view(form)}
            {Field::new("text", MODELS, "Only these models").hint("Names with commas between them; * stands for anything.").view(form)}
            {Field::new("text", ACCEPTED, "Models whose price may leap")
                .hint("More than three times what it was, less than a third, below cost, or like a slip. Names with commas between them.")
                .view(form)}
            <button class="primary">"Compare"</button>
        </form>
    }
    .into_any()
}

fn review(review: &ListReview) -> AnyView {
    let ListReview { summary, rates, refused, notes, others, changes } = review;
    let difference = if rates.is_empty() {
        empty("There is nothing to write: what is sold here costs what the list says, or is refused below.", ())
    } else {
        stack(vec![rates_table(rates), publish(changes)])
    };
    let refused = (!refused.is_empty()).then(|| section("Refused", named(["Refused", "Why"], refused)));
    let notes = (!notes.is_empty()).then(|| section("Also", named(["About", "Note"], notes)));
    let others = others.iter().map(|line| view! { <p>{foreign(line)}</p> }).collect_view();
    stack(vec![
        section("The difference", stack(vec![view! { <p class="subtitle">{summary.clone()}</p> }.into_any(), difference])),
        refused.into_any(),
        notes.into_any(),
        section("The others", others.into_any()),
    ])
}

fn rates_table(rates: &[ReviewedRate]) -> AnyView {
    const COLUMNS: [Column; 6] = [
        Column("Model", Words),
        Column("Side", Words),
        Column("Rate", Words),
        Column("Now", Figures),
        Column("New", Figures),
        Column("In force", Words),
    ];
    let row = |rate: &ReviewedRate| {
        let ReviewedRate { model, side, of, was, is, from } = rate;
        Row::from(vec![view! { <code>{foreign(model)}</code> }.into_any(), text(side), text(of), text(was), text(is), text(from)])
    };
    table("cards", &COLUMNS, rates.iter().map(row).collect(), None)
}

fn named(heads: [&'static str; 2], lines: &[(String, String)]) -> AnyView {
    let columns = heads.map(|head| Column(head, Words));
    let row = |(model, line): &(String, String)| Row::from(vec![view! { <code>{foreign(model)}</code> }.into_any(), foreign(line)]);
    table("cards", &columns, lines.iter().map(row).collect(), None)
}

/// Carries what was looked at on to be published: just that, whatever the file says by then.
fn publish(changes: &Changes) -> AnyView {
    let Changes { count, json, seen } = changes;
    let words = if *count == 1 { "Publish 1 price".to_owned() } else { format!("Publish {count} prices") };
    view! {
        <form class="row-form" method="post" action=ADDRESS enctype="multipart/form-data">
            {hidden(CHANGES, json.clone())}
            {hidden(SEEN, seen.clone())}
            <button class="primary">{words}</button>
        </form>
    }
    .into_any()
}
