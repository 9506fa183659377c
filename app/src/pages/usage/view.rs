use chrono::{DateTime, Utc};
use domain::{
    filter::{CallFilter, GroupBy, STEPS_MAX, UsageFilter},
    period::{Range, Step},
    usage::{Totals, UsageReport, UsageRow},
};
use leptos::prelude::*;

use super::page::{Measure, Usage};
use crate::parts::{
    chart::{self, Chart},
    figures::{Figure, figures},
    filter::FilterBar,
    form::{Tone, notice},
    layout::{empty, head, section, stack},
    money,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, link, table, text, with_note,
    },
    tabs::{Tab, address, tabs},
    time,
};

/// Usage over a range.
pub(crate) fn usage(page: &Usage) -> AnyView {
    let Usage { filter, measure, form, report, .. } = page;
    let href = |calls: &CallFilter| page_address(&with(filter, calls.clone(), report.now), *measure);
    let bar =
        FilterBar { path: "/usage", filter: &filter.calls, form, choices: &report.choices, kept: kept(filter, *measure), href: &href };
    let body = if form.problem.is_some() {
        notice(Tone::Plain, "Correct what is marked, or choose a range above, to see the figures.")
    } else if report.choices.models.is_empty() {
        stack(vec![sums(report), nothing_yet(page)])
    } else if report.totals.requests == 0 {
        let every = link("/usage".to_owned(), "Show the last 30 days");
        stack(vec![sums(report), empty("There are no calls in this range under these filters.", every), bars(page)])
    } else {
        stack(vec![sums(report), bars(page), tables(page)])
    };
    stack(vec![head("Usage", covers(report.range, report), ()), bar.view(), body])
}

fn covers(range: Range, report: &UsageReport) -> String {
    let so_far = if range.is_running(report.now) { ", so far" } else { "" };
    format!("{}{so_far}. Times are UTC.", time::days(range))
}

/// The page with other calls; a step that their range is too long for gives way to the range's own.
fn with(filter: &UsageFilter, calls: CallFilter, now: DateTime<Utc>) -> UsageFilter {
    let range = calls.period.range(now);
    UsageFilter { step: filter.step.filter(|step| fits(*step, range)), calls, ..filter.clone() }
}

/// Whether a range has no more bars of this length than a filter accepts.
fn fits(step: Step, range: Range) -> bool {
    range.steps(step).nth(STEPS_MAX).is_none()
}

fn nothing_yet(page: &Usage) -> AnyView {
    if !page.can_create_keys {
        return empty("No calls yet. Each call shows up here within a second.", ());
    }
    let words = format!(
        "No calls yet: each shows up here within a second of its end. Create a key, and point any OpenAI client at the base URL {}",
        page.base_url
    );
    empty(words, view! { <a class="button" href="/keys/new">"Create a key"</a> })
}

fn sums(report: &UsageReport) -> AnyView {
    let Totals { requests, prompt_tokens, completion_tokens, total_tokens, amount } = report.totals;
    let before = report.previous;
    let count = |label, now: i64, before: i64| Figure {
        label,
        value: money::compact(now),
        exact: Some(money::grouped(now)),
        note: money::change(now, before),
    };
    let cards = figures(vec![
        Figure {
            label: "Cost",
            value: money::total(amount),
            exact: Some(money::exact(amount)),
            note: money::change(amount.nanos(), before.amount.nanos()),
        },
        count("Requests", requests, before.requests),
        count("Prompt tokens", prompt_tokens.get(), before.prompt_tokens.get()),
        count("Completion tokens", completion_tokens.get(), before.completion_tokens.get()),
        count("Total tokens", total_tokens.get(), before.total_tokens.get()),
    ]);
    view! { <div>{cards}<p class="figures-basis">{basis(report)}</p></div> }.into_any()
}

/// What the changes on the cards are measured against.
fn basis(report: &UsageReport) -> String {
    let before = report.range.previous();
    let (length, are) = match (before.to - before.from).num_days() {
        1 => ("the day before".to_owned(), "is"),
        days => (format!("the {days} days before"), "are"),
    };
    let days = time::days(before);
    if report.previous.requests == 0 {
        return format!("There were no calls in {length}, {days}, to compare with.");
    }
    let running = if report.range.is_running(report.now) { format!(", which {are} over; this range is not") } else { String::new() };
    format!("Changes are against {length}, {days}{running}.")
}

