//! The figures over time, as bars.

use chrono::{DateTime, Timelike, Utc};
use domain::{
    filter::{GroupBy, UsageFilter},
    money::Amount,
    period::{Range, Step},
    usage::UsageReport,
};
use leptos::prelude::*;

use super::{
    page::{Measure, Usage},
    view::{fits, has_projects, page_address},
};
use crate::parts::{
    chart::{self, Chart, Extent},
    money,
    tabs::{Tab, tabs},
    time,
    whose::Whose,
};

/// Labels that fit below the bars of a wide page.
const LABELS_MAX: usize = 10;

/// The bars, and what they can show instead.
pub(super) fn bars(page: &Usage, whose: &Whose) -> AnyView {
    let Usage { filter, measure, report, .. } = page;
    let show = Measure::ALL.map(|choice| Tab {
        label: label(choice).to_owned(),
        href: page_address(whose, filter, choice),
        current: choice == *measure,
    });
    let groups = GroupBy::ALL.into_iter().filter(|group| *group != GroupBy::Project || has_projects(report) || *group == filter.group);
    let group = groups.map(|group| Tab {
        label: group_label(group).to_owned(),
        href: page_address(whose, &UsageFilter { group, ..filter.clone() }, *measure),
        current: group == filter.group,
    });
    let steps = Step::ALL.into_iter().filter(|step| fits(*step, report.range));
    let step = steps.map(|step| Tab {
        label: step_label(step).to_owned(),
        href: page_address(whose, &UsageFilter { step: Some(step), ..filter.clone() }, *measure),
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

/// How a chart writes a figure.
type InWords = fn(i64) -> String;

fn chart(page: &Usage) -> Chart {
    let Usage { measure, report, series, .. } = page;
    let (axis, value, cell): (InWords, InWords, fn(i64) -> AnyView) = match measure {
        Measure::Cost => {
            (money::axis, |nanos| money::charge(Amount::from_nanos(nanos)), |nanos| money::charge_view(Amount::from_nanos(nanos)))
        }
        Measure::Tokens | Measure::Requests => (money::compact, money::grouped, |count| money::grouped(count).into_any()),
    };
    let columns = report.steps.iter().zip(labelled(&report.steps, report.step)).map(|(start, is_labelled)| {
        let whole = Range { from: *start, to: report.step.next(*start) };
        // A range may begin or end in the middle of a month: the bar is not named for days that it does not hold.
        let held = whole.within(report.range);
        chart::Column {
            name: if held == whole { time::step(*start, report.step) } else { time::days(held) },
            short: is_labelled.then(|| time::step_short(*start, report.step)),
            extent: extent(held, whole, report),
        }
    });
    let step = step_label(report.step);
    Chart {
        title: format!("{} per {}", label(*measure), step.to_lowercase()),
        step,
        axis,
        value,
        cell,
        columns: columns.collect(),
        series: series.clone(),
    }
}

fn extent(held: Range, whole: Range, report: &UsageReport) -> Extent {
    match held {
        _ if held.is_running(report.now) => Extent::SoFar,
        _ if held == whole => Extent::Whole,
        _ => Extent::Part,
    }
}

/// Which steps are named on the axis. Days and months are counted from the last one, which is the one that most look for; hours by the clock, so that
/// each day is named where it begins.
fn labelled(steps: &[DateTime<Utc>], step: Step) -> Vec<bool> {
    let is_midnight = |at: &DateTime<Utc>| at.hour() == 0;
    let days = steps.iter().filter(|at| is_midnight(at)).count();
    let hours = match days {
        _ if step != Step::Hour => 0,
        0 | 1 => 3,
        2 => 6,
        3 | 4 => 12,
        _ => 24,
    };
    let counts = |at: &DateTime<Utc>| step != Step::Hour || at.hour().is_multiple_of(hours);
    let every = if hours > 0 && hours < 24 { 1 } else { steps.iter().filter(|at| counts(at)).count().div_ceil(LABELS_MAX).max(1) };
    let mut after = steps.iter().filter(|at| counts(at)).count();
    steps
        .iter()
        .map(|at| {
            let counts = counts(at);
            after -= usize::from(counts);
            counts && after.is_multiple_of(every)
        })
        .collect()
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::pages::usage::view::tests::{draw, page};
    use crate::parts::chart::Series;

    fn labels(from: &str, to: &str, step: Step) -> Vec<String> {
        let range = Range { from: from.parse().unwrap(), to: to.parse().unwrap() };
        let steps: Vec<_> = range.steps(step).collect();
        let labelled = labelled(&steps, step);
        steps.iter().zip(labelled).filter(|(_, is_labelled)| *is_labelled).map(|(at, _)| time::step_short(*at, step)).collect()
    }

    #[test]
    fn hours_are_named_by_the_clock_and_days_where_they_begin() {
        assert_eq!(
            labels("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z", Step::Hour),
            ["23 Nov", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00"]
        );
        assert_eq!(
            labels("2026-11-17T00:00:00Z", "2026-11-24T00:00:00Z", Step::Hour),
            ["17 Nov", "18 Nov", "19 Nov", "20 Nov", "21 Nov", "22 Nov", "23 Nov"]
        );
    }

    #[test]
    fn the_last_day_has_a_label_however_many_there_are() {
        let thirty = labels("2026-10-25T00:00:00Z", "2026-11-24T00:00:00Z", Step::Day);
        assert_eq!((thirty.len(), thirty.last().map(String::as_str)), (10, Some("23 Nov")));
        assert_eq!(labels("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z", Step::Day), ["23 Nov"]);
    }

    #[test]
    fn a_bar_is_named_for_the_days_that_it_holds() {
        let mut page = page();
        let months = |page: &mut Usage, from: &str, to: &str| {
            page.report.range = Range { from: from.parse().unwrap(), to: to.parse().unwrap() };
            page.report.step = Step::Month;
            page.report.steps = page.report.range.steps(Step::Month).collect();
            page.series = vec![Series { label: "a".to_owned(), hue: 0, values: vec![1; page.report.steps.len()] }];
            draw(page)
        };
        let html = months(&mut page, "2026-10-25T00:00:00Z", "2026-11-24T00:00:00Z");
        assert!(html.contains("25 Oct 2026 – 31 Oct 2026") && html.contains("1 Nov 2026 – 23 Nov 2026, so far"), "{html}");
        let html = months(&mut page, "2026-10-01T00:00:00Z", "2026-11-11T00:00:00Z");
        assert!(html.contains("Oct 2026") && html.contains("1 Nov 2026 – 10 Nov 2026") && !html.contains("so far"), "{html}");
    }
}
