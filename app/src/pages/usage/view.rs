use chrono::{DateTime, Utc};
use domain::{
    filter::{CallFilter, GroupBy, STEPS_MAX, UsageFilter},
    period::{Range, Step},
    usage::{Before, Totals, UsageReport, UsageRow},
};
use leptos::prelude::*;

use super::{
    bars::bars,
    page::{Measure, Usage},
};
use crate::parts::{
    figures::{Figure, figures},
    filter::FilterBar,
    form::{Tone, notice},
    layout::{empty, file, head, section, stack},
    money,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, link, table, text, with_note,
    },
    tabs::address,
    time,
    whose::Whose,
};

/// Usage over a range.
pub(crate) fn usage(page: &Usage, whose: &Whose) -> AnyView {
    let Usage { filter, measure, form, report, .. } = page;
    let href = |calls: &CallFilter| page_address(whose, &with(filter, calls.clone(), report.now), *measure);
    let bar = FilterBar {
        path: whose.at("/usage"),
        filter: &filter.calls,
        form,
        choices: &report.choices,
        kept: kept(filter, *measure),
        href: &href,
    };
    let body = if form.problem.is_some() {
        notice(Tone::Plain, "Correct what is marked, or choose a range above, to see the figures.")
    } else if report.choices.models.is_empty() {
        stack(vec![sums(report), nothing_yet(page)])
    } else if report.totals.requests == 0 {
        let words = if filter.calls.is_narrowed() {
            "There are no calls in this range under these filters."
        } else {
            "There are no calls in this range."
        };
        stack(vec![sums(report), empty(words, link(whose.at("/usage"), "Show the last 30 days"))])
    } else {
        stack(vec![sums(report), bars(page, whose), tables(page, whose)])
    };
    // A range that was not understood is none.
    let covers = if form.problem.is_some() { "Times are UTC.".to_owned() } else { covers(report) };
    let file = form.problem.is_none().then(|| file(address(&whose.at("/usage.csv"), &filter.to_query()), "usage.csv"));
    stack(vec![head("Usage", covers, file), bar.view(), body])
}

fn covers(report: &UsageReport) -> String {
    let so_far = if report.range.is_running(report.now) { ", so far" } else { "" };
    format!("{}{so_far}. Times are UTC.", time::days(report.range))
}

/// The page with other calls; a step that their range is too long for gives way to the range's own.
fn with(filter: &UsageFilter, calls: CallFilter, now: DateTime<Utc>) -> UsageFilter {
    let range = calls.period.range(now);
    UsageFilter { step: filter.step.filter(|step| fits(*step, range)), calls, ..filter.clone() }
}

/// Whether a range has no more bars of this length than a filter accepts.
pub(super) fn fits(step: Step, range: Range) -> bool {
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
    let before = report.before.map(|before| before.totals).unwrap_or_default();
    let count = |label, now: i64, before: i64| Figure {
        label,
        value: money::compact(now),
        exact: Some(money::grouped(now)),
        note: money::change(now, before),
        ..Figure::default()
    };
    let cards = figures(vec![
        Figure {
            label: "Cost",
            value: money::total(amount),
            exact: Some(money::exact(amount)),
            note: money::change(amount.nanos(), before.amount.nanos()),
            ..Figure::default()
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
    let Some(Before { range, totals }) = report.before else {
        return "The account is younger than the time before this range: there is nothing to compare with.".to_owned();
    };
    let length = length_before(report.range);
    let span = if Step::Day.floor(range.to) == range.to { time::days(range) } else { time::span_of(range) };
    if totals.requests == 0 {
        return format!("There were no calls in {length}, {span}, to compare with.");
    }
    let part = if range.to < report.range.from { "as much of " } else { "" };
    format!("Changes are against {part}{length}, {span}.")
}

/// What a range is compared with, in words.
fn length_before(range: Range) -> String {
    match (range.months(), (range.to - range.from).num_days()) {
        (Some(1), _) => "the month before".to_owned(),
        (Some(months), _) => format!("the {months} months before"),
        (None, 1) => "the day before".to_owned(),
        (None, days) => format!("the {days} days before"),
    }
}

/// Whether there are projects to tell apart.
pub(super) fn has_projects(report: &UsageReport) -> bool {
    report.choices.projects.len() > 1
}

fn tables(page: &Usage, whose: &Whose) -> AnyView {
    let Usage { filter, measure, report, .. } = page;
    let only = |calls: CallFilter| page_address(whose, &UsageFilter { calls, ..filter.clone() }, *measure);
    let by_model = report.by_model.iter().map(|row| (row, only(CallFilter { model: Some(row.id.clone()), ..filter.calls.clone() })));
    let by_key = report.by_key.iter().map(|row| (row, only(CallFilter { key: row.id.parse().ok(), ..filter.calls.clone() })));
    let by_project = report.by_project.iter().map(|row| (row, only(CallFilter { project: row.id.parse().ok(), ..filter.calls.clone() })));
    let calls = address(&whose.at("/calls"), &filter.calls.to_query());
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

pub(super) fn page_address(whose: &Whose, filter: &UsageFilter, measure: Measure) -> String {
    let mut query = filter.to_query();
    if measure != Measure::default() {
        query = format!("{query}{}show={}", if query.is_empty() { "" } else { "&" }, measure.name());
    }
    address(&whose.at("/usage"), &query)
}

#[cfg(test)]
pub(super) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{
        account::Project,
        filter::GroupBy,
        id::ProjectId,
        money::Amount,
        period::Period,
        tokens::Tokens,
        usage::{Before, FilterChoices},
    };

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
            before: Some(Before { range: range.compared(now), totals: Totals { requests: 2, ..Totals::default() } }),
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

    pub(in crate::pages::usage) fn page() -> Usage {
        let series = vec![Series { label: "a/b&c".to_owned(), hue: 0, values: vec![0, 0, 0, 0, 0, 0, 1_200_300] }];
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

    pub(in crate::pages::usage) fn draw(page: &Usage) -> String {
        Owner::new().with(|| usage(page, &Whose::Own).to_html())
    }

    fn html(form: Form) -> String {
        draw(&Usage { form, ..page() })
    }

    #[test]
    fn cards_chart_and_tables_say_the_same() {
        let html = html(Form::default());
        assert!(html.contains("+50.0 %"), "{html}");
        assert!(html.contains("Changes are against as much of the 7 days before, 10 Nov 2026, 00:00 – 16 Nov 2026, 10:00."), "{html}");
        assert!(html.contains("1.2M") && html.matches("1,200,300").count() >= 5, "card, readout, chart table, row and sum");
        assert!(html.contains("so far"));
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