fn bars(page: &Usage) -> AnyView {
    let Usage { filter, measure, report, .. } = page;
    let show =
        Measure::ALL.map(|choice| Tab { label: label(choice).to_owned(), href: page_address(filter, choice), current: choice == *measure });
    let groups = GroupBy::ALL.into_iter().filter(|group| *group != GroupBy::Project || has_projects(report) || *group == filter.group);
    let group = groups.map(|group| Tab {
        label: group_label(group).to_owned(),
        href: page_address(&UsageFilter { group, ..filter.clone() }, *measure),
        current: group == filter.group,
    });
    let steps = Step::ALL.into_iter().filter(|step| fits(*step, report.range));
    let step = steps.map(|step| Tab {
        label: step_label(step).to_owned(),
        href: page_address(&UsageFilter { step: Some(step), ..filter.clone() }, *measure),
        current: step == report.step,
    });
    view! {
        <section aria-label="Over time">
            <div class="tab-row">
                {tabs("Show", show.into())}
                {tabs("Split by", group.collect())}
                {tabs("Per", step.collect())}
            </div>
            {chart(page).view()}
        </section>
    }
    .into_any()
}

/// Whether there are projects to tell apart.
fn has_projects(report: &UsageReport) -> bool {
    report.choices.projects.len() > 1
}

/// How a chart writes a figure.
type InWords = fn(i64) -> String;

fn chart(page: &Usage) -> Chart {
    let Usage { measure, report, series, .. } = page;
    let (axis, value): (InWords, InWords) = match measure {
        Measure::Cost => (money::axis, |nanos| money::charge(domain::money::Amount::from_nanos(nanos))),
        Measure::Tokens | Measure::Requests => (money::compact, money::grouped),
    };
    let columns = report.steps.iter().map(|start| {
        let whole = Range { from: *start, to: report.step.next(*start) };
        // A range may begin or end in the middle of a month: the bar is not named for days that it does not hold.
        let held = whole.within(report.range);
        chart::Column {
            name: if held == whole { time::step(*start, report.step) } else { time::days(held) },
            short: time::step_short(*start, report.step),
            so_far: held.is_running(report.now),
        }
    });
    let step = step_label(report.step);
    Chart {
        title: format!("{} per {}", label(*measure), step.to_lowercase()),
        step,
        axis,
        value,
        columns: columns.collect(),
        series: series.clone(),
    }
}

const fn label(measure: Measure) -> &'static str {
    match measure {
        Measure::Cost => "Cost",
        Measure::Tokens => "Total tokens",
        Measure::Requests => "Requests",
    }
}

const fn group_label(group: GroupBy) -> &'static str {
    match group {
        GroupBy::Model => "Model",
        GroupBy::Key => "Key",
        GroupBy::Project => "Project",
        GroupBy::None => "Nothing",
    }
}

const fn step_label(step: Step) -> &'static str {
    match step {
        Step::Hour => "Hour",
        Step::Day => "Day",
        Step::Month => "Month",
    }
}

fn tables(page: &Usage) -> AnyView {
    let Usage { filter, measure, report, .. } = page;
    let only = |calls: CallFilter| page_address(&UsageFilter { calls, ..filter.clone() }, *measure);
    let by_model = report.by_model.iter().map(|row| (row, only(CallFilter { model: Some(row.id.clone()), ..filter.calls.clone() })));
    let by_key = report.by_key.iter().map(|row| (row, only(CallFilter { key: row.id.parse().ok(), ..filter.calls.clone() })));
    let by_project = report.by_project.iter().map(|row| (row, only(CallFilter { project: row.id.parse().ok(), ..filter.calls.clone() })));
    let calls = address("/calls", &filter.calls.to_query());
    stack(vec![
        breakdown("Per model", "Model", by_model.collect(), report.totals),
        breakdown("Per key", "Key", by_key.collect(), report.totals),
        has_projects(report).then(|| breakdown("Per project", "Project", by_project.collect(), report.totals)).into_any(),
        link(calls, "See these calls one by one"),
    ])
}

