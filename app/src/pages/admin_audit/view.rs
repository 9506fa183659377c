use domain::audit::{AuditFilter, AuditLine, Operation};
use leptos::prelude::*;

use super::page::{Audit, Changed};
use crate::parts::{
    form::{Field, Form, Tone, choice, notice},
    layout::{empty, foreign, head, stack},
    money,
    pager::pager,
    table::{Column, Kind::Words, Row, link, name, name_link, table, text},
    tabs::address,
    time,
};

const PATH: &str = "/admin/audit";

/// The log.
pub(crate) fn audit(page: Audit) -> AnyView {
    let Audit { filter, form, lines, next, has_newer } = page;
    let query = filter.to_query();
    let newest = has_newer.then(|| address(PATH, &query));
    let older = next.map(|next| address(PATH, &format!("{query}{}before={next}", if query.is_empty() { "" } else { "&" })));
    let about =
        "Every change of money, prices and rights, with who did it and from where. Nobody can change or delete a line. Times are UTC.";
    let file =
        view! { <a class="button" href=address("/admin/audit.csv", &query) rel="external" download="audit.csv">"Download as CSV"</a> };
    let body = if form.problem.is_some() {
        notice(Tone::Plain, "Correct what is marked to see the log.")
    } else if lines.is_empty() {
        nothing(has_newer)
    } else {
        stack(vec![log(lines), pager(newest, older)])
    };
    let file = form.problem.is_none().then_some(file);
    stack(vec![head("Audit", about, file), form.problem_view(), filters(&filter, &form), body])
}

fn filters(filter: &AuditFilter, form: &Form) -> AnyView {
    let operations = Operation::ALL.into_iter().map(|operation| (operation.name().to_owned(), operation.label().to_owned()));
    let operations = std::iter::once((String::new(), "Everything".to_owned())).chain(operations).collect();
    let day = |day: Option<chrono::NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
    view! {
        <form class="row-form many" method="get" action=PATH role="search">
            {Field::new("text", "who", "Who").initial(filter.who.clone()).view(form)}
            {choice(form, "operation", "What was done", operations, filter.operation.map(Operation::name).unwrap_or_default())}
            {Field::new("text", "object", "To what").hint("A part of its name, or its id or its account's.").initial(filter.object.clone()).view(form)}
            {Field::new("date", "from", "First day").initial(day(filter.from)).view(form)}
            {Field::new("date", "to", "Last day").initial(day(filter.to)).view(form)}
            <button>"Show"</button>
            {(*filter != AuditFilter::default()).then(|| link(PATH.to_owned(), "Everything"))}
        </form>
    }
    .into_any()
}

fn nothing(has_newer: bool) -> AnyView {
    let words = if has_newer { "There are no older lines." } else { "No line matches. Choose more days, or less to look for." };
    empty(words, link(PATH.to_owned(), "The whole log"))
}

fn log(lines: Vec<(AuditLine, Vec<Changed>)>) -> AnyView {
    const COLUMNS: [Column; 5] = [
        Column("When", Words),
        Column("Who", Words),
        Column("What was done", Words),
        Column("To what", Words),
        Column("Before → after", Words),
    ];
    table("cards wide log", &COLUMNS, lines.into_iter().map(row).collect(), None)
}

fn row((line, changes): (AuditLine, Vec<Changed>)) -> Row {
    let from = line.address.as_ref().map(|address| view! { <span class="by">{format!("from {address}")}</span> });
    let object = match line.account {
        Some(account) => name_link(format!("/admin/customers/{account}"), &line.object),
        None => name(&line.object),
    };
    vec![
        time::time_view(line.place.at, time::second(line.place.at)),
        view! { <span>{name(&line.who)}</span>{from} }.into_any(),
        text(line.label()),
        object,
        changed(&changes),
    ]
    .into()
}

fn changed(changes: &[Changed]) -> AnyView {
    let side = |side: &Option<String>| side.as_deref().map_or_else(|| text(money::ABSENT), foreign);
    let changes = changes.iter().map(|changed| {
        let name = changed.what.replace('_', " ");
        match &changed.before {
            Some(_) => view! { <li><span class="what">{name}</span>" "{side(&changed.before)}" → "{side(&changed.after)}</li> }.into_any(),
            None => view! { <li><span class="what">{name}</span>" "{side(&changed.after)}</li> }.into_any(),
        }
    });
    view! { <ul class="changes">{changes.collect_view()}</ul> }.into_any()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::audit::AuditPlace;

    use super::*;

    #[test]
    fn a_line_says_who_from_where_and_what_it_was_and_is() {
        let line = AuditLine {
            place: AuditPlace { at: "2026-11-23T10:04:05Z".parse().unwrap(), id: uuid::Uuid::nil() },
            operation: "money.credit".to_owned(),
            who: "root@example.com".to_owned(),
            address: Some("203.0.113.9".to_owned()),
            account: None,
            object_id: String::new(),
            object: "<b>".to_owned(),
            before: None,
            after: None,
        };
        let balance = Changed { what: "balance".to_owned(), before: Some("2".to_owned()), after: Some("5.5".to_owned()) };
        let later = AuditLine { operation: "of.tomorrow".to_owned(), ..line.clone() };
        let page = Audit {
            filter: AuditFilter::default(),
            form: Form::default(),
            lines: vec![(line, vec![balance]), (later, vec![])],
            next: None,
            has_newer: false,
        };
        let html = Owner::new().with(|| audit(page).to_html()).replace("<!>", "");
        for text in [
            "23 Nov 2026, 10:04:05",
            ">root@example.com</bdi>",
            "from 203.0.113.9",
            "Give credit",
            "of.tomorrow",
            "&lt;b&gt;</bdi>",
            "balance</span> <bdi>2</bdi> → <bdi>5.5</bdi>",
        ] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
    }
}
