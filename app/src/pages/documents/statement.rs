use domain::{
    monthly::{Movement, Used},
    usage::Totals,
};
use leptos::prelude::*;

use super::{PATH, STATEMENTS, lines, page::OneStatement, sheet::party};
use crate::parts::{
    layout::{foreign, head, stack},
    table::{
        Column,
        Kind::{Figures, Moment, Words},
        Row, link, table, text,
    },
    time,
    whose::Whose,
};

/// The statement of a month as it is printed.
pub(crate) fn statement(page: &OneStatement, whose: &Whose) -> AnyView {
    let statement = &page.statement;
    let (title, month) = (lines::statement_title(statement), statement.month);
    let href = |ending: &str| whose.at(&format!("{STATEMENTS}/{month}.{ending}"));
    let files = view! {
        <p class="paper-files">
            <a class="button" href=href("pdf") rel="external" download=format!("statement-{month}.pdf")>"Download as PDF"</a>
            <a class="button" href=href("csv") rel="external" download=format!("statement-{month}.csv")>"Download as CSV"</a>
        </p>
    };
    let mut balance: Vec<Row> = lines::balance(statement).into_iter().map(|(name, amount)| vec![text(name), text(amount)].into()).collect();
    let closing = balance.pop();
    let parties = lines::statement_parties(page.seller.as_ref(), &page.buyer);
    let parties = parties.into_iter().map(|(name, said)| party(name, &said)).collect_view();
    let sheet = view! {
        <article class="paper" aria-label=title.clone()>
            <p class="paper-title">{title.clone()}</p>
            <div class="paper-parties">{parties}</div>
            <p class="hint">{lines::state(statement)}</p>
            {part("Balance", table("paper-lines", &[Column("What changed it", Words), Column("Amount", Figures)], balance, closing))}
            {movements(page, whose)}
            {used("Calls of this month", &statement.used)}
            {used("Calls of earlier months, posted or corrected in this one", &statement.late)}
        </article>
    };
    let back = link(whose.at(PATH), "All documents");
    stack(vec![head(title, back, files), sheet.into_any()])
}

fn part(title: &'static str, body: AnyView) -> AnyView {
    view! { <section><h2>{title}</h2>{body}</section> }.into_any()
}

fn movements(page: &OneStatement, whose: &Whose) -> AnyView {
    const COLUMNS: [Column; 4] = [Column("When", Moment), Column("Entry", Words), Column("What for", Words), Column("Amount", Figures)];
    let statement = &page.statement;
    if statement.movements.is_empty() {
        return ().into_any();
    }
    let rows = statement.movements.iter().zip(lines::movements(statement)).map(|(movement, amount)| row(movement, amount, page, whose));
    let more = statement.has_more.then(|| view! { <p class="hint">"There are more: the journal has all of them."</p> });
    part("Money in and out, plans and credit", stack(vec![table("cards paper-lines", &COLUMNS, rows.collect(), None), more.into_any()]))
}

fn row(movement: &Movement, amount: String, page: &OneStatement, whose: &Whose) -> Row {
    let number = page.numbers.iter().find(|(posting, _)| *posting == movement.number);
    let document = number.map(|(_, number)| view! { " "{link(whose.at(&format!("{PATH}/{number}")), number.clone())} });
    vec![
        time::time_view(movement.posted_at, time::minute(movement.posted_at)),
        text(movement.kind.label()),
        view! { <span>{foreign(&movement.memo)}{document}</span> }.into_any(),
        text(amount),
    ]
    .into()
}

/// What calls used: nothing where there were none.
fn used(title: &'static str, used: &Used) -> AnyView {
    if *used == Used::default() {
        return ().into_any();
    }
    let written_off = (!used.written_off.is_zero()).then(|| view! { <p class="hint">{lines::written_off(used.written_off)}</p> });
    let by = |name: &'static str, rows: Vec<(AnyView, &Totals)>| {
        let (names, totals): (Vec<_>, Vec<_>) = rows.into_iter().chain([(text("Total"), &used.totals)]).unzip();
        let mut rows: Vec<Row> = names.into_iter().zip(lines::counts(&totals)).map(counted).collect();
        let sum = rows.pop();
        table("paper-lines cards", &columns(name), rows, sum)
    };
    let models = used.by_model.iter().map(|row| (foreign(&row.label), &row.totals)).collect();
    let keys = used.by_key.iter().map(|row| (foreign(&row.label), &row.totals)).collect();
    let days = used.by_day.iter().map(|(day, totals)| (text(time::day(*day)), totals)).collect();
    part(title, stack(vec![by("Model", models), by("Key", keys), by("Day", days), written_off.into_any()]))
}

fn columns(name: &'static str) -> Vec<Column> {
    std::iter::once(Column(name, Words)).chain(lines::COUNTED.map(|counted| Column(counted, Figures))).collect()
}

fn counted((name, counts): (AnyView, [String; 5])) -> Row {
    Row::from(std::iter::once(name).chain(counts.map(text)).collect::<Vec<_>>())
}