fn breakdown(title: &'static str, noun: &'static str, rows: Vec<(&UsageRow, String)>, whole: Totals) -> AnyView {
    let columns = [
        Column(noun, Words),
        Column("Requests", Figures),
        Column("Prompt tokens", Figures),
        Column("Completion tokens", Figures),
        Column("Total tokens", Figures),
        Column("Cost", Figures),
        Column("Share of cost", Figures),
    ];
    let rows = rows.into_iter().map(|(row, href)| cells(link(href, row.label.clone()), row.totals, whole)).collect();
    section(title, table("cards", &columns, rows, Some(cells(text("Total"), whole, whole))))
}

fn cells(name: AnyView, totals: Totals, whole: Totals) -> Row {
    let count = |count| text(money::grouped(count));
    vec![
        name,
        count(totals.requests),
        count(totals.prompt_tokens.get()),
        count(totals.completion_tokens.get()),
        count(totals.total_tokens.get()),
        // Rounded figures need not add up to their rounded sum; the exact ones below them do.
        with_note(money::total_view(totals.amount), money::hidden_digits(totals.amount)),
        text(money::share(totals.amount.nanos(), whole.amount.nanos())),
    ]
    .into()
}

/// What the forms must keep: everything of the page that is not a filter.
fn kept(filter: &UsageFilter, measure: Measure) -> Vec<(&'static str, String)> {
    let step = filter.step.map(|step| ("step", step.name()));
    let group = (filter.group != GroupBy::default()).then(|| ("group", filter.group.name()));
    let show = (measure != Measure::default()).then(|| ("show", measure.name()));
    [step, group, show].into_iter().flatten().map(|(name, value)| (name, value.to_owned())).collect()
}

