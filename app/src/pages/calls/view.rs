use domain::{
    call::{CallRow, Outcome, UsageSource},
    filter::CallFilter,
    tokens::Flag,
};
use leptos::prelude::*;

use super::page::Calls;
use crate::parts::{
    filter::FilterBar,
    form::{Field, Form, Tone, notice},
    layout::{empty, file, head, stack},
    money,
    pager::pager,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, link, name, table, text, with_note,
    },
    tabs::address,
    time,
    whose::Whose,
};

/// The log.
pub(crate) fn calls(data: Calls, whose: &Whose) -> AnyView {
    let Calls { filter, form, search, page, has_newer, choices } = data;
    let path = whose.at("/calls");
    let href = |filter: &CallFilter| address(&path, &filter.to_query());
    let bar = FilterBar { path: path.clone(), filter: &filter, form: &form, choices: &choices, kept: vec![], href: &href }.view();
    let newest = has_newer.then(|| href(&filter));
    let older = page.next.map(|next| {
        let query = filter.to_query();
        address(&path, &format!("{query}{}before={next}", if query.is_empty() { "" } else { "&" }))
    });
    let body = if form.problem.is_some() {
        notice(Tone::Plain, "Correct what is marked, or choose a range above, to see the calls.")
    } else if page.calls.is_empty() {
        nothing(has_newer, path.clone())
    } else {
        stack(vec![log(page.calls, whose), pager(newest, older)])
    };
    let file = file(address(&whose.at("/calls.csv"), &filter.to_query()), "calls.csv");
    stack(vec![head("Calls", "Newest first. Times are UTC.", file), find(&search, path.clone()), bar, body])
}

fn find(search: &Form, path: String) -> AnyView {
    view! {
        <form class="row-form" method="get" action=path role="search">
            {Field::new("search", "id", "Find a call by its request id").required().view(search)}
            <button>"Find"</button>
        </form>
    }
    .into_any()
}

fn nothing(has_newer: bool, path: String) -> AnyView {
    let words = if has_newer {
        "There are no older calls."
    } else {
        "No call matches. Choose a longer range, clear the filters, or make a call: it shows up here within a second of its end."
    };
    empty(words, link(path, "All calls"))
}

fn log(calls: Vec<CallRow>, whose: &Whose) -> AnyView {
    const COLUMNS: [Column; 11] = [
        Column("Time", Words),
        Column("Key", Words),
        Column("Model", Words),
        Column("Streaming", Words),
        Column("Status", Words),
        Column("Prompt", Figures),
        Column("Completion", Figures),
        Column("Total tokens", Figures),
        Column("Cost", Figures),
        Column("Latency", Figures),
        Column("First byte", Figures),
    ];
    table("cards wide log", &COLUMNS, calls.into_iter().map(|call| row(call, whose)).collect(), None)
}

fn row(call: CallRow, whose: &Whose) -> Row {
    let (prompt, completion, total, cost) = (call.prompt_tokens(), call.completion_tokens(), call.total_tokens(), call.cost());
    let href = whose.at(&format!("/calls/{}", call.id));
    let time = view! { <a href=href>{time::time_view(call.started_at, time::second(call.started_at))}</a> };
    let state = stack(vec![status(call.outcome), marks(&call)]);
    vec![
        time.into_any(),
        name(&call.key_name),
        name(&call.model),
        text(if call.stream { "Yes" } else { "No" }),
        state,
        text(money::reported(prompt)),
        text(money::reported(completion)),
        text(money::reported(total)),
        with_note(money::charge_view(cost), if call.tokens_paid.is_some() { "paid in tokens".to_owned() } else { String::new() }),
        text(time::span(call.latency_ms)),
        text(call.first_byte_ms.map_or_else(|| money::ABSENT.to_owned(), time::span)),
    ]
    .into()
}

fn status(outcome: Outcome) -> AnyView {
    let class = if outcome == Outcome::Ok { "status" } else { "status status-bad" };
    view! { <span class=class>{outcome.label()}</span> }.into_any()
}

/// What keeps a figure from being the upstream's own word, said wherever the figure stands.
fn marks(call: &CallRow) -> AnyView {
    let estimated = matches!(call.source, UsageSource::Estimated | UsageSource::Interrupted).then_some("estimated");
    let flagged = call.usage.flag.map(|flag| match flag {
        Flag::Contradictory => "numbers disagree",
        Flag::Excessive => "numbers too high",
        Flag::OtherTerms => "other terms",
    });
    let corrected = call.corrected.map(|_| "corrected");
    let marks = [estimated, flagged, corrected].into_iter().flatten().map(|words| view! { <span class="mark">{words}</span> });
    marks.collect_view().into_any()
}
