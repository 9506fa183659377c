use domain::{document::Document, month::CalendarMonth, period::Step};
use leptos::prelude::*;

use super::{DETAILS, PATH, STATEMENTS, page::Documents};
use crate::parts::{
    form::{Tone, notice},
    layout::{empty, foreign, head, section, stack},
    money,
    pager::pager,
    table::{
        Column,
        Kind::{Action, Figures, Moment, Words},
        Row, link, table, text, with_note,
    },
    time,
    whose::Whose,
};

/// The documents, and the months.
pub(crate) fn documents(page: &Documents, whose: &Whose) -> AnyView {
    let back = link(whose.at("/billing"), "Billing");
    let about =
        view! { "Receipts of what was paid in, invoices, credit notes, and a statement for each month. Times are UTC. "{back} }.into_any();
    let changed = page.is_changed.then(|| notice(Tone::Good, "Your billing details are on documents that are issued from now on."));
    stack(vec![
        head("Documents", about, ()),
        changed.into_any(),
        named(page),
        section("Receipts, invoices and credit notes", list(page, whose)),
        months(&page.months, whose),
    ])
}

/// Whom documents name, and where that is changed.
fn named(page: &Documents) -> AnyView {
    let buyer = &page.buyer;
    let rest = [&buyer.email, &buyer.address, &buyer.tax_id].into_iter().filter(|part| !part.is_empty());
    let rest = rest.map(|part| view! { ", "{foreign(part)} }).collect_view();
    let change = page.can_change.then(|| view! { " "{link(DETAILS.to_owned(), "Change billing details")} });
    view! { <p>"They name "{foreign(&buyer.name)}{rest}"."{change}</p> }.into_any()
}

fn list(page: &Documents, whose: &Whose) -> AnyView {
    const COLUMNS: [Column; 5] =
        [Column("Number", Words), Column("Issued", Moment), Column("What for", Words), Column("Amount", Figures), Column("File", Action)];
    let path = whose.at(PATH);
    if page.page.documents.is_empty() {
        return match (page.has_seller, page.has_newer) {
            (_, true) => empty("There are no older documents.", link(path, "The newest ones")),
            (true, false) => empty(
                "Nothing has been paid yet. What you pay gets its receipt here, within seconds.",
                link(whose.at("/billing"), "Billing"),
            ),
            (false, false) => empty(
                "No document is issued yet: the operator of this gateway has not said who sells. Whatever was paid until then gets its document, too.",
                (),
            ),
        };
    }
    let rows = page.page.documents.iter().map(|document| row(document, whose)).collect();
    let newest = page.has_newer.then(|| path.clone());
    let older = page.page.next.map(|next| format!("{path}?before={next}"));
    stack(vec![table("cards", &COLUMNS, rows, None), pager(newest, older)])
}

fn row(document: &Document, whose: &Whose) -> Row {
    let href = whose.at(&format!("{PATH}/{}", document.number));
    let kind = with_note(link(href.clone(), document.number.clone()), document.kind.label().to_owned());
    let label = format!("{} as PDF", document.number);
    vec![
        kind,
        time::time_view(document.issued_at, time::day(document.issued_at)),
        view! { <span>{document.posted_as.label()}</span><span class="by">{foreign(&document.purpose)}</span> }.into_any(),
        text(money::exact(document.sum.gross)),
        view! { <a href=format!("{href}.pdf") rel="external" download=format!("{}.pdf", document.number) aria-label=label>"PDF"</a> }
            .into_any(),
    ]
    .into()
}

fn months(months: &[(CalendarMonth, bool)], whose: &Whose) -> AnyView {
    const COLUMNS: [Column; 3] = [Column("Month", Words), Column("State", Words), Column("Files", Action)];
    if months.is_empty() {
        return ().into_any();
    }
    let rows = months.iter().map(|(month, is_closed)| {
        let href = whose.at(&format!("{STATEMENTS}/{month}"));
        let name = time::step(month.range().from, Step::Month);
        let file = |kind: &'static str, ending: &str| {
            let label = format!("Statement of {name} as {kind}");
            view! { <a href=format!("{href}.{ending}") rel="external" download=format!("statement-{month}.{ending}") aria-label=label>{kind}</a> }
        };
        let files = view! { {file("PDF", "pdf")}" · "{file("CSV", "csv")} }.into_any();
        let state = if *is_closed { "Closed: its figures never change" } else { "So far" };
        Row { cells: vec![link(href.clone(), name.clone()), text(state), files], faded: false }
    });
    section("Statements", table("cards", &COLUMNS, rows.collect(), None))
}