fn page_address(filter: &UsageFilter, measure: Measure) -> String {
    let mut query = filter.to_query();
    if measure != Measure::default() {
        query = format!("{query}{}show={}", if query.is_empty() { "" } else { "&" }, measure.name());
    }
    address("/usage", &query)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{account::Project, id::ProjectId, money::Amount, period::Period, tokens::Tokens, usage::FilterChoices};

    use super::*;
    use crate::parts::{
        chart::Series,
        form::{Form, Problem},
    };

    fn report() -> UsageReport {
        let now = "2026-11-23T10:00:00Z".parse().unwrap();
        let range = Period::Last7Days.range(now);
        let steps: Vec<_> = range.steps(Step::Day).collect();
        let one = Totals {
            requests: 3,
            prompt_tokens: Tokens::from_sum(1_200_000),
            completion_tokens: Tokens::from_sum(300),
            total_tokens: Tokens::from_sum(1_200_300),
            amount: Amount::from_nanos(1_500_000_000),
        };
        let row = UsageRow { id: "a/b&c".to_owned(), label: "a/b&c".to_owned(), totals: one };
        UsageReport {
            now,
            range,
            step: Step::Day,
            steps,
            totals: one,
            previous: Totals { requests: 2, ..Totals::default() },
            series: vec![],
            by_key: vec![],
            by_model: vec![row],
            by_project: vec![],
            choices: FilterChoices { models: vec!["a/b&c".to_owned()], ..FilterChoices::default() },
        }
    }

    fn project(name: &str, number: u8) -> Project {
        let created_at = "2026-11-01T00:00:00Z".parse().unwrap();
        Project { id: ProjectId::new(created_at, [number; 10]), name: name.to_owned(), created_at }
    }

    fn page() -> Usage {
        let series = vec![Series { label: "a/b&c".to_owned(), values: vec![0, 0, 0, 0, 0, 0, 1_200_300] }];
        Usage {
            filter: UsageFilter::default(),
            measure: Measure::Tokens,
            form: Form::default(),
            report: report(),
            series,
            can_create_keys: true,
            base_url: "http://127.0.0.1:8080/v1".to_owned(),
        }
    }

    fn draw(page: &Usage) -> String {
        Owner::new().with(|| usage(page).to_html())
    }

    fn html(form: Form) -> String {
        draw(&Usage { form, ..page() })
    }

    #[test]
    fn cards_chart_and_tables_say_the_same() {
        let html = html(Form::default());
        assert!(html.contains("+50.0 %") && html.contains("Changes are against the 7 days before, 10 Nov 2026 – 16 Nov 2026"));
        assert!(html.contains("1.2M") && html.matches("1,200,300").count() >= 5, "card, readout, chart table, row and sum");
        assert!(html.contains("so far"));
    }

    #[test]
    fn a_bar_is_named_for_the_days_that_it_holds() {
        let mut page = page();
        let months = |page: &mut Usage, from: &str, to: &str| {
            page.report.range = Range { from: from.parse().unwrap(), to: to.parse().unwrap() };
            page.report.step = Step::Month;
            page.report.steps = page.report.range.steps(Step::Month).collect();
            page.series = vec![Series { label: "a".to_owned(), values: vec![1; page.report.steps.len()] }];
            draw(page)
        };
        let html = months(&mut page, "2026-10-25T00:00:00Z", "2026-11-24T00:00:00Z");
        assert!(html.contains("25 Oct 2026 – 31 Oct 2026") && html.contains("1 Nov 2026 – 23 Nov 2026, so far"), "{html}");
        let html = months(&mut page, "2026-10-01T00:00:00Z", "2026-11-11T00:00:00Z");
        assert!(html.contains("Oct 2026") && html.contains("1 Nov 2026 – 10 Nov 2026") && !html.contains("so far"), "{html}");
    }

    #[test]
    fn links_keep_what_is_chosen_and_escape_names() {
        let html = html(Form::default());
        assert!(html.contains("/usage?model=a%2Fb%26c&amp;show=tokens"), "{html}");
        assert!(html.contains("/usage?range=today&amp;show=tokens"));
    }

    #[test]
    fn a_step_gives_way_to_a_range_that_it_is_too_short_for() {
        let filter = UsageFilter { step: Some(Step::Hour), ..UsageFilter::default() };
        let html = draw(&Usage { filter, ..page() });
        assert!(html.contains("/usage?range=7d&amp;step=hour&amp;show=tokens"), "{html}");
        assert!(html.contains("/usage?range=month&amp;show=tokens"), "{html}");
    }

    #[test]
    fn a_custom_range_finds_its_own_step_and_keeps_the_rest() {
        let filter = UsageFilter { step: Some(Step::Hour), group: GroupBy::Key, ..UsageFilter::default() };
        let html = draw(&Usage { filter, ..page() });
        let hidden = |name: &str| html.matches(&format!(r#"type="hidden" name="{name}""#)).count();
        assert_eq!((hidden("step"), hidden("group")), (1, 2), "{html}");
    }

    #[test]
    fn a_filter_that_the_lists_do_not_know_is_still_the_one_that_shows() {
        let mut page = page();
        page.filter.calls.model = Some("gone".to_owned());
        assert!(draw(&page).contains(r#"<option value="gone" selected"#));
    }

    #[test]
    fn projects_are_told_apart_where_there_are_several() {
        let (first, research) = (project("Default", 1), project("Research", 2));
        let mut page = page();
        page.report.by_project = vec![UsageRow { id: research.id.to_string(), label: "Research".to_owned(), totals: page.report.totals }];
        page.report.choices.projects = vec![first];
        let one = draw(&page);
        assert!(!one.contains("Per project") && !one.contains("group=project"), "{one}");
        page.filter.group = GroupBy::Project;
        assert!(draw(&page).contains("group=project"), "what the address asks for is what shows");

        page.filter.group = GroupBy::Model;
        page.report.choices.projects.push(research.clone());
        let several = draw(&page);
        assert!(several.contains("Per project") && several.contains("group=project"), "{several}");
        assert!(several.contains(&format!("/usage?project={}&amp;show=tokens", research.id)), "{several}");
    }

    #[test]
    fn only_who_may_create_a_key_is_told_to() {
        let mut page = page();
        page.report.choices.models.clear();
        assert!(draw(&page).contains("/keys/new") && draw(&page).contains("http://127.0.0.1:8080/v1"));
        page.can_create_keys = false;
        assert!(!draw(&page).contains("/keys/new"));
    }

    #[test]
    fn a_filter_that_makes_no_sense_shows_no_figures() {
        let problem = Problem { field: "from".to_owned(), message: "This is not a date.".to_owned() };
        let html = html(Form { problem: Some(problem), ..Form::default() });
        assert!(html.contains("This is not a date.") && !html.contains("1,200,300"));
    }
}
