use domain::{
    filter::{FilterError, GroupBy, UsageFilter},
    usage::{Totals, UsageSeries},
};

use super::page::{Measure, Usage};
use crate::{
    error::ConsoleError,
    parts::chart::{SERIES_MAX, Series},
    server::{Caller, Seen, filter_of, parameter},
};

/// The usage of an account.
pub(crate) async fn usage(caller: &Caller, seen: &Seen, query: &str) -> Result<Usage, ConsoleError> {
    let asked = |query: &str| UsageFilter::from_query(query).and_then(|filter| Ok((filter, measure(query)?)));
    let ((filter, measure), form) = filter_of(query, asked);
    let mut report = seen.reader.usage(&filter, caller.visitor.now).await?;
    let series = drawn(std::mem::take(&mut report.series), filter.group, measure);
    let (can_create_keys, base_url) = (seen.manages_keys(), caller.console.settings.base_url());
    Ok(Usage { filter, measure, form, report, series, can_create_keys, base_url })
}

fn measure(query: &str) -> Result<Measure, FilterError> {
    let Some(name) = parameter(query, "show") else { return Ok(Measure::default()) };
    Measure::ALL.into_iter().find(|measure| measure.name() == name).ok_or_else(|| {
        let names = Measure::ALL.map(Measure::name).join(", ");
        FilterError { field: "show", problem: format!("\"{name}\" is not one of {names}") }
    })
}

/// What the chart shows: one figure of each step, and what has no hue of its own together in one series. Three hundred keys are nine series
/// on their way to the browser, not three hundred; the tables beside the chart still have a row for each.
fn drawn(series: Vec<UsageSeries>, group: GroupBy, measure: Measure) -> Vec<Series> {
    let of = |totals: &Totals| match measure {
        Measure::Cost => totals.amount.nanos(),
        Measure::Tokens => totals.total_tokens.get(),
        Measure::Requests => totals.requests,
    };
    let places: Vec<_> = series.iter().map(|one| one.place).take(SERIES_MAX).collect();
    let hues = hues(&places, group).into_iter().chain(std::iter::repeat(SERIES_MAX));
    let mut drawn: Vec<_> = series
        .into_iter()
        .zip(hues)
        .map(|(one, hue)| Series { label: one.label, hue, values: one.per_step.iter().map(of).collect() })
        .collect();
    if drawn.len() > SERIES_MAX + 1 {
        let rest = drawn.split_off(SERIES_MAX);
        drawn.push(together(&rest));
    }
    drawn
}

/// The hue of each series, by its place among all of its kind: it is the same whatever the range, the filter and the rank. Of more than there are hues,
/// those that are drawn together still differ. Models, keys and projects begin with hues of their own, so that none is taken for another.
fn hues(places: &[usize], group: GroupBy) -> Vec<usize> {
    let own = |place: usize| match group {
        GroupBy::Model | GroupBy::None => place % SERIES_MAX,
        GroupBy::Key => SERIES_MAX - 1 - place % SERIES_MAX,
        GroupBy::Project => (place + SERIES_MAX / 2) % SERIES_MAX,
    };
    let mut by_place: Vec<_> = places.iter().enumerate().collect();
    by_place.sort_by_key(|(_, place)| **place);
    let mut hues = vec![SERIES_MAX; places.len()];
    for (index, place) in by_place {
        let mut free = (0..SERIES_MAX).map(|next| (own(*place) + next) % SERIES_MAX).filter(|hue| !hues.contains(hue));
        hues[index] = free.next().unwrap_or(SERIES_MAX);
    }
    hues
}

fn together(series: &[Series]) -> Series {
    let steps = series.first().map_or(0, |one| one.values.len());
    let sum = |step: usize| series.iter().fold(0, |sum: i64, one| sum.saturating_add(one.values[step]));
    Series { label: format!("{} other", series.len()), hue: SERIES_MAX, values: (0..steps).map(sum).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(count: usize) -> Vec<UsageSeries> {
        let used = |requests| Totals { requests, ..Totals::default() };
        let one = |index: usize| UsageSeries {
            id: index.to_string(),
            label: format!("model-{index}"),
            place: count - index,
            totals: used(15),
            per_step: vec![used(10), used(0), used(5)],
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn the_ninth_series_and_all_after_it_are_other() {
        let labels = |count| drawn(series(count), GroupBy::Model, Measure::Requests).into_iter().map(|one| one.label).collect::<Vec<_>>();
        assert_eq!(labels(9).last().map(String::as_str), Some("model-8"));
        assert_eq!((labels(300).len(), labels(300).last().map(String::as_str)), (SERIES_MAX + 1, Some("292 other")));
    }

    #[test]
    fn a_hue_goes_with_a_place_and_no_two_that_are_drawn_share_one() {
        assert_eq!(hues(&[1, 0, 2], GroupBy::Model), [1, 0, 2]);
        assert_eq!(hues(&[2], GroupBy::Model), [2], "alone as among others");
        assert_eq!((hues(&[0, 1], GroupBy::Key), hues(&[0, 1], GroupBy::Project)), (vec![7, 6], vec![4, 5]));
        let mut many = hues(&[0, 8, 16, 3, 11, 5, 300, 301], GroupBy::Key);
        assert_eq!((many[0], many[3]), (7, 4), "the oldest keep theirs: {many:?}");
        many.sort_unstable();
        assert_eq!(many, (0..SERIES_MAX).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_is_lost_among_the_others() {
        let drawn = drawn(series(300), GroupBy::Model, Measure::Requests);
        let sums: Vec<i64> = (0..3).map(|step| drawn.iter().map(|one| one.values[step]).sum()).collect();
        assert_eq!(sums, [3_000, 0, 1_500]);
    }

    #[test]
    fn a_measure_that_does_not_exist_is_named() {
        assert_eq!(measure("show=tokens"), Ok(Measure::Tokens));
        assert_eq!(measure("range=7d"), Ok(Measure::Cost));
        assert_eq!(measure("show=nonsense").map_err(|error| error.field), Err("show"));
    }
}
