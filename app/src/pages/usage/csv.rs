use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use domain::{
    filter::{GroupBy, UsageFilter},
    period::{Range, Step},
    usage::{Totals, UsageReport, UsageSeries},
};

use crate::{parts::time, server::csv};

const STEP: [&str; 2] = ["from", "to"];
const SUMS: [&str; 5] = ["requests", "prompt_tokens", "completion_tokens", "total_tokens", "cost_usd"];

/// `GET /usage.csv`, and of a customer for operators `GET /admin/customers/:id/usage.csv`: what the page of the same query shows, step by step, each divided as the bars are. What was not used has no line; the lines add up to
/// the page's figures.
pub(crate) async fn download(asked: csv::Asked) -> Response {
    let (reader, filter) = match asked.read(UsageFilter::from_query).await {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let now = asked.caller.visitor.now;
    // All of it is summed from one set of rows, so that it comes in one piece.
    csv::download::<(), _>("attachment; filename=\"usage.csv\"", head(&filter, now), move |_| {
        let (reader, filter) = (reader.clone(), filter.clone());
        async move { Ok((lines(&reader.usage(&filter, now).await?, filter.group), None)) }
    })
}

fn head(filter: &UsageFilter, now: DateTime<Utc>) -> String {
    let range = filter.calls.period.range(now);
    let (from, to, step) = (time::iso(range.from), time::iso(range.to), filter.step_for(range).name());
    let said = format!("# usage from {from} to {to} per {step}; filter: {}", csv::named(&filter.to_query()));
    let headings = STEP.into_iter().chain(parts(filter.group).iter().copied()).chain(SUMS);
    csv::line([said.as_str()]) + &csv::line(headings)
}

/// How a line says which part of its step it is.
const fn parts(group: GroupBy) -> &'static [&'static str] {
    match group {
        GroupBy::Model => &["model"],
        GroupBy::Key => &["key", "key_id"],
        GroupBy::Project => &["project", "project_id"],
        GroupBy::None => &[],
    }
}

fn lines(report: &UsageReport, group: GroupBy) -> String {
    let of_step = |(place, start): (usize, &DateTime<Utc>)| {
        let span = span(*start, report.step, report.range);
        let used = report.series.iter().map(move |one| (one, one.per_step[place])).filter(|(_, totals)| *totals != Totals::default());
        used.map(|(one, totals)| line(span, part(one, group), totals)).collect::<String>()
    };
    report.steps.iter().enumerate().map(of_step).collect()
}

/// What of a step is in the range, which may begin or end in the middle of a month.
fn span(start: DateTime<Utc>, step: Step, range: Range) -> Range {
    Range { from: start, to: step.next(start) }.within(range)
}

fn part(series: &UsageSeries, group: GroupBy) -> Vec<&str> {
    let words = [series.label.as_str(), series.id.as_str()];
    words.into_iter().take(parts(group).len()).collect()
}

fn line(span: Range, part: Vec<&str>, totals: Totals) -> String {
    let Totals { requests, prompt_tokens, completion_tokens, total_tokens, amount } = totals;
    let span = [time::iso(span.from), time::iso(span.to)];
    let sums =
        [requests.to_string(), prompt_tokens.to_string(), completion_tokens.to_string(), total_tokens.to_string(), amount.to_string()];
    csv::line(span.iter().map(String::as_str).chain(part).chain(sums.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{money::Amount, tokens::Tokens, usage::FilterChoices};

    use super::*;

    fn used(requests: i64) -> Totals {
        Totals { requests, prompt_tokens: Tokens::from_sum(9), amount: Amount::from_nanos(1), ..Totals::default() }
    }

    fn report(id: &str, label: &str) -> UsageReport {
        let range = Range { from: "2026-10-25T00:00:00Z".parse().unwrap(), to: "2026-11-03T00:00:00Z".parse().unwrap() };
        let per_step = vec![used(1), used(2)];
        let one = UsageSeries { id: id.to_owned(), label: label.to_owned(), place: 0, totals: used(3), per_step };
        let none = UsageSeries { label: "unused".to_owned(), per_step: vec![Totals::default(); 2], ..one.clone() };
        UsageReport {
            now: range.to,
            range,
            step: Step::Month,
            steps: range.steps(Step::Month).collect(),
            totals: used(3),
            before: None,
            series: vec![one, none],
            by_key: vec![],
            by_model: vec![],
            by_project: vec![],
            choices: FilterChoices::default(),
        }
    }

    #[test]
    fn a_line_is_what_one_part_used_in_a_step_as_far_as_that_is_in_the_range() {
        let written = lines(&report("k-1", "=1+1"), GroupBy::Key);
        let (october, november) = written.trim_end().split_once("\r\n").unwrap();
        assert_eq!(october, "2026-10-25T00:00:00.000Z,2026-11-01T00:00:00.000Z,'=1+1,k-1,1,9,0,0,0.000000001");
        assert_eq!(november, "2026-11-01T00:00:00.000Z,2026-11-03T00:00:00.000Z,'=1+1,k-1,2,9,0,0,0.000000001");
    }

    #[test]
    fn every_line_has_a_cell_for_each_heading() {
        for group in GroupBy::ALL {
            let head = head(&UsageFilter { group, ..UsageFilter::default() }, "2026-11-23T10:00:00Z".parse().unwrap());
            let headings = head.trim_end().split("\r\n").last().unwrap().split(',').count();
            for line in lines(&report("id", "label"), group).trim_end().split("\r\n") {
                assert_eq!(line.split(',').count(), headings, "{group:?}: {line}");
            }
        }
    }
}
